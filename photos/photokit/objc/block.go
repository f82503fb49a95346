package objc

import (
	"unsafe"

	"github.com/ebitengine/purego"
)

// Signature makes blocks of one type.
type Signature struct{ isa, invoke, descriptor uintptr }

// NewSignature makes a type of blocks that call f, whose first parameter is
// the address of the block called and whose result is a uintptr. The encoding
// is Apple's: "v@?@" for void (^)(id). The number of signatures in a process
// is limited (purego allows 2,000 callbacks and frees none), that of blocks is
// not.
func NewSignature(f any, encoding string) (Signature, error) {
	isa, err := purego.Dlsym(purego.RTLD_DEFAULT, "_NSConcreteGlobalBlock")
	if err != nil {
		return Signature{}, err
	}
	const words = 3 // reserved, size of a literal, signature
	descriptor := call(runtimeCalls.calloc, words, unsafe.Sizeof(uintptr(0)))
	d := unsafe.Slice((*uintptr)(pointer(descriptor)), words)
	d[1], d[2] = unsafe.Sizeof(literal{}), cstring(encoding)
	return Signature{isa: isa, invoke: purego.NewCallback(f), descriptor: descriptor}, nil
}

// literal is a block as the ABI of blocks lays it out.
type literal struct {
	isa                uintptr
	flags, reserved    int32
	invoke, descriptor uintptr
}

const (
	isGlobal     = 1 << 28
	hasSignature = 1 << 30
)

// Block returns the address of a new block. It is marked global, so that
// copying and releasing it do nothing, and never freed, so that one called
// late or twice is still there: 32 bytes each, in a process that is soon
// replaced.
func (s Signature) Block() uintptr {
	addr := call(runtimeCalls.calloc, 1, unsafe.Sizeof(literal{}))
	*(*literal)(pointer(addr)) = literal{isa: s.isa, flags: isGlobal | hasSignature, invoke: s.invoke, descriptor: s.descriptor}
	return addr
}
