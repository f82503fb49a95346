package s3

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
)

// body is a request's body on the caller's bytes. net/http may read on after
// it has returned an answer; close waits for the last read, so that the caller
// may unmap its buffer. It has no WriteTo for the same reason.
type body struct {
	src       io.ReaderAt
	file      syscall.RawConn // what src is, or nil
	off, size int64
	abort     context.CancelFunc // ends the attempts when src fails

	mu  sync.Mutex // guards what follows and every use of src
	pos int64
	err error // what src said, or io.ErrClosedPipe
}

// sourceError is what the caller's own reader said. It is no fault of the
// store, so it has no class.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return "read source: " + e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	if b.pos >= b.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.size-b.pos)]
	n, err := b.src.ReadAt(p, b.off+b.pos)
	b.pos += int64(n)
	if n == len(p) {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	b.err = &sourceError{err}
	b.abort()
	return n, b.err
}

// Seek goes to the start, which is all that a retry asks for.
func (b *body) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekStart {
		return 0, errors.New("body: seek elsewhere than to the start")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pos = 0
	return 0, nil
}

// close ends all reading and returns what the source said against it.
func (b *body) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.err
	b.err = io.ErrClosedPipe
	return err
}
