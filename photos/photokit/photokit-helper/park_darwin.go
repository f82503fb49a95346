package main

import "github.com/ebitengine/purego"

func path() string { return "/System/Library/Frameworks/Photos.framework/Photos" }

// park turns the main run loop, for what frameworks deliver on the main queue.
func park() {
	cf, err := purego.Dlopen("/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err == nil {
		var run func()
		purego.RegisterLibFunc(&run, cf, "CFRunLoopRun")
		run() // returns at once where nothing is attached to the loop
	}
	select {}
}
