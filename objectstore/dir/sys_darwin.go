package dir

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncAll makes files durable. fsync hands the data to the drive; File.Sync is
// F_FULLFSYNC, which empties the drive's own cache, so one for each disk is
// enough.
func syncAll(files []*os.File) error {
	last := map[uint64]*os.File{} // a disk may be mounted inside the root
	for _, f := range files {
		if err := unix.Fsync(int(f.Fd())); err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			return err
		}
		last[identify(info).dev] = f
	}
	for _, f := range last {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

func renameNoReplace(dir *os.File, from, to string) error {
	fd := int(dir.Fd())
	return unix.RenameatxNp(fd, from, fd, to, unix.RENAME_EXCL)
}
