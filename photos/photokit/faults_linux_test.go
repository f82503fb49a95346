package photokit_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lightfast/photos"
	"lightfast/photos/photokit"
	"lightfast/photos/photostest"
)

// patient are limits that a busy machine keeps to; impatient ones are for what
// hangs.
var (
	patient   = photokit.Options{Quiet: 20 * time.Second, QuietLocal: 20 * time.Second, Pause: time.Millisecond, Grace: 20 * time.Second}
	impatient = photokit.Options{Quiet: time.Second, QuietLocal: time.Second, Pause: time.Millisecond, Grace: 100 * time.Millisecond}
)

func with(o photokit.Options, f func(*photokit.Options)) photokit.Options {
	f(&o)
	return o
}

// fetch fetches into a file that is removed again.
func fetch(t *testing.T, c *photokit.Client, i photostest.FetchItem) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fetched")
	err := c.Fetch(t.Context(), i.ID, i.Resource, path, func() {})
	b, gone := os.ReadFile(path)
	switch {
	case err != nil && !errors.Is(gone, os.ErrNotExist):
		t.Errorf("a fetch that failed (%v) left a file", err)
	case err == nil && gone != nil:
		t.Error(gone)
	case err == nil:
		if err := fits(i, b); err != nil {
			t.Error(err)
		}
	}
	return err
}

func push(t *testing.T, c *photokit.Client, i photostest.FetchItem) error {
	t.Helper()
	var b bytes.Buffer
	err := c.Push(t.Context(), i.ID, i.Resource, &b)
	if err == nil {
		if err := fits(i, b.Bytes()); err != nil {
			t.Error(err)
		}
	}
	return err
}

// A fault that passes costs no read and tells the caller nothing.
func TestNoReadIsLostByAHelper(t *testing.T) {
	for _, tt := range []struct {
		faults string
		o      photokit.Options
		stats  func(photokit.Stats) bool
	}{
		{"crash=7", patient, func(s photokit.Stats) bool { return s.Died > 0 }},
		{"throw=7", patient, func(s photokit.Stats) bool { return s.Died > 0 }},
		{"hang=7", impatient, func(s photokit.Stats) bool { return s.Silent > 0 }},
		{"freeze=11", impatient, func(s photokit.Stats) bool { return s.Silent > 0 }},
		{"xpc=first", patient, func(s photokit.Stats) bool { return s.Started > 5 }},
		{"short=first", patient, func(s photokit.Stats) bool { return s.Started > 5 }},
		{"twice=always", patient, func(s photokit.Stats) bool { return s.Started == 1 }},
		{"edited=5", patient, func(s photokit.Stats) bool { return s.Started == 1 }},
		{"leak=always", with(patient, func(o *photokit.Options) { o.MaxFootprint = 80 << 20 }), func(s photokit.Stats) bool { return s.Recycled > 0 && s.TooLarge == 0 }},
		{"leak=7", with(patient, func(o *photokit.Options) { o.MaxFootprint = 14 << 20 }), func(s photokit.Stats) bool { return s.TooLarge+s.Recycled > 0 }},
		{"", with(patient, func(o *photokit.Options) { o.Requests = 5 }), func(s photokit.Stats) bool { return s.Recycled == 2 && s.Died == 0 }},
		{"", with(patient, func(o *photokit.Options) { o.Age = time.Nanosecond }), func(s photokit.Stats) bool { return s.Recycled == s.Started-1 }},
	} {
		t.Run(tt.faults, func(t *testing.T) {
			t.Parallel()
			dir, items := cloud(t, 1000, 700<<10, 300<<10, 5, 100<<10, 600<<10)
			c := open(t, tt.o, "MOCK_CLOUD="+dir, "MOCK_STATE="+t.TempDir(), "MOCK_FAULTS="+tt.faults)
			for n, i := range append(items, items...) {
				get := fetch
				if n%2 == n/len(items) { // each by file and by push
					get = push
				}
				if err := get(t, c, i); err != nil {
					t.Errorf("item %d: %v", n, err)
				}
			}
			if s := c.Stats(); !tt.stats(s) {
				t.Errorf("the fault was not met: %+v", s)
			}
		})
	}
}

