// Package objc calls the Objective-C runtime without cgo. Apple's runtime and
// GNU libobjc, which GNUstep uses, differ in how a message is sent: that is in
// runtime_darwin.go and runtime_linux.go, everything else is one code.
//
// An exception of Objective-C, or a panic inside of a handler, ends the
// process: nothing here can catch either.
package objc

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// ID is an object or a class.
type ID uintptr

// runtimeCalls are the functions that both runtimes have.
var runtimeCalls struct {
	getClass, registerName, typeEncoding, classMethod, instanceMethod, calloc, free uintptr
}

// selectors by name: registering one costs an allocation in C.
var selectors sync.Map

// Load opens the runtime, Foundation and the libraries. It must be called
// once, on the first thread of the process: GNUstep takes the thread that
// first asks for its NSThread there as the main one, and where there is none
// it ends the process, with status 0, when any thread ends.
func Load(libraries ...string) error {
	if err := open(libraries); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		addr *uintptr
	}{
		{"objc_getClass", &runtimeCalls.getClass},
		{"sel_registerName", &runtimeCalls.registerName},
		{"method_getTypeEncoding", &runtimeCalls.typeEncoding},
		{"class_getClassMethod", &runtimeCalls.classMethod},
		{"class_getInstanceMethod", &runtimeCalls.instanceMethod},
		{"calloc", &runtimeCalls.calloc},
		{"free", &runtimeCalls.free},
	} {
		addr, err := purego.Dlsym(purego.RTLD_DEFAULT, f.name)
		if err != nil {
			return fmt.Errorf("find %s: %w", f.name, err)
		}
		*f.addr = addr
	}
	Class("NSThread").Send("currentThread")
	return nil
}

func dlopen(names ...string) error {
	for _, name := range names {
		if _, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL); err != nil {
			return err
		}
	}
	return nil
}

func call(f uintptr, args ...uintptr) uintptr {
	r, _, _ := purego.SyscallN(f, args...)
	return r
}

// pointer makes an address of C's memory one of Go's, which the collector
// leaves alone.
func pointer(addr uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }

// Bytes is C's memory as a slice.
func Bytes(addr, n uintptr) []byte {
	if addr == 0 || n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(pointer(addr)), n)
}

// withCString calls f with a copy of s in C's memory.
func withCString(s string, f func(addr uintptr) uintptr) uintptr {
	addr := cstring(s)
	defer call(runtimeCalls.free, addr)
	return f(addr)
}

func cstring(s string) uintptr {
	addr := call(runtimeCalls.calloc, 1, uintptr(len(s))+1)
	copy(Bytes(addr, uintptr(len(s))), s)
	return addr
}

func goString(addr uintptr) string {
	if addr == 0 {
		return ""
	}
	n := uintptr(0)
	for *(*byte)(unsafe.Add(pointer(addr), n)) != 0 {
		n++
	}
	return string(Bytes(addr, n))
}

// Class is the class of that name, or 0.
func Class(name string) ID {
	return ID(withCString(name, func(addr uintptr) uintptr { return call(runtimeCalls.getClass, addr) }))
}

func selector(name string) uintptr {
	if s, ok := selectors.Load(name); ok {
		return s.(uintptr)
	}
	s := withCString(name, func(addr uintptr) uintptr { return call(runtimeCalls.registerName, addr) })
	selectors.Store(name, s)
	return s
}

// Send sends a message whose arguments and result are integers or addresses:
// floats and structs go by other ways. A message to 0 returns 0.
func (o ID) Send(name string, args ...uintptr) uintptr {
	if o == 0 {
		return 0
	}
	return send(o, selector(name), args)
}

// Get is Send where the result is an object.
func (o ID) Get(name string, args ...uintptr) ID { return ID(o.Send(name, args...)) }

// Is is Send where the result is a BOOL, which leaves the rest of its
// register undefined.
func (o ID) Is(name string, args ...uintptr) bool { return byte(o.Send(name, args...)) != 0 }

// Responds reports whether the object has a method.
func (o ID) Responds(name string) bool { return o.Is("respondsToSelector:", selector(name)) }

// New is a new object of the class, which the caller releases.
func New(class string) ID { return Class(class).Get("alloc").Get("init") }

// String is s as an autoreleased NSString.
func String(s string) ID {
	return ID(withCString(s, func(addr uintptr) uintptr { return Class("NSString").Send("stringWithUTF8String:", addr) }))
}

// Text is the text of an NSString.
func (o ID) Text() string { return goString(o.Send("UTF8String")) }

// Encoding is the type encoding of a method without frame offsets, or "" if
// there is none. A "+" before its name marks a method of the class.
func Encoding(class, name string) string {
	c := Class(class)
	if c == 0 {
		return ""
	}
	find := runtimeCalls.instanceMethod
	if s, ok := strings.CutPrefix(name, "+"); ok {
		find, name = runtimeCalls.classMethod, s
	}
	method := call(find, uintptr(c), selector(name))
	if method == 0 {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, goString(call(runtimeCalls.typeEncoding, method)))
}

// Pool calls f on one thread, with an autorelease pool of its own there.
// Without, everything autoreleased stays for good: goroutines change threads.
func Pool(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pool := New("NSAutoreleasePool")
	defer pool.Send("drain")
	f()
}
