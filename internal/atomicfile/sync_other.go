//go:build !linux

package atomicfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// SyncTree makes everything that was written below dir survive a power cut:
// without syncfs, all file systems are written out.
func SyncTree(string) error { return unix.Sync() }

// syncFiles makes files of one file system durable. fsync hands the data to
// the drive; File.Sync is F_FULLFSYNC on a Mac, which empties the drive's own
// cache, so that one for all is enough.
func syncFiles(files []*os.File) error {
	for _, f := range files[1:] {
		if err := unix.Fsync(fd(f)); err != nil {
			return err
		}
	}
	return files[0].Sync()
}