// A fault that stays ends in one reason.
func TestFailureHasItsClass(t *testing.T) {
	for _, tt := range []struct {
		mock  string
		class photos.FetchClass
		unfit bool
		fix   bool
	}{
		{"MOCK_FAULTS=short=always", photos.FetchSkip, true, false},
		{"MOCK_FAULTS=proxy=always", photos.FetchSkip, true, false},
		{"MOCK_FAULTS=crash=always", photos.FetchAgain, false, false},
		{"MOCK_FAULTS=hang=always", photos.FetchAgain, false, false},
		{"MOCK_FAULTS=internal=always", photos.FetchAgain, false, false},
		{"MOCK_FAULTS=xpc=always", photos.FetchAgain, false, false},
		{"MOCK_FAULTS=network=always", photos.FetchAgain, false, false},
		{"MOCK_FAULTS=cloud=always", photos.FetchAgain, false, false},
		{"MOCK_FAULTS=disk=always", photos.FetchWait, false, false},
		{"MOCK_FAULTS=gone=always", photos.FetchSkip, false, false},
		{"MOCK_FAULTS=signedout=always", photos.FetchStop, false, true},
		{"MOCK_FAULTS=denied=always", photos.FetchStop, false, true},
		{"MOCK_FAULTS=moved=always", photos.FetchStop, false, true},
		{"MOCK_FAULTS=stale=always", photos.FetchStop, false, true},
		{"MOCK_FAULTS=leak=always MOCK_LEAK_MB=400", photos.FetchSkip, false, false},
		{"MOCK_SHOWS=none", photos.FetchSkip, false, false},
		{"MOCK_AUTH=0", photos.FetchStop, false, true},
		{"MOCK_AUTH=1", photos.FetchStop, false, true},
		{"MOCK_AUTH=2", photos.FetchStop, false, true},
		{"MOCK_AUTH=4", photos.FetchStop, false, true},
		{"MOCK_FAULTS=misspelt=always", photos.FetchAgain, false, false}, // the helper ends at its first request
	} {
		t.Run(tt.mock, func(t *testing.T) {
			t.Parallel()
			dir, items := cloud(t, 400<<10)
			o := patient
			if strings.Contains(tt.mock, "hang") {
				o = impatient
			}
			c := open(t, o, append(fields(tt.mock), "MOCK_CLOUD="+dir)...)
			for _, err := range []error{fetch(t, c, items[0]), push(t, c, items[0])} {
				e, ok := errors.AsType[*photos.FetchError](err)
				if !ok || e.Class != tt.class || e.Unfit != tt.unfit || e.Text == "" || (e.Fix != "") != tt.fix {
					t.Errorf("%#v, want class %s, unfit %v, something to do: %v", err, tt.class, tt.unfit, tt.fix)
				}
			}
		})
	}
}

