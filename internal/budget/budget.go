// Package budget is the one byte budget of the process: the only way to get a
// buffer for content in flight, and leave to allocate one elsewhere.
//
// What is leased and what is kept for reuse is never more than the limit.
// A lease is at most half of it, so that two always fit side by side. A
// quarter is out of reach of large leases; small ones get along on it while a
// large one waits, and may use all that is free while none does. So neither
// can starve the other, and within its kind the first to ask is the first to
// be served.
//
// Buffers lie outside Go's heap: the collector would let a heap of buffers
// grow to twice its size.
package budget

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ErrTooLarge means that a lease of this size is never given: see Max.
var ErrTooLarge = errors.New("larger than half of the memory budget")

// Budget is safe for many goroutines.
type Budget struct {
	limit int64

	mu      sync.Mutex // guards all below
	inUse   int64
	byLarge int64 // of inUse
	held    map[*Lease]struct{}
	small   []*Lease // waiting, in order
	large   []*Lease
	idle    idle
}

// New returns a budget of limit bytes.
func New(limit int64) *Budget {
	return &Budget{limit: limit, held: map[*Lease]struct{}{}}
}

// Max is the largest lease.
func (b *Budget) Max() int64 { return b.limit / 2 }

// reserve is what large leases leave to small ones.
func (b *Budget) reserve() int64 { return b.limit / 4 }

// Acquire waits until n bytes are free and leases them. small is for what
// belongs to a small asset; more than a quarter of the budget never counts as
// small. It fails with ErrTooLarge, with the error of ctx, or when the system
// has no memory. Whoever holds a lease must not wait for another.
func (b *Budget) Acquire(ctx context.Context, n int64, small bool) (*Lease, error) {
	return b.AcquireBeside(ctx, n, 0, small)
}

// AcquireBeside leases n bytes of buffer as Acquire does, and with them
// beside bytes that have no buffer: what the caller will allocate itself, for
// a compressor say, until Release.
func (b *Budget) AcquireBeside(ctx context.Context, n, beside int64, small bool) (*Lease, error) {
	if n < 0 || beside < 0 || n > b.Max() || beside > b.Max()-n {
		return nil, fmt.Errorf("lease %d and %d bytes of %d: %w", n, beside, b.limit, ErrTooLarge)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	mapped := sizeClass(n, b.Max()-beside)
	size := mapped + beside
	l := &Lease{b: b, n: n, mapped: mapped, size: size, small: small && size <= b.reserve(), since: time.Now(), granted: make(chan struct{})}
	b.enqueue(l)
	select {
	case <-l.granted:
	case <-ctx.Done():
		if b.withdraw(l) {
			return nil, ctx.Err()
		}
	}
	if l.memory == nil && mapped > 0 {
		memory, err := mapMemory(mapped)
		if err != nil {
			l.Release()
			return nil, fmt.Errorf("map %d bytes: %w", mapped, err)
		}
		l.memory = memory
	}
	return l, nil
}

func (b *Budget) enqueue(l *Lease) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.small {
		b.small = append(b.small, l)
	} else {
		b.large = append(b.large, l)
	}
	b.grant()
}

// withdraw reports whether l was still waiting.
func (b *Budget) withdraw(l *Lease) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, queue := range []*[]*Lease{&b.small, &b.large} {
		if i := slices.Index(*queue, l); i >= 0 {
			*queue = slices.Delete(*queue, i, i+1)
			b.grant() // others may have waited behind it
			return true
		}
	}
	return false
}

// grant serves whoever can be served. b.mu is held.
func (b *Budget) grant() {
	for {
		switch {
		case len(b.large) > 0 && b.fitsLarge(b.large[0].size):
			b.give(b.large[0])
			b.large = b.large[1:]
		case len(b.small) > 0 && b.fitsSmall(b.small[0].size):
			b.give(b.small[0])
			b.small = b.small[1:]
		default:
			return
		}
	}
}

func (b *Budget) fitsLarge(size int64) bool {
	return b.inUse+size <= b.limit && b.byLarge+size <= b.limit-b.reserve()
}

func (b *Budget) fitsSmall(size int64) bool {
	if len(b.large) > 0 && b.inUse-b.byLarge+size > b.reserve() {
		return false
	}
	return b.inUse+size <= b.limit
}

func (b *Budget) give(l *Lease) {
	b.inUse += l.size
	if !l.small {
		b.byLarge += l.size
	}
	l.memory = b.idle.take(l.mapped)
	b.idle.shrink(b.limit - b.inUse)
	l.since = time.Now()
	b.held[l] = struct{}{}
	close(l.granted)
}

// Lease is a buffer that somebody has to release.
type Lease struct {
	b       *Budget
	n       int64 // of buffer, as asked for
	mapped  int64 // for it
	size    int64 // taken from the budget
	small   bool
	granted chan struct{}
	since   time.Time // waiting, then held; guarded by b.mu
	memory  []byte    // guarded by b.mu once granted
}

// Buffer returns the n bytes that were asked for, with whatever is in them.
// To touch them after Release crashes the process.
func (l *Lease) Buffer() []byte {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	return l.memory[:min(l.n, int64(len(l.memory)))]
}

// Release gives the bytes back. It may be called again.
func (l *Lease) Release() {
	b := l.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.held[l]; !ok {
		return
	}
	delete(b.held, l)
	b.inUse -= l.size
	if !l.small {
		b.byLarge -= l.size
	}
	if l.memory != nil {
		b.idle.put(l.memory, b.expire)
		l.memory = nil
	}
	b.grant()
}

func (b *Budget) expire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.idle.expire(b.expire)
}

// Stats is a moment in the life of a budget, for status.
type Stats struct {
	Limit   int64   `json:"limit"`
	InUse   int64   `json:"in_use"`
	Idle    int64   `json:"idle"` // mapped for reuse; InUse + Idle is never more than Limit
	Holders []Share `json:"holders"`
	Waiting []Share `json:"waiting"`
}

// Share is one lease, held or waited for.
type Share struct {
	Bytes int64     `json:"bytes"`
	Small bool      `json:"small"`
	Since time.Time `json:"since"`
}

// Stats returns both lists with the oldest first.
func (b *Budget) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Stats{Limit: b.limit, InUse: b.inUse, Idle: b.idle.bytes}
	for l := range b.held {
		s.Holders = append(s.Holders, l.share())
	}
	for _, l := range slices.Concat(b.small, b.large) {
		s.Waiting = append(s.Waiting, l.share())
	}
	older := func(a, b Share) int { return a.Since.Compare(b.Since) }
	slices.SortFunc(s.Holders, older)
	slices.SortFunc(s.Waiting, older)
	return s
}

func (l *Lease) share() Share { return Share{Bytes: l.size, Small: l.small, Since: l.since} }
