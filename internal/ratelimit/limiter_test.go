package ratelimit_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lightfast/internal/ratelimit"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

func table(t *testing.T, s string) ratelimit.Table {
	t.Helper()
	table, err := ratelimit.ParseTable(s)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// took is how long n bytes take through l, in the time of a bubble.
func took(t *testing.T, l *ratelimit.Limiter, n int) time.Duration {
	t.Helper()
	began := time.Now()
	if err := l.Wait(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if math.Abs(got.Seconds()-want.Seconds()) > 0.03*want.Seconds() {
		t.Errorf("%s took %v, want %v", what, got, want)
	}
}

func TestRateIsHeld(t *testing.T) {
	for _, tt := range []struct {
		rate string
		n    int
		want time.Duration
	}{
		{"16k", 16 * kib * 600, 10 * time.Minute},
		{"1.25M", 1280 * kib * 600, 10 * time.Minute},
		{"100M", 6000 * mib, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			near(t, tt.rate, took(t, ratelimit.New(table(t, tt.rate)), tt.n), tt.want)
		})
	}
}

// A machine that wakes late makes up for it.
func TestRateIsHeldByThoseWhoComeLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(table(t, "10M"))
		began := time.Now()
		for range 600 {
			took(t, l, mib)
			time.Sleep(50 * time.Millisecond)
		}
		near(t, "600 MiB at 10 MiB/s", time.Since(began), time.Minute)
	})
}

func TestRestEarnsNoMoreThanAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(table(t, "1M"))
		time.Sleep(24 * time.Hour)
		near(t, "100 MiB after a day's rest", took(t, l, 100*mib), 100*time.Second)
	})
}

func TestOffIsNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, l := range map[string]*ratelimit.Limiter{"nil": nil, "off": ratelimit.New(table(t, "off")), "0": ratelimit.New(table(t, "0"))} {
			if d := took(t, l, 1<<40); d != 0 {
				t.Errorf("a terabyte took %v through %s, want no time", d, name)
			}
			if b := l.Piece(make([]byte, mib)); len(b) != mib {
				t.Errorf("%s cuts 1 MiB to %d bytes", name, len(b))
			}
		}
	})
}

func TestChangeIsSeenByThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(table(t, "16k"))
		go func() {
			time.Sleep(100 * time.Second)
			l.Set(table(t, "1M"))
			time.Sleep(100 * time.Second)
			l.Set(nil)
		}()
		near(t, "100 s at 16 KiB/s, 100 s at 1 MiB/s and the rest at once", took(t, l, 1000*mib), 200*time.Second)
	})
}

func TestTimetableChangesInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a bubble begins at midnight, UTC
		zone := time.Local
		time.Local = time.UTC
		defer func() { time.Local = zone }()
		l := ratelimit.New(table(t, "08:00,512k 19:00,10M 23:00,off"))
		if d := took(t, l, 1<<40); d != 0 {
			t.Errorf("it took %v before the first time, want none: the last one holds over midnight", d)
		}
		time.Sleep(18 * time.Hour)
		// An hour at 512 KiB/s, then 10 MiB/s.
		near(t, "3,600 s at 512 KiB/s and 600 s at 10 MiB/s", took(t, l, 3600*512*kib+600*10*mib), 4200*time.Second)
		time.Sleep(3*time.Hour + 49*time.Minute)
		near(t, "the last minute before it is off", took(t, l, 1<<40), time.Minute)
	})
}

func TestManyShareARateFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(table(t, "1M"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var got [16]atomic.Int64
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() {
				b := make([]byte, 16*mib) // a part
				for {
					piece := len(l.Piece(b))
					if l.Wait(ctx, piece) != nil {
						return
					}
					got[i].Add(int64(piece))
				}
			})
		}
		time.Sleep(30 * time.Second)
		near(t, "a small asset among them", took(t, l, 256*kib), 17*256*time.Second/1024)
		all.Wait()
		sum := int64(0)
		for i := range got {
			n := got[i].Load()
			sum += n
			if n < 3500*kib || n > 4100*kib { // the first to come has what credit there is
				t.Errorf("request %d moved %d KiB in a minute, want about 3,800", i, n/kib)
			}
		}
		if sum+256*kib > 61*mib || sum < 58*mib {
			t.Errorf("%d KiB in a minute, want about 60 MiB", sum/kib)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(table(t, "16k"))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for range 3 { // one waits for the rate, the others for their turn
			all.Go(func() {
				if err := l.Wait(ctx, mib); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Wait = %v, want the end of its context", err)
				}
			})
		}
		all.Wait()
		near(t, "who comes after them", took(t, l, mib), 64*time.Second)
	})
}
