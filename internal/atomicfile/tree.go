// Package atomicfile writes files that appear under their names whole or not
// at all, below a folder that may hold anything.
//
// No component of a name is ever followed: each is opened by itself, below
// the one before, and what is no directory ends the walk, so that a link which
// somebody planted, or swaps in at any moment, leads nowhere. What is there is
// not replaced unless the caller says so, and a directory never.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// TempPrefix begins the names of files and folders that are not for keeping.
const TempPrefix = ".lf-tmp-"

// Tree is a folder that is written into. Safe for many goroutines.
type Tree struct {
	dir  *os.File
	work *os.File // holds files that are not whole yet; nil for a tree that is only read
	name string   // of work, in dir

	opened atomic.Int64 // how many files were
	group  group
}

// InTheWay means that something which is no regular file has a name, or part
// of one. It was not followed.
type InTheWay struct {
	Name string
	What string
}

func (e *InTheWay) Error() string { return fmt.Sprintf("%s is in the way at %q", e.What, e.Name) }

// Open opens the folder dir, with a work folder of its own for each owner:
// that of a dead process is taken over by whoever comes next as the same.
func Open(dir, owner string) (*Tree, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	t := &Tree{dir: d, name: TempPrefix + owner, group: group{lead: make(chan struct{}, 1)}}
	work, err := openDir(d, t.name, true)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	t.work = work
	return t, nil
}

// OpenRead opens the folder dir to look at it: nothing is made in it.
func OpenRead(dir string) (*Tree, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return &Tree{dir: d}, nil
}

// Close keeps the work folder.
func (t *Tree) Close() error {
	err := t.dir.Close()
	if t.work != nil {
		err = errors.Join(err, t.work.Close())
	}
	return err
}

// Clean removes the work folder with everything that dead writers left there.
// No file may be in the making.
func (t *Tree) Clean() error {
	names, err := t.work.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := unix.Unlinkat(fd(t.work), name, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return unix.Unlinkat(fd(t.dir), t.name, unix.AT_REMOVEDIR)
}

// Read opens a regular file for reading: fs.ErrNotExist if nothing has its
// name, *InTheWay if something else has.
func (t *Tree) Read(name string) (*os.File, error) {
	dir, err := t.parent(name, false)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	// Without O_NONBLOCK a pipe of that name would hang here.
	f, err := openAt(dir, path.Base(name), unix.O_RDONLY|unix.O_NONBLOCK)
	if errors.Is(err, unix.ELOOP) {
		return nil, &InTheWay{name, "a link"}
	} else if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		what := "something that is no file"
		if info.IsDir() {
			what = "a folder"
		}
		err = &InTheWay{name, what}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Link gives the file from a second name, as Commit does. It fails with
// errors.ErrUnsupported on a file system that has no such thing.
func (t *Tree) Link(from, to string, replace bool) error {
	old, err := t.parent(from, false)
	if err != nil {
		return err
	}
	defer old.Close()
	dir, err := t.parent(to, true)
	if err != nil {
		return err
	}
	defer dir.Close()
	err = unix.Linkat(fd(old), path.Base(from), fd(dir), path.Base(to), 0)
	if replace && errors.Is(err, unix.EEXIST) {
		if err = unix.Unlinkat(fd(dir), path.Base(to), 0); err == nil {
			err = unix.Linkat(fd(old), path.Base(from), fd(dir), path.Base(to), 0)
		}
	}
	if noLinks(err) {
		return errors.ErrUnsupported
	}
	return named(to, err)
}

// noLinks: exFAT and SMB have no hard links, and others only so many.
func noLinks(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EMLINK)
}

// Free returns the bytes that may still be written.
func (t *Tree) Free() (int64, error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(fd(t.dir), &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// parent opens the directory that name is in; missing ones are made if asked
// for.
func (t *Tree) parent(name string, make bool) (*os.File, error) {
	if !fs.ValidPath(cleanBytes(name)) || name == "." || strings.HasPrefix(name+"/", t.name+"/") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	at, err := openAt(t.dir, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	folders := strings.Split(name, "/")
	for i, folder := range folders[:len(folders)-1] {
		next, err := openDir(at, folder, make)
		at.Close()
		if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			return nil, &InTheWay{path.Join(folders[:i+1]...), "a link or a file"}
		} else if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		at = next
	}
	return at, nil
}

// cleanBytes makes a name that is no UTF-8 pass fs.ValidPath, which wants
// text, without touching what it is about.
func cleanBytes(name string) string { return strings.ToValidUTF8(name, "?") }

func openDir(at *os.File, name string, make bool) (*os.File, error) {
	d, err := openAt(at, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if !make || !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	if err := unix.Mkdirat(fd(at), name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return openAt(at, name, unix.O_RDONLY|unix.O_DIRECTORY)
}

func openAt(at *os.File, name string, flags int) (*os.File, error) {
	for {
		n, err := unix.Openat(fd(at), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err == nil {
			return os.NewFile(uintptr(n), name), nil
		}
		if !errors.Is(err, unix.EINTR) { // of a network file system
			return nil, err
		}
	}
}

func fd(f *os.File) int { return int(f.Fd()) }

func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: "write", Path: name, Err: err}
}
