// Package photokit brings originals from iCloud through Apple's Photos
// framework, as a [photos.Fetcher].
//
// The framework runs in processes of its own (photokit-helper), one request at
// a time in each, because nothing bounds what it may take or how long. A
// helper that grows beyond a limit, dies, throws, or falls silent is killed
// and replaced, and the request is made again: no read is lost by it. What
// comes must have the size that the library says, and is asked for by the
// framework's type of the resource, so that no smaller rendering passes for an
// original.
//
// Nothing is listed and nothing asked about but the asset being fetched.
package photokit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"lightfast/photos"
	"lightfast/photos/photokit/protocol"
)

// Options of a Client. The zero value of all but Helper is what a Mac needs.
type Options struct {
	Helper string   // path of photokit-helper
	Env    []string // added to its environment

	Readers int // helpers at most, and so requests at once: 1

	MaxFootprint  int64         // a helper beyond it is killed: 300 MiB
	SoftFootprint int64         // one beyond it is replaced after its request: half of MaxFootprint
	Requests      int           // after so many requests a helper is replaced: 200
	Age           time.Duration // and after so long: 30 min

	Attempts   int           // of a request in helpers anew: 3
	Pause      time.Duration // before the second attempt, doubled before each further: 100 ms
	Start      time.Duration // a helper that says nothing for so long does not start: 20 s
	Quiet      time.Duration // a request in which nothing moves for so long hangs: 120 s
	QuietLocal time.Duration // the same where the file is said to be on this disk: 30 s
	Least      time.Duration // a request may take this and the time that its size takes at Slowest: one minute
	Slowest    int64         // 64 KiB/s
	Grace      time.Duration // a canceled push may take so long to end: 1 s

	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Readers = max(o.Readers, 1)
	fill(&o.MaxFootprint, 300<<20)
	fill(&o.SoftFootprint, o.MaxFootprint/2)
	fill(&o.Requests, 200)
	fill(&o.Age, 30*time.Minute)
	fill(&o.Attempts, 3)
	fill(&o.Pause, 100*time.Millisecond)
	fill(&o.Start, 20*time.Second)
	fill(&o.Quiet, 120*time.Second)
	fill(&o.QuietLocal, 30*time.Second)
	fill(&o.Least, time.Minute)
	fill(&o.Slowest, 64<<10)
	fill(&o.Grace, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func fill[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// Client is a photos.Fetcher. It starts a helper when the first is needed.
type Client struct {
	o       Options
	readers chan *reader // those that are free
	done    context.Context
	close   context.CancelCauseFunc

	blind sync.Once // is told once

	mu    sync.Mutex // guards stats
	stats Stats
}

var _ photos.Fetcher = (*Client)(nil)

// Stats count what became of helpers.
type Stats struct {
	Started  int
	Recycled int   // replaced between requests
	Died     int   // ended by themselves
	Silent   int   // killed because nothing moved, or for too long
	TooLarge int   // killed at MaxFootprint
	Peak     int64 // the largest footprint seen
}

// New returns a client that has started nothing yet.
func New(o Options) *Client {
	o = o.withDefaults()
	c := &Client{o: o, readers: make(chan *reader, o.Readers)}
	c.done, c.close = context.WithCancelCause(context.Background())
	for range o.Readers {
		c.readers <- &reader{c: c}
	}
	return c
}

// Stats returns the counts so far.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

func (c *Client) count(f func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.stats)
}

// errClosed ends what is at work when the client is closed.
var errClosed = &photos.FetchError{Class: photos.FetchStop, Text: "the reader of iCloud originals is closed", Err: os.ErrClosed}

// Close ends calls that are at work and waits for the helpers to end.
func (c *Client) Close() error {
	c.close(errClosed)
	var free []*reader
	for range cap(c.readers) {
		r := <-c.readers
		r.retire()
		free = append(free, r)
	}
	for _, r := range free {
		c.readers <- r // so that Close may be called again
	}
	return nil
}

// restart is the end of an attempt that a new helper may improve.
type restart struct {
	last *photos.FetchError // what it is after the last attempt
	most int                // attempts, or 0 for the client's own limit
}

func (r *restart) Error() string { return r.last.Error() }
func (r *restart) Unwrap() error { return r.last }

// try makes attempts, each in a helper that is ready.
func (c *Client) try(ctx context.Context, attempt func(context.Context, *helper) error) error {
	caller := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.done, func() { cancel(errClosed) })()
	err := c.attempts(ctx, attempt)
	switch {
	case caller.Err() != nil && errors.Is(err, context.Canceled), caller.Err() != nil && errors.Is(err, context.DeadlineExceeded):
		return caller.Err()
	case errors.Is(err, context.Canceled) && c.done.Err() != nil:
		return errClosed
	}
	return err
}

func (c *Client) attempts(ctx context.Context, attempt func(context.Context, *helper) error) error {
	if c.done.Err() != nil {
		return errClosed
	}
	var r *reader
	select {
	case r = <-c.readers:
		defer func() { c.readers <- r }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := r.attempt(ctx, attempt)
		again, ok := errors.AsType[*restart](err)
		if !ok {
			return err
		}
		r.retire()
		most := c.o.Attempts
		if again.most > 0 {
			most = min(most, again.most)
		}
		c.o.Log.Info("photokit helper is replaced", "why", again.last.Text, "err", again.last.Err, "attempt", n, "of", most)
		if n >= most {
			return again.last
		}
		select {
		case <-time.After(c.o.Pause << (n - 1)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reader is the place of one helper.
type reader struct {
	c *Client
	h *helper // nil before the first request and after a failed one
}

func (r *reader) attempt(ctx context.Context, f func(context.Context, *helper) error) error {
	if h := r.h; h != nil && (h.ended() || h.worn()) {
		if !h.ended() {
			r.c.count(func(s *Stats) { s.Recycled++ })
		}
		r.retire()
	}
	if r.h == nil {
		h, err := start(ctx, r.c)
		if err != nil {
			return err
		}
		r.h = h
	}
	r.h.served++
	return f(ctx, r.h)
}

// retire ends the helper, which loses nothing of a request that is over.
func (r *reader) retire() {
	if r.h != nil {
		r.h.end()
		r.h = nil
	}
}

// Shows implements photos.Fetcher.
func (c *Client) Shows(ctx context.Context, ids []photos.AssetID) (int, error) {
	n := 0
	for len(ids) > 0 {
		batch := make([]string, min(len(ids), protocol.MaxAssets))
		for i := range batch {
			batch[i] = string(ids[i])
		}
		ids = ids[len(batch):]
		err := c.try(ctx, func(ctx context.Context, h *helper) error {
			if err := h.permitted(); err != nil {
				return err
			}
			a, err := h.ask(ctx, protocol.Request{Op: protocol.Shows, Assets: batch}, c.o.QuietLocal)
			n += a.Count
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// Info is what a helper tells of itself and of the framework it found.
type Info struct {
	Status  Status
	Missing []string // methods without which nothing can be fetched
	Changed []string // methods of another type than is known, which may be harmless
}

// Info asks a helper, without a question to the user.
func (c *Client) Info(ctx context.Context) (info Info, err error) {
	err = c.try(ctx, func(_ context.Context, h *helper) error {
		info = h.info
		return nil
	})
	return info, err
}

// Authorize lets the system ask the user for the permission to read photos and
// waits for the answer, as long as ctx allows. It is for a person at the
// screen: nothing else in this package makes the system ask.
func (c *Client) Authorize(ctx context.Context) (status Status, err error) {
	err = c.try(ctx, func(ctx context.Context, h *helper) error {
		if len(h.info.Missing) > 0 {
			return h.permitted()
		}
		const aPerson = 0 // is waited for without a limit
		a, err := h.ask(ctx, protocol.Request{Op: protocol.Authorize}, aPerson)
		status = Status(a.Status)
		h.requests = 0 // a library opened before the grant stays closed to its process
		return err
	})
	return status, err
}

// Status is the system's permission for photos.
type Status int

const (
	NotDetermined Status = iota // the user was not asked yet
	Restricted                  // by a profile or Screen Time
	Denied
	Authorized
	Limited // to photos that the user selected
)

func (s Status) String() string {
	if names := []string{"not determined", "restricted", "denied", "authorized", "limited"}; s >= 0 && int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("unknown (%d)", int(s))
}
