package spool

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// diskOf asks the system; where path is not there yet, of the folder that it
// will be in.
func diskOf(path string) (Disk, error) {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			break
		}
		path = filepath.Dir(path)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Disk{}, fmt.Errorf("free space of %s: %w", path, err)
	}
	block := int64(st.Bsize)
	return Disk{Free: int64(st.Bavail) * block, Size: int64(st.Blocks) * block}, nil
}
