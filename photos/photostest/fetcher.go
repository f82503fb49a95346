package photostest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lightfast/photos"
)

// FetchFixture is how the checks come by a fetcher.
type FetchFixture struct {
	// Open opens a fetcher that has the items. The suite closes it.
	Open func(t *testing.T) photos.Fetcher

	// Items are at least two, one of them larger than 64 KiB.
	Items []FetchItem
}

// FetchItem is a resource that is only in iCloud, as a scan describes it.
type FetchItem struct {
	ID       photos.AssetID
	Resource photos.Resource
	SHA256   string // in hex
}

// RunFetcher checks each promise of photos.Fetcher. It looks at the open files
// of the process, so nothing else may run beside it: no t.Parallel.
func RunFetcher(t *testing.T, f FetchFixture) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *fetcher)
	}{
		{"ShowsWhatThereIs", showsWhatThereIs},
		{"FetchGivesTheFile", fetchGivesTheFile},
		{"FetchReplacesNothing", fetchReplacesNothing},
		{"FetchLeavesNothingThatDoesNotFit", fetchLeavesNothingThatDoesNotFit},
		{"UnknownIsSkipped", unknownIsSkipped},
		{"PushGivesAllBytes", pushGivesAllBytes},
		{"PushWaitsForItsWriter", pushWaitsForItsWriter},
		{"PushReturnsTheErrorOfItsWriter", pushReturnsTheErrorOfItsWriter},
		{"PushSaysWhatDoesNotFit", pushSaysWhatDoesNotFit},
		{"CanceledContextEndsEverything", canceledContextEndsFetches},
		{"ManyAtOnce", manyFetchesAtOnce},
		{"FetchesLeakNothing", fetchesLeakNothing},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, &fetcher{FetchFixture: f, Fetcher: f.open(t), dir: t.TempDir()})
		})
	}
}

func (f FetchFixture) open(t *testing.T) photos.Fetcher {
	t.Helper()
	x := f.Open(t)
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return x
}

// fetcher is a fixture at work.
type fetcher struct {
	FetchFixture
	photos.Fetcher
	dir string
}

func (f *fetcher) path(name string) string { return filepath.Join(f.dir, name) }

// large is an item that no pipe holds.
func (f *fetcher) large(t *testing.T) FetchItem {
	t.Helper()
	for _, i := range f.Items {
		if i.Resource.Size > 64<<10 {
			return i
		}
	}
	t.Fatal("the fixture has no item larger than 64 KiB")
	panic("unreachable")
}

// left fails where the fetcher left files.
func (f *fetcher) left(t *testing.T, want int) {
	t.Helper()
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != want {
		t.Errorf("%d files are left, want %d: %v", len(entries), want, entries)
	}
}

func (i FetchItem) fits(b []byte) error {
	if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != i.SHA256 || int64(len(b)) != i.Resource.Size {
		return fmt.Errorf("%s of %s: %d bytes with hash %s, want %d with %s", i.Resource.Role, i.ID, len(b), got, i.Resource.Size, i.SHA256)
	}
	return nil
}

func (i FetchItem) fitsFile(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return i.fits(b)
}

func wantSkip(t *testing.T, what string, err error, unfit bool) {
	t.Helper()
	e, ok := errors.AsType[*photos.FetchError](err)
	if !ok || e.Class != photos.FetchSkip || e.Unfit != unfit || e.Text == "" {
		t.Errorf("%s: %#v, want a FetchError with class skip, unfit %v and a text", what, err, unfit)
	}
}

func showsWhatThereIs(t *testing.T, f *fetcher) {
	known := map[photos.AssetID]bool{}
	var ids []photos.AssetID
	for _, i := range f.Items {
		if !known[i.ID] {
			known[i.ID] = true
			ids = append(ids, i.ID)
		}
	}
	for n := range len(ids) + 1 {
		if got, err := f.Shows(t.Context(), ids[:n]); err != nil || got != n {
			t.Errorf("Shows(%d of its assets) = %d, %v", n, got, err)
		}
	}
}

func fetchGivesTheFile(t *testing.T, f *fetcher) {
	for n, i := range f.Items {
		var moving atomic.Int32
		p := f.path(fmt.Sprint(n))
		err := f.Fetch(t.Context(), i.ID, i.Resource, p, func() {
			if moving.Add(1) > 1 {
				t.Error("moved is called from two goroutines at once")
			}
			moving.Add(-1)
		})
		if err != nil {
			t.Errorf("Fetch(%s of %s): %v", i.Resource.Role, i.ID, err)
		} else if err := i.fitsFile(p); err != nil {
			t.Error(err)
		}
	}
	f.left(t, len(f.Items))
}

