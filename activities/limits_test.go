package activities_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/testsuite"

	"lightfast/activities"
	"lightfast/internal/exit"
	"lightfast/internal/ratelimit"
	"lightfast/objectstore"
	"lightfast/objectstore/dir"
	"lightfast/photos"
)

// limited gives h a store that obeys the line of its run, and returns it once
// the store is open.
func limited(t *testing.T, h *host) *ratelimit.Line {
	t.Helper()
	var opened ratelimit.Line
	h.OpenStore = func(_ context.Context, dest string, line ratelimit.Line) (objectstore.Store, error) {
		opened = line
		d, err := dir.New(dest, dir.Options{Line: line, Log: h.Log})
		return d, err
	}
	return &opened
}

func (h *host) limits() activities.Limits { return h.Progress.Report().Limits }

func TestLimitsAreThoseOfTheRun(t *testing.T) {
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
	h := newHost(t, lib, t.TempDir())
	line := limited(t, h)
	h.input.Limits = activities.Limits{Upload: "10M"}
	is := func(when string, up, down int64, shown activities.Limits) {
		t.Helper()
		if line.Up.Rate() != up || line.Down.Rate() != down {
			t.Errorf("%s: %d up and %d down, want %d and %d", when, line.Up.Rate(), line.Down.Rate(), up, down)
		}
		if diff := cmp.Diff(shown, h.limits()); diff != "" {
			t.Errorf("%s, progress says: %s", when, diff)
		}
	}
	p := h.prepare()
	is("as asked for", 10<<20, 0, activities.Limits{Upload: "10M"})
	set := func(l activities.Limits) {
		t.Helper()
		if _, err := call[any](h, h.SetLimits, l); err != nil {
			t.Fatal(err)
		}
	}
	set(activities.Limits{Download: "00:00,512k"})
	is("one direction changed", 10<<20, 512<<10, activities.Limits{Upload: "10M", Download: "00:00,512k"})
	set(activities.Limits{Upload: "off"})
	is("the other lifted", 0, 512<<10, activities.Limits{Download: "00:00,512k"})
	if _, err := call[any](h, h.SetLimits, activities.Limits{Upload: "fast"}); exit.CodeOf(err) != exit.Usage {
		t.Errorf("SetLimits(fast) = %v, want wrong usage", err)
	}

	// Another process goes on with the run.
	next := newHost(t, lib, h.input.Dest)
	next.Activities.Catalog, next.input = h.Catalog, h.input
	old := h
	h, line = next, limited(t, next)
	h.prepare()
	is("in the next process", 0, 512<<10, activities.Limits{Download: "00:00,512k"})
	h.workOff(p)
	h.finish(p)
	if _, err := call[any](h, h.EndRun, p.Epoch); err != nil {
		t.Fatal(err)
	}
	h.prepare()
	is("in the next run", 10<<20, 0, activities.Limits{Upload: "10M"})
	activities.Close(old.Activities)
}

func TestSmallIsWhatALimitLetsPassSoon(t *testing.T) {
	lib := newMemory()
	for i := range 30 {
		lib.put(fmt.Sprintf("%02d.jpg", i), photos.RoleOriginal, noise(uint64(i), 100_000))
	}
	lib.put("panorama.jpg", photos.RoleOriginal, noise(99, 2*mib))
	h := newHost(t, lib, t.TempDir())
	line := limited(t, h)
	h.input.Limits.Upload = "16k" // a MiB in little more than a minute
	p := h.prepare()
	ask := func(lane string) []activities.Ref {
		t.Helper()
		next, err := call[activities.Next](h, h.NextAssets, activities.NextInput{Epoch: p.Epoch, Lane: lane, N: 200})
		if err != nil {
			t.Fatal(err)
		}
		return next.Refs
	}
	if refs := ask(activities.Small); len(refs) != 9 {
		t.Errorf("a batch has %d assets of 100 KB at 16 KiB/s, want the 9 that take a minute", len(refs))
	}
	line.Up.Set(nil)
	if refs := ask(activities.Small); len(refs) < 30 {
		t.Errorf("a batch has %d assets without limit, want all", len(refs))
	}
	h.workOff(p)
	if res := h.finish(p); res.Assets.Stored != 31 {
		t.Errorf("%d assets stored, want 31", res.Assets.Stored)
	}
}

func TestWhatALimitMakesSlowIsLaneLarges(t *testing.T) {
	lib := newMemory()
	lib.put("panorama.jpg", photos.RoleOriginal, noise(1, 2*mib))
	h := newHost(t, lib, t.TempDir())
	limited(t, h)
	h.input.Limits.Upload = "16k"
	p := h.prepare()
	if in, ok := h.next(p.Epoch, activities.Small); ok {
		t.Errorf("lane small has %s", in.Name)
	}
	if in, ok := h.next(p.Epoch, activities.Large); !ok || in.Name != "panorama.jpg" {
		t.Errorf("lane large has %v, want panorama.jpg", in)
	}
}

// A limit that is lowered when the request is on its way.
func TestSmallAssetThatBecomesSlowIsHandedOver(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		lib := newMemory()
		lib.put("a.jpg", photos.RoleOriginal, noise(1, 7*mib))
		h := newHost(t, lib, folder)
		line := limited(t, h)
		p := h.prepare()
		in, ok := h.next(p.Epoch, activities.Small)
		if !ok {
			t.Fatal("lane small has nothing")
		}
		if _, err := call[any](h, h.SetLimits, activities.Limits{Upload: "16k"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 3 { // parts of films beside it
			go line.Up.Wait(ctx, 1<<30)
		}
		began := time.Now()
		var suite testsuite.WorkflowTestSuite
		env := suite.NewTestActivityEnvironment()
		env.SetTestTimeout(time.Hour)
		v, err := env.ExecuteLocalActivity(h.StoreAsset, in)
		var out activities.Outcome
		if err == nil {
			err = v.Get(&out)
		}
		if err != nil || out != activities.HandedOver {
			t.Errorf("StoreAsset = %s, %v, want handed over", out, err)
		}
		if d := time.Since(began); d > 25*time.Minute {
			t.Errorf("it took %v, longer than Temporal bears", d)
		}
		if in, ok := h.next(p.Epoch, activities.Large); !ok || in.Name != "a.jpg" {
			t.Errorf("lane large has %v, want a.jpg", in)
		}
	})
}
