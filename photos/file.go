package photos

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// OpenFile opens the regular file name inside root for a [Source] whose
// resources are files. It never follows a symlink that name ends in, never
// opens anything but a regular file, and so never blocks on a FIFO: those are
// fs.ErrInvalid. name may be longer than the system's limit for paths.
func OpenFile(root *os.Root, name string) (Reader, error) {
	// Opening is an event for a FIFO or a device: look first, and compare
	// afterwards, because another file may have come under the name.
	before, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: not a regular file: %w", name, fs.ErrInvalid)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil && !os.SameFile(before, opened) {
		err = fmt.Errorf("open %s: %w", name, ErrChanged)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &file{root: root, name: name, f: f, opened: opened}, nil
}

// file is a Reader. Only Read keeps a position, so ReadAt is safe for many
// goroutines.
type file struct {
	root   *os.Root
	name   string
	f      *os.File
	opened fs.FileInfo
	at     int64
}

var (
	_ Reader       = (*file)(nil)
	_ syscall.Conn = (*file)(nil)
)

// SyscallConn has a store send what ReadAt would give, without a copy of it.
func (f *file) SyscallConn() (syscall.RawConn, error) { return f.f.SyscallConn() }

func (f *file) Size() int64  { return f.opened.Size() }
func (f *file) Close() error { return f.f.Close() }

func (f *file) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.ReadAt(p[:min(int64(len(p)), max(f.Size()-f.at, 1))], f.at)
	f.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil // the next call says it
	}
	return n, err
}

// ReadAt reads no further than the size at Open: what was appended since is a
// change, not content. With ErrChanged come no bytes, because io.ReadFull
// would take the last ones and drop the error.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s: offset %d: %w", f.name, off, fs.ErrInvalid)
	}
	left := max(f.Size()-off, 0)
	want := min(int64(len(p)), left)
	n, err := f.f.ReadAt(p[:want], off)
	switch {
	case err != nil && err != io.EOF:
		return n, err
	case int64(n) < want:
		return 0, f.changed()
	case want < left:
		return n, nil
	}
	if err := f.Unchanged(); err != nil {
		return 0, err
	}
	if int64(len(p)) > want {
		return n, io.EOF
	}
	return n, nil
}

// Unchanged takes a file that has gone for unchanged: what the open file
// still holds is what the library had.
func (f *file) Unchanged() error {
	now, err := f.f.Stat()
	if err != nil {
		return err
	}
	if now.Size() != f.Size() || !now.ModTime().Equal(f.opened.ModTime()) {
		return f.changed()
	}
	named, err := f.root.Lstat(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !os.SameFile(named, f.opened):
		return f.changed()
	}
	return nil
}

func (f *file) changed() error { return fmt.Errorf("read %s: %w", f.name, ErrChanged) }