func fetchReplacesNothing(t *testing.T, f *fetcher) {
	p, i := f.path("there"), f.Items[0]
	if err := os.WriteFile(p, []byte("there"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Fetch(t.Context(), i.ID, i.Resource, p, func() {}); err == nil {
		t.Error("Fetch over a file that is there: no error")
	}
	if b, err := os.ReadFile(p); err != nil || string(b) != "there" {
		t.Errorf("the file that was there is %q, %v", b, err)
	}
}

func fetchLeavesNothingThatDoesNotFit(t *testing.T, f *fetcher) {
	for _, d := range []int64{-1, 1} {
		i := f.large(t)
		i.Resource.Size += d
		wantSkip(t, fmt.Sprintf("Fetch of what is said to have %+d bytes", d), f.Fetch(t.Context(), i.ID, i.Resource, f.path("unfit"), func() {}), true)
		f.left(t, 0)
	}
}

func unknownIsSkipped(t *testing.T, f *fetcher) {
	i := f.Items[0]
	wantSkip(t, "Fetch of an unknown asset", f.Fetch(t.Context(), "00000000-0000-4000-8000-FFFFFFFFFFFF", i.Resource, f.path("unknown"), func() {}), false)
	preview := photos.Resource{Role: photos.RolePreview, Name: "x.jpeg", Path: "x.jpeg", Size: 1, Reason: photos.ICloudOnly}
	wantSkip(t, "Fetch of a preview", f.Fetch(t.Context(), i.ID, preview, f.path("unknown"), func() {}), false)
	wantSkip(t, "Push of a preview", f.Push(t.Context(), i.ID, preview, io.Discard), false)
	f.left(t, 0)
}

func pushGivesAllBytes(t *testing.T, f *fetcher) {
	for _, i := range f.Items {
		var b bytes.Buffer
		if err := f.Push(t.Context(), i.ID, i.Resource, &b); err != nil {
			t.Errorf("Push(%s of %s): %v", i.Resource.Role, i.ID, err)
		} else if err := i.fits(b.Bytes()); err != nil {
			t.Error(err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func pushWaitsForItsWriter(t *testing.T, f *fetcher) {
	i := f.large(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	var first sync.Once
	var b bytes.Buffer
	done := make(chan error, 1)
	go func() {
		done <- f.Push(t.Context(), i.ID, i.Resource, writerFunc(func(p []byte) (int, error) {
			first.Do(func() {
				close(entered)
				<-leave
			})
			return b.Write(p)
		}))
	}()
	<-entered
	select {
	case err := <-done:
		t.Fatalf("Push ended before its writer had taken anything: %v", err)
	case <-time.After(300 * time.Millisecond): // longer than any impatience of a fetcher under test
	}
	close(leave)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := i.fits(b.Bytes()); err != nil {
		t.Error(err)
	}
}

func pushReturnsTheErrorOfItsWriter(t *testing.T, f *fetcher) {
	i, full := f.large(t), errors.New("full")
	for _, after := range []int{0, 1} {
		n := 0
		err := f.Push(t.Context(), i.ID, i.Resource, writerFunc(func(p []byte) (int, error) {
			if n++; n > after {
				return 0, full
			}
			return min(1000, len(p)), full
		}))
		if !errors.Is(err, full) || n != 1 {
			t.Errorf("Push to a writer that fails = %v after %d writes, want its error after one", err, n)
		}
	}
}

func pushSaysWhatDoesNotFit(t *testing.T, f *fetcher) {
	for _, d := range []int64{-1, 1} {
		i := f.large(t)
		i.Resource.Size += d
		wantSkip(t, fmt.Sprintf("Push of what is said to have %+d bytes", d), f.Push(t.Context(), i.ID, i.Resource, io.Discard), true)
	}
}

func canceledContextEndsFetches(t *testing.T, f *fetcher) {
	i := f.large(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Fetch(gone, i.ID, i.Resource, f.path("canceled"), func() {}); !errors.Is(err, context.Canceled) {
		t.Errorf("Fetch with a canceled context: %v", err)
	}
	f.left(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := f.Push(ctx, i.ID, i.Resource, writerFunc(func(p []byte) (int, error) {
		cancel()
		return len(p), nil
	}))
	if err != nil && !errors.Is(err, context.Canceled) { // what was already on its way may come
		t.Errorf("Push canceled at its first byte: %v", err)
	}
	if err := f.Fetch(t.Context(), i.ID, i.Resource, f.path("afterwards"), func() {}); err != nil {
		t.Errorf("Fetch after a canceled one: %v", err)
	}
}

func manyFetchesAtOnce(t *testing.T, f *fetcher) {
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			i, p := f.Items[n%len(f.Items)], f.path(fmt.Sprint(n))
			if err := f.Fetch(t.Context(), i.ID, i.Resource, p, func() {}); err != nil {
				t.Errorf("Fetch beside others: %v", err)
			} else if err := i.fitsFile(p); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func fetchesLeakNothing(t *testing.T, f *fetcher) {
	before := openFiles(t)
	x := f.Open(t)
	for range 3 {
		i := f.Items[0]
		if err := x.Fetch(t.Context(), i.ID, i.Resource, f.path("leak"), func() {}); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(f.path("leak")); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(x.Close(), x.Close()); err != nil {
		t.Errorf("Close, twice: %v", err)
	}
	if err := x.Fetch(t.Context(), f.Items[0].ID, f.Items[0].Resource, f.path("closed"), func() {}); err == nil {
		t.Log("Fetch after Close works here; it must only leak nothing")
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files are open after a fetcher was closed, %d before", after, before)
	}
}
