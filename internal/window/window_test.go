package window_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lightfast/internal/window"
)

// line is a store as clients meet it: each request takes delay, and all of
// them share bytes a second and requests a second.
type line struct {
	delay    time.Duration
	bytes    float64
	requests float64
	noise    float64 // by what part of it each second may differ
	seed     uint64  // of the noise

	seen func(n int) // of one request more, or one less

	mu   sync.Mutex
	free time.Time // when what is on the line now has passed
}

func (l *line) send(size int64) {
	if l.seen != nil {
		l.seen(1)
		defer l.seen(-1)
	}
	l.mu.Lock()
	cost := time.Duration(float64(time.Second) * (float64(size)/l.bytes + 1/l.requests))
	now := time.Now()
	if l.noise > 0 { // of a second, the same for all who are in it
		second := rand.New(rand.NewPCG(l.seed, uint64(now.Unix())))
		cost = time.Duration(float64(cost) / (1 + l.noise*(2*second.Float64()-1)))
	}
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(cost)
	until := l.free
	l.mu.Unlock()
	time.Sleep(time.Until(until) + l.delay)
}

// load has clients of a kind send objects of size until it is ended.
func load(t *testing.T, w *window.Window, l *line, k window.Kind, clients int, size int64) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for {
				leave, err := w.Enter(ctx, k)
				if err != nil {
					return
				}
				l.send(size)
				leave(size)
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

const mib = 1 << 20

func TestSizeFitsTheStore(t *testing.T) {
	for _, tt := range []struct {
		name        string
		line        *line
		kind        window.Kind
		clients     int
		size        int64
		after       time.Duration // it is looked at, ten times
		least, most int
	}{
		{"here: four requests keep it busy", &line{delay: 5 * time.Millisecond, bytes: 500 * mib, requests: 800}, window.Small, 64, 100 << 10, 20 * time.Second, 4, 16},
		{"far away: 50 ms are waited for", &line{delay: 50 * time.Millisecond, bytes: 500 * mib, requests: 800}, window.Small, 64, 100 << 10, 20 * time.Second, 32, 64},
		{"100 Mbit/s: the line is full with few", &line{delay: 20 * time.Millisecond, bytes: 12.5 * mib, requests: 800}, window.Small, 64, 3 * mib, 5 * time.Minute, 4, 8},
		{"10 Mbit/s, parts of films", &line{delay: 20 * time.Millisecond, bytes: 1.25 * mib, requests: 800}, window.Part, 24, 16 * mib, 2 * time.Hour, 4, 8},
		{"a client alone never fills it", &line{delay: 50 * time.Millisecond, bytes: 500 * mib, requests: 800}, window.Small, 1, 100 << 10, 20 * time.Second, 16, 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := window.New()
				defer load(t, w, tt.line, tt.kind, tt.clients, tt.size)()
				began := time.Now()
				for range 10 { // also later, when it has looked around
					time.Sleep(tt.after)
					if n := w.Size(); n < tt.least || n > tt.most {
						t.Errorf("after %v: size %d, want %d to %d", time.Since(began), n, tt.least, tt.most)
					}
				}
			})
		})
	}
}

// Noise is no reason to go anywhere: neither to the few with which a store
// idles in between, nor to the many that only wait.
func TestNoiseDoesNotMoveTheSize(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := window.New()
				l := &line{delay: 5 * time.Millisecond, bytes: 200 * mib, requests: 300, noise: 0.15, seed: seed}
				defer load(t, w, l, window.Small, 64, 500<<10)()
				sizes := map[int]int{}
				for range 3600 {
					time.Sleep(time.Second)
					sizes[w.Size()]++
				}
				for n, seconds := range sizes {
					if n < 8 || n > 32 {
						t.Errorf("size %d for %d of 3600 seconds, want 8 to 32; all: %v", n, seconds, sizes)
					}
				}
			})
		})
	}
}

func TestSizeFollowsALineThatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, l := window.New(), &line{delay: 50 * time.Millisecond, bytes: 500 * mib, requests: 800}
		defer load(t, w, l, window.Small, 64, 100<<10)()
		time.Sleep(time.Minute)
		if n := w.Size(); n < 32 {
			t.Errorf("far away: size %d, want 32 or more", n)
		}
		l.mu.Lock()
		l.bytes = mib
		l.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if n := w.Size(); n > 8 {
			t.Errorf("on a slow line: size %d, want 8 or less", n)
		}
	})
}

func TestCapHoldsAndTeachesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, l := window.New(), &line{delay: 50 * time.Millisecond, bytes: 500 * mib, requests: 800}
		var mu sync.Mutex // guards in and peak
		in, peak := 0, 0
		l.seen = func(n int) {
			mu.Lock()
			defer mu.Unlock()
			in += n
			peak = max(peak, in)
		}
		// during tells how many there were at once while d passed.
		during := func(d time.Duration) int {
			time.Sleep(time.Second) // those on their way have ended
			mu.Lock()
			peak = in
			mu.Unlock()
			time.Sleep(d)
			mu.Lock()
			defer mu.Unlock()
			return peak
		}
		defer load(t, w, l, window.Small, 64, 100<<10)()
		time.Sleep(time.Minute)
		was := w.Size()
		w.Cap(4)
		if n := during(10 * time.Minute); w.Size() != 4 || n > 4 || n == 0 {
			t.Errorf("%d requests at once, size %d, want at most 4", n, w.Size())
		}
		w.Cap(0)
		if n := w.Size(); n != was {
			t.Errorf("size %d when the cap is lifted, want %d as before", n, was)
		}
		w.Cap(1)
		if n := during(time.Minute); n != 1 {
			t.Errorf("%d requests at once, want 1", n)
		}
	})
}

func TestRateIsKnownOfAWindowThatIsNotFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New()
		l := &line{delay: time.Millisecond, bytes: 100e6, requests: 1e6}
		end := load(t, w, l, window.Small, 4, 1<<20)
		for _, d := range []time.Duration{time.Second / 5, 3 * time.Second} {
			time.Sleep(d)
			if rate := w.Rate(); rate < 80e6 || rate > 110e6 {
				t.Errorf("4 requests at once moved 100 MB/s, the window says %d bytes/s", rate)
			}
		}
		end()
		if n := w.Size(); n != 16 {
			t.Errorf("a window that was never full has gone to %d", n)
		}
	})
}

func TestTimeAtRestIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New()
		l := &line{delay: time.Millisecond, bytes: 100e6, requests: 1e6}
		for range 10 { // each shorter than what tells a rate
			end := load(t, w, l, window.Small, 4, 1<<20)
			time.Sleep(300 * time.Millisecond)
			end()
			time.Sleep(time.Minute)
		}
		if rate := w.Rate(); rate < 80e6 || rate > 110e6 {
			t.Errorf("100 MB/s were moved now and then, the window says %d bytes/s", rate)
		}
	})
}

func TestNoKindTakesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New()
		for _, k := range []window.Kind{window.Part, window.Small} {
			ctx, cancel := context.WithCancel(t.Context())
			var in atomic.Int32
			for range 100 {
				go func() {
					if leave, err := w.Enter(ctx, k); err == nil {
						in.Add(1)
						<-ctx.Done()
						leave(1)
					}
				}()
			}
			synctest.Wait()
			if n := int(in.Load()); n < 4 || n >= w.Size() {
				t.Errorf("kind %d has %d places of %d", k, n, w.Size())
			}
			other := window.Small + window.Part - k
			leave, err := w.Enter(ctx, other)
			if err != nil {
				t.Errorf("kind %d had to wait for the other: %v", other, err)
			}
			leave(1)
			cancel()
			synctest.Wait()
		}
	})
}

func TestSmallComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New()
		var leaves []func(int64)
		for range w.Size() {
			k := window.Small
			if len(leaves) < 4 {
				k = window.Part
			}
			leave, err := w.Enter(t.Context(), k)
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		var order []window.Kind
		var mu sync.Mutex
		for _, k := range []window.Kind{window.Part, window.Small} {
			go func() {
				leave, err := w.Enter(t.Context(), k)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, k)
				mu.Unlock()
				leave(1)
			}()
			synctest.Wait()
		}
		leaves[0](1)
		synctest.Wait()
		if len(order) != 2 || order[0] != window.Small {
			t.Errorf("order %v, want small first, then the part", order)
		}
	})
}

func TestWhoGivesUpLeavesNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New()
		most := w.Size() - w.Size()/8
		var leaves []func(int64)
		for range most {
			leave, err := w.Enter(t.Context(), window.Small)
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 2*most)
		for range 2 * most {
			go func() {
				leave, err := w.Enter(ctx, window.Small)
				if err == nil {
					leave(1)
				}
				failed <- err
			}()
		}
		synctest.Wait()
		go cancel() // while places become free
		for _, leave := range leaves {
			leave(1)
		}
		for range 2 * most {
			<-failed
		}
		for range most { // all places are there again
			if _, err := w.Enter(t.Context(), window.Small); err != nil {
				t.Fatal(err)
			}
		}
	})
}
