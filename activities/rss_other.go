//go:build !linux

package activities

import "golang.org/x/sys/unix"

// PeakBytes is the largest resident size that this process has had. macOS
// reports ru_maxrss in bytes (getrusage(2)).
func PeakBytes() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss
}
