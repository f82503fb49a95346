package s3

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// sendPiece is what the kernel is asked to send at once.
const sendPiece = 256 << 10

// conn is a connection on which the kernel sends a body that is a file: no byte
// of it passes through this process. What is encrypted on its way does.
type conn struct{ *net.TCPConn }

var _ io.ReaderFrom = conn{}

// ReadFrom is how net/http sends a body, with the head of a request before it.
func (c conn) ReadFrom(r io.Reader) (n int64, err error) {
	l, ok := r.(*io.LimitedReader)
	if !ok {
		return c.TCPConn.ReadFrom(r)
	}
	if m, ok := l.R.(*moving); ok && m.file != nil {
		n, err = m.sendTo(c.TCPConn, l.N)
		if l.N -= n; !errors.Is(err, errNoSend) {
			return n, err
		}
	}
	piece := pieces.Get().(*[copyPiece]byte)
	defer pieces.Put(piece)
	rest, err := io.CopyBuffer(struct{ io.Writer }{c.TCPConn}, r, piece[:])
	return n + rest, err
}

// copyPiece is what a body that is no file is copied by. Made anew for each
// request it was a sixth of what 8,000 small ones left to the collector.
const copyPiece = 32 << 10

var pieces = sync.Pool{New: func() any { return new([copyPiece]byte) }}

// errNoSend: the rest has to be read and written. That tells, too, whose error
// it was that the kernel gave for both.
var errNoSend = errors.New("not to be sent by the kernel")

// sendTo sends n bytes of the file, in pieces as Read would give them.
func (m *moving) sendTo(to *net.TCPConn, n int64) (sent int64, err error) {
	raw, err := to.SyscallConn()
	if err != nil {
		return 0, errNoSend
	}
	for sent < n {
		piece := m.limit.Most(min(n-sent, sendPiece))
		m.clock.hold()
		if err := m.limit.Wait(m.ctx, piece); err != nil {
			return sent, err
		}
		m.clock.touch()
		for done := 0; done < piece; {
			k, err := m.file.send(raw, piece-done)
			done, sent = done+k, sent+int64(k)
			if err != nil {
				return sent, err
			}
			m.clock.touch()
		}
	}
	return sent, nil
}

// send sends up to n bytes from where the body stands.
func (b *body) send(to syscall.RawConn, n int) (sent int, err error) {
	refused := to.Write(func(fd uintptr) bool {
		sent, err = b.sendNow(int(fd), n)
		return !errors.Is(err, unix.EAGAIN) // then it waits for the line, without the lock
	})
	switch {
	case refused != nil:
		return 0, refused
	case err == nil || sent > 0:
		return sent, nil
	}
	return 0, errNoSend
}

func (b *body) sendNow(to, n int) (sent int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	from := b.off + b.pos
	closed := b.file.Control(func(fd uintptr) {
		for sent, err = unix.Sendfile(to, int(fd), &from, n); errors.Is(err, unix.EINTR) && sent <= 0; {
			sent, err = unix.Sendfile(to, int(fd), &from, n)
		}
	})
	sent = max(sent, 0)
	b.pos += int64(sent)
	switch {
	case closed != nil:
		return 0, closed
	case sent == 0 && err == nil: // the file has become shorter
		return 0, io.ErrUnexpectedEOF
	}
	return sent, err
}

// fileOf returns the file that r is, if it is one.
func fileOf(r io.ReaderAt) syscall.RawConn {
	f, ok := r.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

type bodyKey struct{}

func withBody(ctx context.Context, b *body) context.Context {
	if b.file == nil {
		return ctx
	}
	return context.WithValue(ctx, bodyKey{}, b)
}

// bodyOf returns the body of a request of ours, if it is a file and minio-go
// sends it as it is.
func bodyOf(req *http.Request) *body {
	b, _ := req.Context().Value(bodyKey{}).(*body)
	if b == nil || req.ContentLength != b.size || req.URL.Scheme != "http" {
		return nil
	}
	return b
}
