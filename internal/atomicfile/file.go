package atomicfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// File is being written. WriteAt and ReadAt are safe for many goroutines, all
// else is for one.
type File struct {
	t     *Tree
	f     *os.File
	temp  string
	order int64 // in which files of t were opened
}

// Create begins a file that has no name yet.
func (t *Tree) Create() (*File, error) {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	temp := hex.EncodeToString(b[:])
	f, err := openAt(t.work, temp, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return nil, named(temp, err)
	}
	return t.file(f, temp), nil
}

func (t *Tree) file(f *os.File, temp string) *File {
	return &File{t: t, f: f, temp: temp, order: t.opened.Add(1)}
}

func (f *File) Write(p []byte) (int, error)              { return f.f.Write(p) }
func (f *File) WriteAt(p []byte, off int64) (int, error) { return f.f.WriteAt(p, off) }
func (f *File) ReadAt(p []byte, off int64) (int, error)  { return f.f.ReadAt(p, off) }

// Sync makes the content so far survive a power cut.
func (f *File) Sync() error { return f.f.Sync() }

// SetModTime sets the time that the file will show, in Unix nanoseconds.
func (f *File) SetModTime(ns int64) error {
	at := unix.NsecToTimespec(ns)
	return unix.UtimesNanoAt(fd(f.t.work), f.temp, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
}

// Commit gives the file its name, which is slash-separated; folders are made.
// If the name is taken it fails with fs.ErrExist, or replaces what is there,
// unless that is a directory: then it fails with *InTheWay. After a power cut
// a name that is there has its content; that the name is there takes SyncTree.
func (f *File) Commit(name string, replace bool) error {
	err := errors.Join(f.t.group.sync(f), f.f.Close())
	f.f = nil
	if err == nil {
		err = f.commit(name, replace)
	}
	if err != nil {
		return errors.Join(err, unix.Unlinkat(fd(f.t.work), f.temp, 0))
	}
	return nil
}

func (f *File) commit(name string, replace bool) error {
	dir, err := f.t.parent(name, true)
	if err != nil {
		return err
	}
	defer dir.Close()
	base := path.Base(name)
	// A hard link never replaces. Where there are none, a look before the
	// rename is all that can be done.
	switch err := unix.Linkat(fd(f.t.work), f.temp, fd(dir), base, 0); {
	case err == nil:
		return unix.Unlinkat(fd(f.t.work), f.temp, 0)
	case errors.Is(err, fs.ErrExist) && !replace:
		return fs.ErrExist
	case !errors.Is(err, fs.ErrExist) && !noLinks(err):
		return named(name, err)
	}
	var st unix.Stat_t
	switch err := unix.Fstatat(fd(dir), base, &st, unix.AT_SYMLINK_NOFOLLOW); {
	case err == nil && !replace:
		return fs.ErrExist
	case err == nil && uint32(st.Mode)&unix.S_IFMT == unix.S_IFDIR:
		return &InTheWay{name, "a folder"}
	}
	return named(name, unix.Renameat(fd(f.t.work), f.temp, fd(dir), base))
}

// Close keeps what was written for Reopen, unless Commit or Discard was called.
func (f *File) Close() error {
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	f.f = nil
	return err
}

// Discard removes what was written, unless Commit or Close was called.
func (f *File) Discard() {
	if f.f != nil {
		f.f.Close()
		unix.Unlinkat(fd(f.t.work), f.temp, 0)
		f.f = nil
	}
}
