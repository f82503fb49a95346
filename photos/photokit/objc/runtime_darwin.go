package objc

import "github.com/ebitengine/purego"

var msgSend uintptr

func open(libraries []string) (err error) {
	err = dlopen(append([]string{"/usr/lib/libobjc.A.dylib", "/System/Library/Frameworks/Foundation.framework/Foundation"}, libraries...)...)
	if err != nil {
		return err
	}
	msgSend, err = purego.Dlsym(purego.RTLD_DEFAULT, "objc_msgSend")
	return err
}

func send(o ID, sel uintptr, args []uintptr) uintptr {
	return call(msgSend, append([]uintptr{uintptr(o), sel}, args...)...)
}
