// Package ratelimit holds bytes back to a rate that may depend on the time of
// the day and may be changed at any moment, also while somebody waits.
//
// Whoever shares a Limiter passes in turn, a small piece each: sixteen requests
// get a sixteenth each, and a small one never waits for the whole of a large one.
package ratelimit

import (
	"context"
	"sync"
	"time"
)

// Limiter is a token bucket in bytes, safe for many goroutines. Nil is one
// that lets everything pass.
type Limiter struct {
	turn chan struct{} // held by the first in the queue; Go serves senders in order

	mu     sync.Mutex // guards all below
	table  Table
	credit float64 // bytes that may pass now; negative while they are paid off
	at     time.Time
}

// Line limits both directions. The zero value limits neither.
type Line struct{ Up, Down *Limiter }

const (
	largest  = 64 << 10
	smallest = 512

	// A piece is what passes in this time, so that all who share a low rate
	// keep moving: what does not move is taken for dead, here and at stores.
	pieceTime = time.Second / 32

	// Credit is kept for as long as timers and the scheduler may be late, so
	// that the rate is held. Who has rested longer gets no more for it.
	creditTime = time.Second / 8

	// A change of the rate is seen after so long at the latest.
	lookTime = time.Second
)

// New returns a Limiter that follows t.
func New(t Table) *Limiter {
	return &Limiter{turn: make(chan struct{}, 1), table: t}
}

// Set has the limiter follow t from now on.
func (l *Limiter) Set(t Table) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.table = t
}

// Rate returns the bytes a second that may pass now; 0 for any number.
func (l *Limiter) Rate() int64 {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table.At(time.Now())
}

// Most returns how many of n bytes to move before Wait is called again.
func (l *Limiter) Most(n int64) int {
	if rate := l.Rate(); rate > 0 {
		n = min(n, int64(pieceOf(rate)))
	}
	return int(n)
}

// Piece returns the beginning of b to move before Wait is called again.
func (l *Limiter) Piece(b []byte) []byte { return b[:l.Most(int64(len(b)))] }

func pieceOf(rate int64) int {
	return int(min(max(rate*int64(pieceTime)/int64(time.Second), smallest), largest))
}

// Wait returns when n more bytes may pass, or with the error of ctx.
func (l *Limiter) Wait(ctx context.Context, n int) error {
	for n > 0 {
		rate := l.Rate()
		if rate == 0 {
			return ctx.Err()
		}
		piece := min(n, pieceOf(rate))
		if err := l.pass(ctx, piece); err != nil {
			return err
		}
		n -= piece
	}
	return ctx.Err()
}

// pass waits for its turn and for the rate.
func (l *Limiter) pass(ctx context.Context, n int) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		rest := l.take(n)
		if rest == 0 {
			return nil
		}
		timer := time.NewTimer(min(rest, lookTime))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// take takes n bytes, or returns how long it will be until it can.
func (l *Limiter) take(n int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	rate := float64(l.table.At(now))
	if rate == 0 {
		l.credit, l.at = 0, now
		return 0
	}
	l.credit = min(l.credit+rate*now.Sub(l.at).Seconds(), rate*creditTime.Seconds())
	l.at = now
	if l.credit < 0 {
		return max(time.Duration(-l.credit/rate*float64(time.Second)), time.Microsecond)
	}
	l.credit -= float64(n)
	return 0
}
