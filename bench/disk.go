package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// disk makes a file system of so many bytes in a file that is a hole at first,
// and unmounts it; where that cannot be it says why, and it is a folder.
func (b *bench) disk(name string, size int64) (dir string, unmount func() error) {
	dir = filepath.Join(b.work, name)
	if err := b.mount(dir, size); err != nil {
		fmt.Printf("  %s is a folder of this disk: %v\n", name, err)
		return dir, func() error { return nil }
	}
	return dir, func() error { return command("umount", dir) }
}

func (b *bench) mount(dir string, size int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	image, err := os.Create(dir + ".ext4")
	if err != nil {
		return err
	}
	if err := errors.Join(image.Truncate(size), image.Close()); err != nil {
		return err
	}
	if err := command("mkfs.ext4", "-q", "-m", "0", "-T", "largefile", image.Name()); err != nil {
		return err
	}
	return command("mount", "-o", "loop", image.Name(), dir)
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