// 1,000 faults with -tags soak.
func TestEveryRequestEndsRightOrWithOneReason(t *testing.T) {
	t.Parallel()
	var sizes []int
	for n := range 40 {
		sizes = append(sizes, 1+n*n*300)
	}
	dir, items := cloud(t, sizes...)
	state, spool := t.TempDir(), t.TempDir()
	c := open(t, with(impatient, func(o *photokit.Options) { o.Readers, o.MaxFootprint = 2, 120<<20 }), "MOCK_CLOUD="+dir, "MOCK_STATE="+state, "MOCK_SEED=4", "MOCK_LEAK_MB=30",
		"MOCK_FAULTS=network=9%,cloud=9%,disk=5%,gone=4%,internal=4%,xpc=4%,short=5%,proxy=5%,crash=6%,throw=4%,hang=2%,twice=5%,leak=8%,flood=5%")
	attempts := func() (n int64) {
		entries, err := os.ReadDir(state)
		if err != nil {
			t.Error(err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return n
	}
	var (
		right   atomic.Int64
		mu      sync.Mutex // guards reasons
		reasons = map[string]int{}
		wg      sync.WaitGroup
		asked   = make(chan int)
	)
	for range 3 {
		wg.Go(func() {
			for n := range asked {
				i := items[n%len(items)]
				var b bytes.Buffer
				var err error
				if n%2 == 0 {
					err = c.Push(t.Context(), i.ID, i.Resource, &b)
				} else {
					path := filepath.Join(spool, strconv.Itoa(n))
					if err = c.Fetch(t.Context(), i.ID, i.Resource, path, func() {}); err == nil {
						content, err := os.ReadFile(path)
						if err := errors.Join(err, os.Remove(path)); err != nil {
							t.Error(err)
						}
						b.Write(content)
					}
				}
				if err == nil {
					right.Add(1)
					if err := fits(i, b.Bytes()); err != nil {
						t.Error(err)
					}
					continue
				}
				e, ok := errors.AsType[*photos.FetchError](err)
				if !ok {
					t.Errorf("an error without a class: %v", err)
					continue
				}
				mu.Lock()
				reasons[string(e.Class)+": "+strings.TrimRight(e.Text, "(-0123456789).jpeg")]++
				mu.Unlock()
			}
		})
	}
	requests := 0
	for ; attempts()-right.Load() < faults && !t.Failed(); requests++ { // an attempt that was not right met a fault
		asked <- requests
	}
	close(asked)
	wg.Wait()
	t.Logf("%d requests, %d attempts: %d right, else %v; %+v", requests, attempts(), right.Load(), reasons, c.Stats())
	total := int(right.Load())
	for _, n := range reasons {
		total += n
	}
	if total != requests {
		t.Errorf("%d of %d requests ended", total, requests)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(spool)
	if err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	if n := c.Stats(); n.Started < faults/10 {
		t.Errorf("%+v, want helpers replaced", n)
	}
}

func TestCanceledReadEndsSoonAndHarmsNoOther(t *testing.T) {
	for _, tt := range []struct {
		name, faults string
		o            photokit.Options
		helpers      int
	}{
		{"Push", "", patient, 1},
		{"PushThatIgnoresIt", "stubborn=always", impatient, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, items := cloud(t, 10<<20, 10)
			c := open(t, tt.o, "MOCK_CLOUD="+dir, "MOCK_FAULTS="+tt.faults, "MOCK_SLOW_MS=30")
			ctx, cancel := context.WithCancel(t.Context())
			err := c.Push(ctx, items[0].ID, items[0].Resource, canceler{cancel})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Push: %v", err)
			}
			if err := fetch(t, c, items[1]); err != nil {
				t.Errorf("Fetch after a canceled push: %v", err)
			}
			if got := c.Stats().Started; got != tt.helpers {
				t.Errorf("%d helpers were started, want %d", got, tt.helpers)
			}
		})
	}
	t.Run("Fetch", func(t *testing.T) {
		t.Parallel()
		dir, items := cloud(t, 10<<20, 10)
		c := open(t, patient, "MOCK_CLOUD="+dir, "MOCK_SLOW_MS=30")
		ctx, cancel := context.WithCancel(t.Context())
		path := filepath.Join(t.TempDir(), "canceled")
		if err := c.Fetch(ctx, items[0].ID, items[0].Resource, path, cancel); !errors.Is(err, context.Canceled) {
			t.Errorf("Fetch canceled when something moved: %v", err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file of a canceled fetch: %v", err)
		}
		if err := fetch(t, c, items[1]); err != nil {
			t.Errorf("Fetch after a canceled one: %v", err)
		}
	})
	t.Run("Close", func(t *testing.T) {
		t.Parallel()
		dir, items := cloud(t, 10<<20)
		c := open(t, patient, "MOCK_CLOUD="+dir, "MOCK_SLOW_MS=30")
		err := c.Fetch(t.Context(), items[0].ID, items[0].Resource, filepath.Join(t.TempDir(), "x"), sync.OnceFunc(func() { go c.Close() }))
		if e, ok := errors.AsType[*photos.FetchError](err); !ok || e.Class != photos.FetchStop || !errors.Is(err, os.ErrClosed) {
			t.Errorf("Fetch of a client that is closed: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// canceler is a writer at whose first byte a context is canceled.
type canceler struct{ cancel func() }

func (c canceler) Write(b []byte) (int, error) {
	c.cancel()
	return len(b), nil
}
