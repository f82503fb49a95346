package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lightfast/internal/ratelimit"
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
	limit  ratelimit.Line
	ctx    context.Context // of all connections
	cancel context.CancelFunc
	all    sync.WaitGroup

	up, down atomic.Int64
}

const (
	pieceMost = 32 << 10
	pieces    = 256 // of a connection that are on their way

	// A narrow line takes in as much as a few packets of a connection; what is
	// more waits at the sender. Packets are as long as on Ethernet: those of
	// this machine alone hold 64 KiB, more than that.
	lineBuffer  = 32 << 10
	lineSegment = 1448
)

// NewLine starts a Line to the server at endpoint, a http URL.
func NewLine(endpoint string, shape Shape) (*Line, error) {
	target, err := hostOf(endpoint)
	if err != nil {
		return nil, err
	}
	l := &Line{shape: shape, target: target}
	if shape.Rate > 0 {
		for _, limit := range []**ratelimit.Limiter{&l.limit.Up, &l.limit.Down} {
			table, err := ratelimit.ParseTable(fmt.Sprintf("%db", shape.Rate))
			if err != nil {
				return nil, err
			}
			*limit = ratelimit.New(table)
		}
	}
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
func (l *Line) Moved() (up, down int64) { return l.up.Load(), l.down.Load() }

// narrow makes the buffers of what is accepted small, which has to be done
// before it is listened for.
func (l *Line) narrow(_, _ string, c syscall.RawConn) (err error) {
	if l.shape.Rate == 0 {
		return nil
	}
	controlErr := c.Control(func(fd uintptr) {
		err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, lineBuffer),
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
	both.Go(func() { l.pass(ctx, cut, server, client, l.limit.Up, &l.up) })
	both.Go(func() { l.pass(ctx, cut, client, server, l.limit.Down, &l.down) })
	both.Wait()
}

// piece is some bytes on their way.
type piece struct {
	bytes []byte
	due   time.Time
}

// pass brings one direction of a connection from from to to.
func (l *Line) pass(ctx context.Context, cut func(), to, from net.Conn, limit *ratelimit.Limiter, moved *atomic.Int64) {
	way := make(chan piece, pieces)
	var arriving sync.WaitGroup
	arriving.Go(func() { arrive(ctx, cut, to, way) })
	defer arriving.Wait()
	defer close(way)
	buf := make([]byte, pieceMost)
	for {
		n, err := from.Read(limit.Piece(buf))
		if n > 0 {
			if limit.Wait(ctx, n) != nil {
				return
			}
			moved.Add(int64(n))
			select {
			case way <- piece{append([]byte(nil), buf[:n]...), time.Now().Add(l.shape.Delay)}:
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
func arrive(ctx context.Context, cut func(), to net.Conn, way <-chan piece) {
	for p := range way {
		if wait := time.Until(p.due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
		if _, err := to.Write(p.bytes); err != nil {
			cut()
			break
		}
	}
	for range way { // until from's side has noticed
	}
	if c, ok := to.(*net.TCPConn); ok {
		c.CloseWrite()
	}
}
