package main

import (
	"io"
	"os"
	"sync"
	"time"

	"lightfast/photos/photokit/framework"
	"lightfast/photos/photokit/protocol"
)

// pace of answers that only tell of progress.
const pace = 100 * time.Millisecond

type server struct {
	framework *framework.Framework
	out       *protocol.Writer

	mu       sync.Mutex // guards the rest
	running  int64      // the fetch at work, or 0
	canceled bool
	cancel   func() // nil as long as it cannot be canceled
}

// answer ends the process where nobody listens any more.
func (s *server) answer(a protocol.Answer) {
	if s.out.Message(a) != nil {
		os.Exit(0)
	}
}

// read takes requests until the input ends, and the process with it, whatever
// the framework is doing then.
func (s *server) read(in io.Reader, requests chan<- protocol.Request) {
	for r := protocol.NewReader(in); ; {
		var q protocol.Request
		if r.Message(&q) != nil {
			os.Exit(0)
		}
		if q.Op == protocol.Cancel {
			s.stop(q.ID)
			continue
		}
		requests <- q
	}
}

func (s *server) serve(requests <-chan protocol.Request) {
	for q := range requests {
		a := protocol.Answer{Op: q.Op, ID: q.ID}
		switch q.Op {
		case protocol.Authorize:
			status := make(chan int, 1)
			s.framework.Authorize(func(s int) { status <- s })
			a.Status = <-status
		case protocol.Shows:
			a.Count = s.framework.Shows(q.Assets)
		case protocol.Resources:
			a.Resources, a.Error = s.framework.Resources(q.Asset)
		case protocol.Fetch:
			a.Size, a.Error = s.fetch(q)
		default:
			a.Error = protocol.Fault(protocol.NotStarted, "unknown request "+string(q.Op))
		}
		s.answer(a)
	}
}

func (s *server) fetch(q protocol.Request) (size int64, err protocol.Chain) {
	if q.Resource == nil {
		return 0, protocol.Fault(protocol.NotStarted, "no resource named")
	}
	s.mu.Lock()
	s.running, s.canceled, s.cancel = q.ID, false, nil
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running = 0
		s.mu.Unlock()
	}()
	var told time.Time // progress comes from one thread at a time
	done := make(chan protocol.Chain, 1)
	cancel, err := s.framework.Start(framework.Request{
		Asset: q.Asset, Resource: *q.Resource, File: q.File,
		Data: func(b []byte) { // a full pipe holds the framework here
			size += int64(len(b))
			if s.out.Data(b) != nil {
				os.Exit(0)
			}
		},
		Progress: func(fraction float64) {
			if time.Since(told) > pace {
				told = time.Now()
				s.answer(protocol.Answer{Op: protocol.Progress, ID: q.ID, Fraction: fraction})
			}
		},
		Done: func(err protocol.Chain) { done <- err },
	})
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.cancel = cancel
	canceled := s.canceled
	s.mu.Unlock()
	if canceled && cancel != nil {
		cancel()
	}
	if err = <-done; err == nil && q.File != "" {
		if info, e := os.Lstat(q.File); e == nil {
			size = info.Size()
		}
	}
	return size, err
}

// stop cancels the fetch of that id, now or as soon as it can be.
func (s *server) stop(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != id {
		return
	}
	s.canceled = true
	if s.cancel != nil {
		go s.cancel() // may call handlers on this thread
	}
}
