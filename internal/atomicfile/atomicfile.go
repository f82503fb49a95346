// Package atomicfile writes a file that appears under its name whole or not
// at all, and never in the place of another one.
package atomicfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"time"
)

// TempPrefix begins the names of files that are not whole yet.
const TempPrefix = ".lf-tmp-"

// File is being written. It is for one goroutine.
type File struct {
	root       *os.Root
	f          *os.File
	temp, name string
}

// Create begins to write name, which is slash-separated and below root, in a
// directory that exists.
func Create(root *os.Root, name string, perm fs.FileMode) (*File, error) {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	temp := path.Join(path.Dir(name), TempPrefix+hex.EncodeToString(b[:]))
	f, err := root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	return &File{root: root, f: f, temp: temp, name: name}, nil
}

func (f *File) Write(p []byte) (int, error) { return f.f.Write(p) }

// SetModTime sets the time that the file will show.
func (f *File) SetModTime(t time.Time) error { return f.root.Chtimes(f.temp, t, t) }

// Commit gives the file its name, unless one of that name is there: then it
// fails with fs.ErrExist. It does not sync: see SyncTree.
func (f *File) Commit() error {
	if err := f.f.Close(); err != nil {
		return errors.Join(err, f.root.Remove(f.temp))
	}
	f.f = nil
	// A hard link never replaces. Where there are none (exFAT, SMB), a look
	// before the rename is all that can be done.
	err := f.root.Link(f.temp, f.name)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return errors.Join(err, f.root.Remove(f.temp))
	}
	if _, err := f.root.Lstat(f.name); err == nil {
		return errors.Join(fs.ErrExist, f.root.Remove(f.temp))
	}
	return f.root.Rename(f.temp, f.name)
}

// Discard removes what was written, unless Commit was called.
func (f *File) Discard() {
	if f.f != nil {
		f.f.Close()
		f.root.Remove(f.temp)
		f.f = nil
	}
}
