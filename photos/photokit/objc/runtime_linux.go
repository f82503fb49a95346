package objc

import "github.com/ebitengine/purego"

var msgLookup uintptr

// libBlocksRuntime comes first, and global, for the weak symbols of what is
// compiled with blocks.
func open(libraries []string) (err error) {
	if err = dlopen(append([]string{"libBlocksRuntime.so.0", "libobjc.so.4", "libgnustep-base.so.1.28"}, libraries...)...); err != nil {
		return err
	}
	msgLookup, err = purego.Dlsym(purego.RTLD_DEFAULT, "objc_msg_lookup")
	return err
}

// send looks the method up and calls it: GNU's runtime has no objc_msgSend.
func send(o ID, sel uintptr, args []uintptr) uintptr {
	method := call(msgLookup, uintptr(o), sel)
	return call(method, append([]uintptr{uintptr(o), sel}, args...)...)
}
