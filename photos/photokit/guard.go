package photokit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"

	"lightfast/photos"
	"lightfast/photos/photokit/protocol"
)

// glance is how often a request is looked at. In that time a helper may grow
// beyond its limit by what it can allocate.
const glance = 50 * time.Millisecond

// starved is a time without a glance that says more of this process than of
// its helper: it was stopped, or the machine is too busy for both.
const starved = 20 * glance

// limits of one request.
type limits struct {
	quiet time.Duration // without anything moving; 0 for none
	total time.Duration // 0 for none
	grace time.Duration // after a cancel; 0 kills at once
	file  string        // whose growth is movement
	moved func()        // told of movement
}

// request is what the goroutine that reads answers tells guard.
type request struct {
	id      atomic.Int64
	moves   atomic.Int64
	waiting atomic.Bool // for the taker of data: silence is not the helper's
	over    atomic.Bool // nobody wants more of it
}

func (r *request) move() { r.moves.Add(1) }

// guarded calls f, which reads answers, and meanwhile kills the helper when it
// is too large, too slow, or not wanted any more.
func (h *helper) guarded(ctx context.Context, l limits, f func(*request) error) error {
	r, stop, done := &request{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		h.guard(ctx, l, r, stop)
	}()
	err := f(r)
	close(stop)
	<-done
	if _, ok := errors.AsType[*photos.FetchError](err); ok && ctx.Err() != nil {
		return ctx.Err() // which is why it failed
	}
	return err
}

func (h *helper) guard(ctx context.Context, l limits, r *request, stop <-chan struct{}) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	ended := ctx.Done()
	var (
		moves, size int64
		begun       = time.Now()
		last        = begun
		seen        = begun       // at the glance before
		waited      time.Duration // for the taker, or for a processor
		unwanted    time.Time     // since when
	)
	for {
		select {
		case <-stop:
			return
		case <-ended:
			ended = nil
			r.over.Store(true)
		case <-tick.C:
		}
		now := time.Now()
		if r.over.Load() && unwanted.IsZero() {
			unwanted = now
			if l.grace > 0 {
				h.in.Message(protocol.Request{Op: protocol.Cancel, ID: r.id.Load()}) // a dead helper is noticed elsewhere
			}
		}
		n, err := footprint(h.cmd.Process.Pid)
		if err == nil {
			h.saw(n)
		}
		if m := r.moves.Load(); m != moves {
			moves, last = m, now
			l.tell()
		}
		if l.file != "" {
			if info, err := os.Lstat(l.file); err == nil && info.Size() != size {
				size, last = info.Size(), now
				l.tell()
			}
		}
		if gap := now.Sub(seen); gap > starved || r.waiting.Load() {
			waited, last = waited+gap, last.Add(gap)
		}
		seen = now
		switch {
		case err == nil && n > h.c.o.MaxFootprint:
			h.c.count(func(s *Stats) { s.TooLarge++ })
			h.kill(tooLarge(n, h.c.o.MaxFootprint))
		case !unwanted.IsZero() && now.Sub(unwanted) >= l.grace:
			h.kill(&restart{last: &photos.FetchError{Class: photos.FetchAgain, Text: "canceled"}})
		case l.quiet > 0 && now.Sub(last) > l.quiet:
			h.c.count(func(s *Stats) { s.Silent++ })
			h.kill(silent(fmt.Sprintf("Photos was silent for %v", l.quiet)))
		case l.total > 0 && now.Sub(begun)-waited > l.total:
			h.c.count(func(s *Stats) { s.Silent++ })
			h.kill(silent(fmt.Sprintf("Photos took more than %v", l.total)))
		default:
			continue
		}
		return
	}
}

func (l limits) tell() {
	if l.moved != nil {
		l.moved()
	}
}

func silent(text string) *restart {
	return &restart{last: &photos.FetchError{Class: photos.FetchAgain, Text: text}}
}

func tooLarge(n, limit int64) *restart {
	return &restart{most: 2, last: &photos.FetchError{Class: photos.FetchSkip,
		Text: fmt.Sprintf("Photos took %s of memory to read it, more than %s", humanize.IBytes(uint64(n)), humanize.IBytes(uint64(limit)))}}
}
