package atomicfile

import (
	"cmp"
	"os"
	"slices"
	"sync"
)

// group makes the content of files durable, whoever waits now together: one
// look at the disk for sixteen photos instead of sixteen.
type group struct {
	lead chan struct{} // held by whoever syncs for all

	mu      sync.Mutex // guards waiting
	waiting []*waiter
}

type waiter struct {
	f    *File
	done chan struct{}
	err  error // before done is closed
}

// sync returns when the content of f is durable.
func (g *group) sync(f *File) error {
	w := &waiter{f: f, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	g.mu.Unlock()
	select {
	case <-w.done:
	case g.lead <- struct{}{}:
		g.flush()
		<-g.lead
	}
	return w.err
}

func (g *group) flush() {
	g.mu.Lock()
	batch := g.waiting
	g.waiting = nil
	g.mu.Unlock()
	if len(batch) == 0 {
		return // somebody has synced us in the meantime
	}
	slices.SortFunc(batch, func(a, b *waiter) int { return cmp.Compare(a.f.order, b.f.order) })
	files := make([]*os.File, len(batch))
	for i, w := range batch {
		files[i] = w.f.f
	}
	err := syncFiles(files)
	for _, w := range batch {
		w.err = err
		close(w.done)
	}
}
