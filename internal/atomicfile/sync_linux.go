package atomicfile

import (
	"errors"
	"os"
	"sync"

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

// fewFiles are synced one by one, at the same time so that the journal can
// join them; from three on one syncfs is cheaper (docs/decisions.md).
const fewFiles = 2

// syncFiles makes files of one file system durable. The first must be the one
// that was opened first.
func syncFiles(files []*os.File) error {
	if len(files) > fewFiles {
		// syncfs reports the failures since its descriptor was opened: the
		// oldest one hears of all.
		return unix.Syncfs(fd(files[0]))
	}
	errs := make([]error, len(files))
	var wg sync.WaitGroup
	for i, f := range files {
		wg.Go(func() { errs[i] = f.Sync() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
