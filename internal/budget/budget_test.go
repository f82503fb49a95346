package budget_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"lightfast/internal/budget"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mib = 1 << 20

func acquire(t *testing.T, b *budget.Budget, n int64, small bool) *budget.Lease {
	t.Helper()
	l, err := b.Acquire(t.Context(), n, small)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestBufferIsOfTheLengthAskedFor(t *testing.T) {
	b := budget.New(64 * mib)
	for _, n := range []int64{0, 1, 4095, 65536, 65537, 5*mib + 3, 32 * mib} {
		l := acquire(t, b, n, false)
		buf := l.Buffer()
		if int64(len(buf)) != n {
			t.Errorf("Acquire(%d) has a buffer of %d bytes", n, len(buf))
		}
		if n > 0 {
			buf[0], buf[n-1] = 1, 2
		}
		if in := b.Stats().InUse; in < n || in > n+n/4+64<<10 {
			t.Errorf("Acquire(%d) takes %d bytes of the budget", n, in)
		}
		l.Release()
	}
}

func TestMoreThanHalfIsRefused(t *testing.T) {
	b := budget.New(10 * mib)
	for _, n := range []int64{5*mib + 1, 1 << 62, -1} {
		if _, err := b.Acquire(t.Context(), n, false); !errors.Is(err, budget.ErrTooLarge) {
			t.Errorf("Acquire(%d) of 10 MiB = %v, want ErrTooLarge", n, err)
		}
	}
	acquire(t, b, b.Max(), false).Release()
}

func TestBytesBesideABufferCountAndAreNotMapped(t *testing.T) {
	b := budget.New(16 * mib)
	l, err := b.AcquireBeside(t.Context(), mib, 3*mib, false)
	if err != nil {
		t.Fatal(err)
	}
	if in := b.Stats().InUse; len(l.Buffer()) != mib || in != 4*mib {
		t.Errorf("a buffer of %d bytes, %d in use; want 1 MiB of 4", len(l.Buffer()), in)
	}
	l.Release()
	if s := b.Stats(); s.InUse != 0 || s.Idle != mib {
		t.Errorf("after Release: %d in use, %d kept for reuse; want none and 1 MiB", s.InUse, s.Idle)
	}
	if l, err = b.AcquireBeside(t.Context(), 0, 8*mib, false); err != nil || len(l.Buffer()) != 0 {
		t.Fatalf("no buffer and half of the budget: %v", err)
	}
	l.Release()
	for _, beside := range []int64{-1, 8 * mib, 1<<63 - 1} {
		if _, err := b.AcquireBeside(t.Context(), 1, beside, false); !errors.Is(err, budget.ErrTooLarge) {
			t.Errorf("1 byte and %d beside = %v, want ErrTooLarge", beside, err)
		}
	}
}

func TestReleaseTwiceCountsOnce(t *testing.T) {
	b := budget.New(8 * mib)
	l, other := acquire(t, b, mib, true), acquire(t, b, mib, true)
	l.Release()
	l.Release()
	if got := b.Stats().InUse; got != mib {
		t.Errorf("in use = %d, want that of the other lease, %d", got, mib)
	}
	if len(l.Buffer()) != 0 {
		t.Error("a released lease still has a buffer")
	}
	other.Release()
}

// later acquires in the background and tells the order in which leases come.
type later struct {
	t *testing.T
	b *budget.Budget

	mu    sync.Mutex
	order []string
	held  map[string]*budget.Lease
}

func (l *later) acquire(name string, n int64, small bool) {
	go func() {
		lease, err := l.b.Acquire(l.t.Context(), n, small)
		if err != nil {
			l.t.Errorf("%s: %v", name, err)
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.order = append(l.order, name)
		l.held[name] = lease
	}()
	synctest.Wait()
}

func (l *later) release(names ...string) {
	for _, name := range names {
		l.mu.Lock()
		lease := l.held[name]
		delete(l.held, name)
		l.mu.Unlock()
		lease.Release()
		synctest.Wait()
	}
}

// names returns who holds a lease now.
func (l *later) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.held))
}

