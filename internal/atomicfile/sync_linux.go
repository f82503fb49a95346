package atomicfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// SyncTree makes everything that was written below dir survive a power cut.
func SyncTree(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
