//go:build darwin && cgo

// Package planted has two faults that only a compiler for a Mac would see.
package planted

// #include <stdlib.h>
import "C"

import "github.com/progrium/darwinkit/macos/foundation"

func sound() C.int { return C.abs(1) }

func swapped() {
	foundation.ProcessInfo_ProcessInfo().BeginActivityWithOptionsReason("reason", foundation.ActivityIdleSystemSleepDisabled)
}

func unknown() { foundation.ProcessInfo_ProcessInfo().StayAwake() }
