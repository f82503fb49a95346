package atomicfile

import (
	"errors"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"
)

// ID is what a file without a name is known by in another process. The zero
// value is of none.
type ID struct {
	Temp  string `json:"temp"`
	Inode uint64 `json:"inode"`
	Size  int64  `json:"size"`
}

// ErrBusy means that somebody else is writing the file.
var ErrBusy = errors.New("another attempt is writing this file")

// Reserve gives the file its full size, with holes, and an ID for Reopen. That
// is the zero ID where files cannot be locked: two writers of one file, of
// which one gives it its name, must not be.
func (f *File) Reserve(size int64) (ID, error) {
	if err := f.f.Truncate(size); err != nil {
		return ID{}, err
	}
	if err := unix.Flock(fd(f.f), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return ID{}, nil
	}
	return f.id()
}

func (f *File) id() (ID, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd(f.f), &st); err != nil {
		return ID{}, err
	}
	if uint32(st.Mode)&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 {
		return ID{}, fs.ErrNotExist
	}
	return ID{f.temp, st.Ino, st.Size}, nil
}

// Reopen goes on with a file that was closed, or whose writer died. It fails
// with fs.ErrNotExist if there is none, or another one under its name, and with
// ErrBusy while it is open elsewhere. What is in it is for the caller to check.
func (t *Tree) Reopen(id ID) (*File, error) {
	if id == (ID{}) || id.Temp != path.Base(id.Temp) {
		return nil, fs.ErrNotExist
	}
	f, err := openAt(t.work, id.Temp, unix.O_RDWR|unix.O_NONBLOCK)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EISDIR) {
		return nil, fs.ErrNotExist
	} else if err != nil {
		return nil, named(id.Temp, err)
	}
	file := t.file(f, id.Temp)
	switch found, err := file.id(); {
	case err != nil:
		return nil, errors.Join(err, file.Close())
	case found != id:
		return nil, errors.Join(fs.ErrNotExist, file.Close())
	}
	switch err := unix.Flock(fd(f), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, errors.Join(ErrBusy, file.Close())
	case err != nil:
		return nil, errors.Join(fs.ErrNotExist, file.Close())
	}
	return file, nil
}