func (l *later) want(order string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := strings.Join(l.order, " "); got != order {
		l.t.Errorf("served %q, want %q", got, order)
	}
}

// bubble runs a test in which time passes only when everybody waits, and
// where idle buffers are gone at the end.
func bubble(t *testing.T, limit int64, test func(*later)) {
	synctest.Test(t, func(t *testing.T) {
		l := &later{t: t, b: budget.New(limit), held: map[string]*budget.Lease{}}
		test(l)
		for names := l.names(); len(names) > 0; names = l.names() {
			l.release(names...)
		}
		time.Sleep(time.Minute)
		if s := l.b.Stats(); s.InUse != 0 || s.Idle != 0 || len(s.Holders) != 0 || len(s.Waiting) != 0 {
			t.Errorf("at the end: %+v, want nothing held", s)
		}
	})
}

func TestFirstComeFirstServed(t *testing.T) {
	bubble(t, 16*mib, func(l *later) {
		l.acquire("a", 6*mib, false)
		l.acquire("b", 8*mib, false)
		l.acquire("c", 5*mib, false) // would fit, but b was there before
		l.want("a")
		l.release("a")
		l.want("a b")
		l.release("b")
		l.want("a b c")
	})
}

func TestLargeLeavesAQuarterToSmall(t *testing.T) {
	bubble(t, 16*mib, func(l *later) {
		l.acquire("L1", 8*mib, false)
		l.acquire("L2", 4*mib, false)
		l.acquire("L3", 1*mib, false)
		l.want("L1 L2")
		l.acquire("s1", 2*mib, true)
		l.acquire("s2", 2*mib, true)
		l.want("L1 L2 s1 s2")
	})
}

func TestSmallDoesNotStarveLarge(t *testing.T) {
	bubble(t, 16*mib, func(l *later) {
		for _, name := range []string{"s1", "s2", "s3", "s4", "s5"} { // nobody else is there: more than a quarter
			l.acquire(name, 2*mib, true)
		}
		l.acquire("L", 8*mib, false)
		l.acquire("s6", 2*mib, true)
		l.release("s1") // 8 MiB are free: L comes before s6
		l.want("s1 s2 s3 s4 s5 L")
		l.release("s2")
		l.want("s1 s2 s3 s4 s5 L s6")
	})
}

func TestNotReallySmallIsNotSmall(t *testing.T) {
	bubble(t, 16*mib, func(l *later) {
		l.acquire("L", 8*mib, false)
		l.acquire("m", 5*mib, true)
		l.want("L")
		if w := l.b.Stats().Waiting; len(w) != 1 || w[0].Small {
			t.Errorf("waiting = %+v, want one that is not small", w)
		}
		l.release("L")
		l.want("L m")
	})
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	bubble(t, 16*mib, func(l *later) {
		l.acquire("a", 8*mib, false)
		ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
		defer cancel()
		done := make(chan error)
		go func() {
			_, err := l.b.Acquire(ctx, 8*mib, false)
			done <- err
		}()
		synctest.Wait()
		l.acquire("b", mib, false) // behind the one that will give up
		l.want("a")
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
			l.t.Errorf("Acquire = %v, want the end of its context", err)
		}
		synctest.Wait()
		l.want("a b")
		if _, err := l.b.Acquire(ctx, 1, true); !errors.Is(err, context.DeadlineExceeded) {
			l.t.Errorf("Acquire with an ended context = %v", err)
		}
	})
}

