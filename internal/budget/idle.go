package budget

import (
	"math/bits"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// idleTime is how long a buffer waits to be used again. A run that is at work
// needs the next one within milliseconds; one that waits for its store should
// give the memory back.
const idleTime = 5 * time.Second

const smallestClass = 64 << 10

// sizeClass returns how many bytes are mapped for n: four sizes to each power
// of two, so that buffers can be used again and little is lost, but never
// more than most.
func sizeClass(n, most int64) int64 {
	if n == 0 {
		return 0
	}
	step := int64(smallestClass)
	if n > smallestClass {
		step = 1 << max(bits.Len64(uint64(n-1))-3, 0)
	}
	if size := (n + step - 1) / step * step; size <= most {
		return size
	}
	return n
}

// idle holds the buffers that nobody uses. The budget's mutex guards it.
type idle struct {
	buffers []buffer // oldest first
	bytes   int64
	armed   bool
}

type buffer struct {
	memory []byte
	since  time.Time
}

// take returns the buffer of size that was used last, whose pages are the
// likeliest to be in a cache, or nil.
func (i *idle) take(size int64) []byte {
	for k, b := range slices.Backward(i.buffers) {
		if int64(len(b.memory)) == size {
			i.buffers = slices.Delete(i.buffers, k, k+1)
			i.bytes -= size
			return b.memory
		}
	}
	return nil
}

func (i *idle) put(memory []byte, expire func()) {
	i.buffers = append(i.buffers, buffer{memory, time.Now()})
	i.bytes += int64(len(memory))
	i.arm(expire)
}

// shrink unmaps the oldest until no more than most bytes are left.
func (i *idle) shrink(most int64) {
	i.drop(func(buffer) bool { return i.bytes > most })
}

// expire unmaps what was not used for idleTime.
func (i *idle) expire(again func()) {
	i.armed = false
	now := time.Now()
	i.drop(func(b buffer) bool { return now.Sub(b.since) >= idleTime })
	i.arm(again)
}

func (i *idle) arm(expire func()) {
	if len(i.buffers) > 0 && !i.armed {
		i.armed = true
		time.AfterFunc(idleTime, expire)
	}
}

func (i *idle) drop(while func(buffer) bool) {
	for len(i.buffers) > 0 && while(i.buffers[0]) {
		unmapMemory(i.buffers[0].memory)
		i.bytes -= int64(len(i.buffers[0].memory))
		i.buffers = slices.Delete(i.buffers, 0, 1)
	}
}

func mapMemory(size int64) ([]byte, error) {
	return unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
}

func unmapMemory(memory []byte) {
	if err := unix.Munmap(memory); err != nil {
		panic("budget: unmap of a buffer of our own: " + err.Error())
	}
}
