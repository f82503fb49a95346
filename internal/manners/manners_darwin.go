//go:build darwin && cgo

package manners

// #cgo LDFLAGS: -framework IOKit -framework CoreFoundation
// #include <IOKit/ps/IOPowerSources.h>
import "C"

import (
	"sync"

	"github.com/progrium/darwinkit/macos/foundation"
	"github.com/progrium/darwinkit/objc"
)

// KeepAwake keeps the Mac from sleeping while nobody uses it, until release is
// called, which may be more than once. A closed lid is stronger. reason is what
// `pmset -g assertions` shows.
func (System) KeepAwake(reason string) (release func()) {
	var activity objc.Object
	objc.WithAutoreleasePool(func() {
		activity = foundation.ProcessInfo_ProcessInfo().BeginActivityWithOptionsReason(foundation.ActivityIdleSystemSleepDisabled, reason)
		activity.Retain() // by hand: a finalizer would release it on the collector's thread
	})
	return sync.OnceFunc(func() {
		objc.WithAutoreleasePool(func() {
			foundation.ProcessInfo_ProcessInfo().EndActivity(activity)
			activity.Release()
		})
	})
}

// Pressure returns how many requests at once are good manners now, and what is
// waited for until there may be more. 0 is as many as pay.
func (System) Pressure() (most int, why string) {
	var c condition
	objc.WithAutoreleasePool(func() {
		info := foundation.ProcessInfo_ProcessInfo()
		c.heat = heat(info.ThermalState())
		c.lowPower = info.IsLowPowerModeEnabled() // macOS 12, which Go asks for anyway
	})
	c.battery = onBattery()
	return c.most()
}

// onBattery reports whether no power comes from outside. Foundation does not
// know that.
func onBattery() bool {
	const unlimited = -2 // kIOPSTimeRemainingUnlimited
	return float64(C.IOPSGetTimeRemainingEstimate()) != unlimited
}

// Notify shows a notification, where the user permits them. It needs the
// identity of an app: a bare executable shows nothing.
func (System) Notify(title, text string) {
	objc.WithAutoreleasePool(func() {
		// NSUserNotification, out of use since macOS 11 but there: what came
		// after it throws in a process without a bundle. darwinkit has the
		// classes without their methods, so each is asked for first.
		if foundation.UserNotificationCenterClass.Ptr() == nil || foundation.UserNotificationClass.Ptr() == nil {
			return
		}
		center := objc.Call[objc.Object](foundation.UserNotificationCenterClass, objc.Sel("defaultUserNotificationCenter"))
		if center.IsNil() || !center.RespondsToSelector(objc.Sel("deliverNotification:")) {
			return // a bare executable has no center
		}
		note := foundation.NewUserNotification()
		for selector, value := range map[string]string{"setTitle:": title, "setInformativeText:": text} {
			if note.RespondsToSelector(objc.Sel(selector)) {
				objc.Call[objc.Void](note, objc.Sel(selector), value)
			}
		}
		objc.Call[objc.Void](center, objc.Sel("deliverNotification:"), note)
	})
}
