package storetest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Shape of a Line, the same in both directions. The zero value is none.
type Shape struct {
	Delay time.Duration // of every byte, one way
	Rate  int64         // bytes a second of all connections together; 0 for any
}

// Line is a TCP proxy that makes a server on this machine one that is far
// away, or at the end of a line that carries little. Connections share its
// rate in turn, a small piece each, as they do on a real line; on it is
// hardly more than what the delay keeps there, so that who sends feels it at
// once. What it does not have: losses, and the slow start of TCP over a long way.
type Line struct {
	Endpoint string // in place of the server's

	shape  Shape
	target string
	listen net.Listener
	up     way
	down   way
	ctx    context.Context // of all connections
	cancel context.CancelFunc
	all    sync.WaitGroup
}

const (
	pieceMost = 32 << 10
	pieces    = 256 // of a connection that are on their way

	// A narrow line takes in what a few packets of a connection are, or what
	// passes in so many milliseconds; what is more waits at the sender.
	lineBuffer     = 32 << 10
	lineBufferTime = 20 * time.Millisecond

	// Packets are as long as on Ethernet: those inside of a machine hold 64 KiB,
	// more than that.
	lineSegment = 1448

	// A line does not wait for the scheduler of this machine: what did not pass
	// because we were late passes then, if it came from so long ago.
	lineLate = time.Second / 2
)

// NewLine starts a Line to the server at endpoint, a http URL.
func NewLine(endpoint string, shape Shape) (*Line, error) {
	target, err := hostOf(endpoint)
	if err != nil {
		return nil, err
	}
	l := &Line{shape: shape, target: target}
	l.up.rate, l.down.rate = shape.Rate, shape.Rate
	l.ctx, l.cancel = context.WithCancel(context.Background())
	conf := net.ListenConfig{Control: l.narrow}
	if l.listen, err = conf.Listen(l.ctx, "tcp", "127.0.0.1:0"); err != nil {
		l.cancel()
		return nil, err
	}
	l.Endpoint = "http://" + l.listen.Addr().String()
	l.all.Go(l.accept)
	return l, nil
}

// Close cuts all connections, and returns when nothing is left of them.
func (l *Line) Close() error {
	l.cancel()
	err := l.listen.Close()
	l.all.Wait()
	return err
}

// Moved returns the bytes that were sent to the server and by it, heads of
// requests and answers included.
func (l *Line) Moved() (up, down int64) { return l.up.moved.Load(), l.down.moved.Load() }

// narrow makes the buffers of what is accepted small, which has to be done
// before it is listened for.
func (l *Line) narrow(_, _ string, c syscall.RawConn) (err error) {
	if l.shape.Rate == 0 {
		return nil
	}
	buffer := max(lineBuffer, int(l.shape.Rate*int64(lineBufferTime)/int64(time.Second)))
	controlErr := c.Control(func(fd uintptr) {
		err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, buffer),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, lineSegment))
	})
	return errors.Join(controlErr, err)
}

func (l *Line) accept() {
	for {
		client, err := l.listen.Accept()
		if err != nil {
			return // closed
		}
		l.all.Go(func() { l.serve(client) })
	}
}

// serve joins client with a connection of its own to the server, until both
// have said all, or either is cut.
func (l *Line) serve(client net.Conn) {
	defer client.Close()
	var dialer net.Dialer
	server, err := dialer.DialContext(l.ctx, "tcp", l.target)
	if err != nil {
		return
	}
	defer server.Close()
	ctx, cut := context.WithCancel(l.ctx)
	defer cut()
	defer context.AfterFunc(ctx, func() { client.Close(); server.Close() })()
	var both sync.WaitGroup
	both.Go(func() { l.pass(ctx, cut, server, client, &l.up) })
	both.Go(func() { l.pass(ctx, cut, client, server, &l.down) })
	both.Wait()
}

// way is one direction of a Line.
type way struct {
	rate  int64
	moved atomic.Int64

	mu   sync.Mutex // guards free
	free time.Time  // when all that was let in has passed
}

// pass returns when n bytes have passed, after those that came before them.
func (w *way) pass(ctx context.Context, n int) error {
	w.moved.Add(int64(n))
	if w.rate == 0 {
		return ctx.Err()
	}
	w.mu.Lock()
	if least := time.Now().Add(-lineLate); w.free.Before(least) {
		w.free = least
	}
	w.free = w.free.Add(time.Duration(float64(n) / float64(w.rate) * float64(time.Second)))
	until := w.free
	w.mu.Unlock()
	return sleep(ctx, time.Until(until))
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// piece is some bytes on their way.
type piece struct {
	bytes []byte
	due   time.Time
}

// pass brings one direction of a connection from from to to. It has one piece
// at a time on the narrow part, so all connections have their turn.
func (l *Line) pass(ctx context.Context, cut func(), to, from net.Conn, w *way) {
	far := make(chan piece, pieces)
	var arriving sync.WaitGroup
	arriving.Go(func() { arrive(ctx, cut, to, far) })
	defer arriving.Wait()
	defer close(far)
	buf := make([]byte, pieceMost)
	if w.rate > 0 { // so that hardly anybody waits long
		buf = buf[:min(pieceMost, max(lineSegment, w.rate/128))]
	}
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if w.pass(ctx, n) != nil {
				return
			}
			select {
			case far <- piece{append([]byte(nil), buf[:n]...), time.Now().Add(l.shape.Delay)}:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				cut()
			}
			return
		}
	}
}

// arrive writes what is due.
func arrive(ctx context.Context, cut func(), to net.Conn, far <-chan piece) {
	for p := range far {
		if sleep(ctx, time.Until(p.due)) != nil {
			break
		}
		if _, err := to.Write(p.bytes); err != nil {
			cut()
			break
		}
	}
	for range far { // until from's side has noticed
	}
	if c, ok := to.(*net.TCPConn); ok {
		c.CloseWrite()
	}
}