func TestStatsNameHoldersAndWaiters(t *testing.T) {
	bubble(t, 16*mib, func(l *later) {
		start := time.Now()
		l.acquire("a", 8*mib, false)
		time.Sleep(time.Second)
		l.acquire("s", mib, true)
		l.acquire("b", 6*mib, false)
		s := l.b.Stats()
		if s.Limit != 16*mib || s.InUse != 9*mib || len(s.Holders) != 2 || len(s.Waiting) != 1 ||
			s.Holders[0] != (budget.Share{Bytes: 8 * mib, Since: start}) ||
			s.Holders[1] != (budget.Share{Bytes: mib, Small: true, Since: start.Add(time.Second)}) || s.Waiting[0].Bytes != 6*mib {
			l.t.Errorf("Stats = %+v", s)
		}
	})
}

func TestBuffersAreUsedAgainThenUnmapped(t *testing.T) {
	bubble(t, 16*mib, func(l *later) {
		a := acquire(l.t, l.b, 3*mib, true)
		first := &a.Buffer()[0]
		a.Release()
		if idle := l.b.Stats().Idle; idle != 3*mib {
			l.t.Errorf("idle = %d after a release, want %d", idle, 3*mib)
		}
		b := acquire(l.t, l.b, 3*mib-100, true)
		if &b.Buffer()[0] != first {
			l.t.Error("the idle buffer was not used again")
		}
		b.Release()
		time.Sleep(11 * time.Second)
		if idle := l.b.Stats().Idle; idle != 0 {
			l.t.Errorf("idle = %d after 11 s, want 0", idle)
		}
	})
}

// Held and idle bytes together stay within the limit at any moment, and
// everybody is served, whatever is asked for in whatever order.
func TestLimitHoldsForAnyRequests(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const limit = 4 * mib
		b := budget.New(limit)
		requests := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) request {
			return request{rapid.Int64Range(0, limit/2).Draw(t, "bytes"), rapid.Bool().Draw(t, "small")}
		}), 1, 60).Draw(rt, "requests")
		var held, most atomic.Int64
		var wg sync.WaitGroup
		for _, r := range requests {
			wg.Go(func() {
				l, err := b.Acquire(context.Background(), r.n, r.small)
				if err != nil {
					t.Error(err)
					return
				}
				now := held.Add(r.n)
				for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
				}
				if s := b.Stats(); s.InUse+s.Idle > limit {
					t.Errorf("in use %d and idle %d are more than %d", s.InUse, s.Idle, limit)
				}
				for range rand.IntN(3) {
					runtime.Gosched()
				}
				held.Add(-r.n)
				l.Release()
			})
		}
		wg.Wait()
		if most.Load() > limit {
			rt.Fatalf("%d bytes were leased at once, limit %d", most.Load(), limit)
		}
	})
}

type request struct {
	n     int64
	small bool
}

func TestBuffersAreOutsideTheHeap(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b := budget.New(256 * mib)
	l := acquire(t, b, 100*mib, false)
	defer l.Release()
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > mib {
		t.Errorf("a lease of 100 MiB allocated %d bytes of heap", grown)
	}
}

func TestUnmappedMemoryGoesBackToTheSystem(t *testing.T) {
	resident := func() int64 {
		data, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			t.Skipf("resident memory cannot be read here: %v", err)
		}
		pages, err := strconv.ParseInt(strings.Fields(string(data))[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return pages * int64(os.Getpagesize())
	}
	before := resident()
	bubble(t, 256*mib, func(l *later) {
		lease := acquire(l.t, l.b, 100*mib, false)
		for i := range lease.Buffer() {
			if i%4096 == 0 {
				lease.Buffer()[i] = 1
			}
		}
		lease.Release()
	})
	if grown := resident() - before; grown > 50*mib {
		t.Errorf("%d MiB are still resident", grown/mib)
	}
}

func BenchmarkAcquireRelease(b *testing.B) {
	pool := budget.New(256 * mib)
	b.ReportAllocs()
	for b.Loop() {
		l, err := pool.Acquire(b.Context(), 3*mib, true)
		if err != nil {
			b.Fatal(err)
		}
		l.Release()
	}
}
