package main

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// link is a TCP proxy that counts what clients send, or what they are sent,
// and holds it back from a certain count on.
type link struct {
	listener net.Listener
	upstream string
	answers  bool // they are counted

	mu      sync.Mutex // guards all below
	changed *sync.Cond
	n, hold int64
	held    chan struct{} // closed when n reaches hold
}

func newLink(t *testing.T, upstream string) *link { return newLinkOf(t, upstream, false) }

func newLinkOf(t *testing.T, upstream string, answers bool) *link {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{listener: l, upstream: upstream, answers: answers}
	k.changed = sync.NewCond(&k.mu)
	k.holdAt(1 << 62)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { k.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		k.holdAt(1 << 62)
		serving.Wait() // its clients are dead
	})
	return k
}

func (k *link) address() string { return k.listener.Addr().String() }

func (k *link) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", k.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	var there, back io.Writer = counted{k, server}, client
	if k.answers {
		there, back = server, counted{k, client}
	}
	var answering sync.WaitGroup
	answering.Go(func() {
		io.Copy(back, server)
		client.Close()
	})
	io.Copy(there, client)
	server.Close()
	answering.Wait()
}

// counted is one way of a link.
type counted struct {
	*link
	to net.Conn
}

func (c counted) Write(b []byte) (int, error) {
	c.mu.Lock()
	if c.n += int64(len(b)); c.n >= c.hold {
		select {
		case <-c.held:
		default:
			close(c.held)
		}
	}
	for c.n >= c.hold {
		c.changed.Wait()
	}
	c.mu.Unlock()
	return c.to.Write(b)
}

func (k *link) sent() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.n
}

// holdAt lets go of what is held, until n bytes were sent in all.
func (k *link) holdAt(n int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hold, k.held = n, make(chan struct{})
	k.changed.Broadcast()
}

func (k *link) waitHeld(t *testing.T) {
	t.Helper()
	k.waitHeldOr(t, nil)
}

// waitHeldOr is waitHeld for a process that may end before.
func (k *link) waitHeldOr(t *testing.T, gone <-chan struct{}) {
	t.Helper()
	k.mu.Lock()
	held := k.held
	k.mu.Unlock()
	select {
	case <-held:
	case <-gone:
	case <-time.After(patience):
		t.Fatalf("%d bytes sent, and no more come", k.sent())
	}
}
