// Package window decides how many requests a store is given at once.
//
// Nobody knows beforehand: a store on the same machine is busy with four, one
// far away sleeps with sixteen, and on a slow line each request more only makes
// all of them late, and dear to lose. So a Window watches what the requests
// move, and keeps the smallest number that moves about as much as a larger one
// would.
//
// Two kinds share it, and neither can take all of it: a small object never
// waits for parts of a film, a film never for the last of many small objects.
package window

import (
	"context"
	"sync"
	"time"
)

// Kind of a request.
type Kind int

const (
	Small Kind = iota
	Part       // of something large
	kinds
)

// Window is safe for many goroutines.
type Window struct {
	mu      sync.Mutex // guards all below
	held    [kinds]int
	waiting [kinds][]chan struct{}
	climb   climb
	most    int     // what others let it have; 0: all that it wants
	rate    float64 // bytes a second of the last epoch in which the window was full, or of one that moved more
}

// New returns a Window of the size that a store nearby takes well.
func New() *Window { return &Window{climb: newClimb()} }

// Enter waits for a place. The caller gives it back with leave, once, and says
// how many bytes were moved: 0 where it came to nothing, which tells nothing of
// the store.
func (w *Window) Enter(ctx context.Context, k Kind) (leave func(bytes int64), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	if len(w.waiting[k]) == 0 && w.fits(k) {
		w.take(k)
		w.mu.Unlock()
		return w.leaver(k), nil
	}
	turn := make(chan struct{})
	w.waiting[k] = append(w.waiting[k], turn)
	w.mu.Unlock()
	select {
	case <-turn:
		return w.leaver(k), nil
	case <-ctx.Done():
		w.giveUp(k, turn)
		return nil, ctx.Err()
	}
}

// Rate returns how many bytes a second moved when the window was last full, or
// more that moved since; in the first epoch what has moved so far, and 0 where
// nothing is known yet.
func (w *Window) Rate() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rate == 0 {
		return int64(w.climb.soFar(time.Now()))
	}
	return int64(w.rate)
}

// Size returns how many requests there may be now, of both kinds together.
func (w *Window) Size() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size()
}

// Cap keeps the Window at n requests at most; 0 lifts that. Those beyond it
// that are on their way come to their end.
func (w *Window) Cap(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n == w.most {
		return
	}
	w.most = n
	w.climb.begin(time.Now()) // an epoch of two sizes tells of neither
	w.admit()
}

// size is what there may be; the caller holds the lock.
func (w *Window) size() int {
	if w.most > 0 {
		return min(w.most, w.climb.size())
	}
	return w.climb.size()
}

func (w *Window) leaver(k Kind) func(int64) {
	return func(bytes int64) { w.leave(k, bytes) }
}

// leave counts a request, and lets in who may be let in now.
func (w *Window) leave(k Kind, bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	full, held := !w.fits(k), w.held[Small]+w.held[Part]
	w.free(k)
	if bytes == 0 || w.size() < w.climb.size() { // held back by others, it learns nothing
		w.admit()
		return
	}
	if rate, full := w.climb.count(time.Now(), bytes, held, full); full || rate > w.rate {
		w.rate = rate // where the window was not full, more would have been moved
	}
	w.admit()
}

// take and free count the requests under way; the caller holds the lock.
func (w *Window) take(k Kind) {
	if w.held == [kinds]int{} {
		w.climb.resume(time.Now())
	}
	w.held[k]++
}

func (w *Window) free(k Kind) {
	if w.held[k]--; w.held == [kinds]int{} {
		w.climb.pause(time.Now())
	}
}

// share is how many places a kind can have, also while the other has nothing
// to do. Parts are large and dear to lose: few of them fill a line.
func (w *Window) share(k Kind) int {
	size := w.size()
	if k == Part {
		return 2 + size/4
	}
	return max(size-max(size/8, 1), 1)
}

func (w *Window) fits(k Kind) bool {
	return w.held[Small]+w.held[Part] < w.size() && w.held[k] < w.share(k)
}

// admit lets in whoever fits, small ones first.
func (w *Window) admit() {
	for k := range kinds {
		for len(w.waiting[k]) > 0 && w.fits(k) {
			close(w.waiting[k][0])
			w.waiting[k] = w.waiting[k][1:]
			w.take(k)
		}
	}
}

// giveUp takes turn out of the queue, or gives back the place that came at the
// same moment.
func (w *Window) giveUp(k Kind, turn chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, t := range w.waiting[k] {
		if t == turn {
			w.waiting[k] = append(w.waiting[k][:i:i], w.waiting[k][i+1:]...)
			return
		}
	}
	w.free(k)
	w.admit()
}
