package photokit

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

var procPidRusage = sync.OnceValues(func() (uintptr, error) {
	lib, err := purego.Dlopen("/usr/lib/libSystem.B.dylib", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return 0, err
	}
	return purego.Dlsym(lib, "proc_pid_rusage")
})

// footprint is what Activity Monitor calls memory: compressed and swapped
// pages count, those of files do not. A process of the same user may be asked.
func footprint(pid int) (int64, error) {
	f, err := procPidRusage()
	if err != nil {
		return 0, err
	}
	// struct rusage_info_v0 is a UUID of 16 bytes and ten words of 8, the
	// eighth of which is ri_phys_footprint, at byte 72. The rest is room.
	const flavor = 0
	var info [64]uint64
	if r, _, errno := purego.SyscallN(f, uintptr(pid), flavor, uintptr(unsafe.Pointer(&info))); int32(r) != 0 {
		return 0, fmt.Errorf("proc_pid_rusage: errno %d", errno)
	}
	return int64(info[9]), nil
}
