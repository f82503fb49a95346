package dir

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"lightfast/objectstore"
)

// fail turns what the system said into an *objectstore.Error. The end of a
// context and what has a class already pass as they are.
func fail(op, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case objectstore.ClassOf(err) != "":
		return err
	}
	if s, ok := errors.AsType[*sourceError](err); ok {
		return s
	}
	class := classOf(err)
	if err == error(class) {
		err = nil // a bare class says all
	}
	return &objectstore.Error{Class: class, Op: op, Key: key, Err: err}
}

func classOf(err error) objectstore.Class {
	if c, ok := errors.AsType[objectstore.Class](err); ok {
		return c
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	if _, isPath := errors.AsType[*fs.PathError](err); isPath && !ok {
		return objectstore.Invalid // os.Root: a symbolic link that leaves the root
	}
	switch errno {
	case syscall.ENOSPC, syscall.EDQUOT:
		return objectstore.Full
	case syscall.ENAMETOOLONG, syscall.EINVAL, syscall.EFBIG, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP:
		return objectstore.Invalid
	}
	switch { // EACCES and EPERM, ENOENT, EEXIST
	case errno == syscall.EROFS, errors.Is(err, fs.ErrPermission):
		return objectstore.Denied
	case errors.Is(err, fs.ErrNotExist):
		return objectstore.NotFound
	case errors.Is(err, fs.ErrExist):
		return objectstore.Exists
	}
	// EIO, ESTALE, ENODEV, ENXIO, ETIMEDOUT, EMFILE and what nobody foresaw:
	// the disk or share may come back.
	return objectstore.Unavailable
}

// sourceError is what the caller's own reader said. It is no fault of the
// store, so it has no class.
type sourceError struct {
	key string
	err error
}

func (e *sourceError) Error() string { return "put " + e.key + ": read source: " + e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }
