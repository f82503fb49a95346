package activities

import (
	"bytes"
	"os"
	"strconv"
)

// PeakBytes is the largest resident size that this process has had. Not
// ru_maxrss, which outlives execve: the child of a large process would begin
// with the size of its parent.
func PeakBytes() int64 {
	status, err := os.ReadFile("/proc/self/status") // proc_pid_status(5)
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("\nVmHWM:"))
	if f := bytes.Fields(rest); len(f) > 0 {
		if kib, err := strconv.ParseInt(string(f[0]), 10, 64); err == nil {
			return kib << 10
		}
	}
	return 0
}
