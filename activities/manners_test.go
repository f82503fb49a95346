package activities_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"

	"lightfast/activities"
	"lightfast/objectstore"
	"lightfast/photos"
)

// desk is a machine that somebody uses.
type desk struct {
	mu    sync.Mutex // guards all below
	awake int
	most  int
	why   string
	asked int // for its pressure
	notes []string
}

func (d *desk) KeepAwake(string) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.awake++
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.awake--
	})
}

func (d *desk) Pressure() (int, string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return d.most, d.why
}

func (d *desk) Notify(title, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, title+" "+text)
}

func (d *desk) press(most int, why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.most, d.why = most, why
}

func (d *desk) looks() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func (d *desk) told() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.notes)
}

func (d *desk) keptAwake() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.awake
}

// pulse runs the Pulse of h, in the way that a worker does, until the returned
// function is called.
func pulse(t *testing.T, h *host, p activities.Prepared) (end func()) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(h.Activities)
	env.SetTestTimeout(time.Minute)
	done := make(chan error, 1)
	go func() {
		_, err := env.ExecuteActivity(h.Activities.Pulse)
		done <- err
	}()
	return func() {
		t.Helper()
		if _, err := call[any](h, h.EndRun, p.Epoch); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// until waits for what Pulse does within a second or two.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within half a minute: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestMachineIsAwakeWhileARunIsAtWorkAndNotHeld(t *testing.T) {
	t.Parallel()
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
	h, d := newHost(t, lib, t.TempDir()), new(desk)
	h.Manners = d
	p := h.prepare()
	end := pulse(t, h, p)
	until(t, "awake", func() bool { return d.keptAwake() == 1 })
	hold := func(on bool) {
		t.Helper()
		if _, err := call[any](h, h.SetPaused, on); err != nil {
			t.Fatal(err)
		}
	}
	hold(true)
	until(t, "asleep while held", func() bool { return d.keptAwake() == 0 })
	hold(false)
	until(t, "awake again", func() bool { return d.keptAwake() == 1 })
	end()
	if n := d.keptAwake(); n != 0 {
		t.Errorf("%d keep it awake after the end", n)
	}
}

func TestAMachineUnderPressureIsAskedForLess(t *testing.T) {
	t.Parallel()
	lib := newMemory()
	for i := range 12 {
		lib.put(fmt.Sprintf("%02d.jpg", i), photos.RoleOriginal, noise(uint64(i), 20_000))
	}
	h, d := newHost(t, lib, t.TempDir()), new(desk)
	h.Manners = d
	d.press(1, "this Mac, which is hot")
	p := h.prepare()
	slowed := func() bool {
		return slices.ContainsFunc(h.Progress.Report().Waiting, func(w activities.Waiting) bool { return w.What == "this Mac, which is hot" })
	}
	end := pulse(t, h, p)
	until(t, "it says that less is taken, and why", slowed)
	var mu sync.Mutex // guards in and peak
	in, peak, left := 0, 0, 12
	h.store.before = func(op, key string, _ int) error {
		if op == "put" && strings.HasPrefix(key, "blobs/") {
			mu.Lock()
			in++
			peak = max(peak, in)
			others := min(left, 8) // a report names no more
			mu.Unlock()
			until(t, "all that are left have begun", func() bool { return len(h.Progress.Report().InFlight) >= others })
			mu.Lock()
			in--
			left--
			mu.Unlock()
		}
		return nil
	}
	next, err := call[activities.Next](h, h.NextAssets, activities.NextInput{Epoch: p.Epoch, Lane: activities.Small, N: 12})
	if err != nil || len(next.Refs) != 12 {
		t.Fatalf("%d assets are planned, %v", len(next.Refs), err)
	}
	var all sync.WaitGroup
	for _, ref := range next.Refs {
		all.Go(func() {
			if _, err := h.storeAsset(activities.ItemInput{Epoch: p.Epoch, Item: ref.Item, Name: ref.Name, Lane: activities.Small}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if peak != 1 {
		t.Errorf("%d requests at once, want 1", peak)
	}
	d.press(0, "")
	until(t, "nothing is waited for", func() bool { return !slowed() })
	end()
}

func TestAPersonIsToldOnceOfAStoreThatStaysAway(t *testing.T) {
	t.Parallel()
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
	h, d := newHost(t, lib, t.TempDir()), new(desk)
	h.Manners = d
	var later atomic.Int64
	h.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	h.Progress = activities.NewProgress(h.Now)
	p := h.prepare()
	var away atomic.Bool
	away.Store(true)
	h.store.before = func(op, key string, n int) error {
		if away.Load() {
			return refuse(objectstore.Unavailable, "stat")(op, key, n)
		}
		return nil
	}
	end := pulse(t, h, p)
	awaited := make(chan error, 1)
	go func() {
		_, err := call[any](h, h.AwaitStore, p.Epoch)
		awaited <- err
	}()
	until(t, "the store is waited for", func() bool { return len(h.Progress.Report().Waiting) == 1 })
	later.Store(int64(5 * time.Minute))
	beats := d.looks()
	until(t, "two more beats", func() bool { return d.looks() >= beats+2 })
	if notes := d.told(); len(notes) > 0 {
		t.Errorf("told after 5 minutes: %q", notes)
	}
	later.Store(int64(11 * time.Minute))
	until(t, "told", func() bool { return len(d.told()) > 0 })
	beats = d.looks()
	until(t, "two more beats", func() bool { return d.looks() >= beats+2 })
	if notes := d.told(); len(notes) != 1 || !strings.Contains(notes[0], "for destination "+h.input.Dest+" since ") {
		t.Errorf("told %q, want one note of the destination", notes)
	}
	away.Store(false)
	if err := <-awaited; err != nil {
		t.Error(err)
	}
	end()
}
