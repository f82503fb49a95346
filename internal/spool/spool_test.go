package spool_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"lightfast/internal/spool"
)

// TestMain makes this binary a process that takes a lease, leaves a file in it
// and waits to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SPOOL_TEST_HOLD"); dir != "" {
		hold(dir)
	}
	goleak.VerifyTestMain(m)
}

func hold(dir string) {
	s, err := spool.Open(dir, spool.Options{Budget: 1000, Floor: 1})
	if err == nil {
		var l *spool.Lease
		if l, err = s.Acquire(context.Background(), spool.Need{File: 400, Copy: 400}, nil); err == nil {
			err = os.WriteFile(l.Path(), make([]byte, 400), 0o600)
		}
	}
	if err != nil {
		os.Stdout.WriteString(err.Error())
		os.Exit(1)
	}
	os.Stdout.WriteString("held")
	select {}
}

// disk is one whose free space a test decides.
type disk struct{ free atomic.Int64 }

func (d *disk) of(string) (spool.Disk, error) {
	return spool.Disk{Free: d.free.Load(), Size: 1 << 40}, nil
}

func open(t *testing.T, dir string, o spool.Options) *spool.Spool {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	if o.Recheck == 0 {
		o.Recheck = time.Millisecond
	}
	s, err := spool.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func acquire(t *testing.T, s *spool.Spool, n spool.Need) *spool.Lease {
	t.Helper()
	l, err := s.Acquire(t.Context(), n, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// waits checks that there is no room for n, and returns what acquires it later.
func waits(t *testing.T, s *spool.Spool, n spool.Need) <-chan *spool.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Acquire(ctx, n, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Acquire(%+v) = %v, want it to wait", n, err)
	}
	got := make(chan *spool.Lease, 1)
	later, stop := context.WithCancel(t.Context())
	go func() {
		defer close(got)
		if l, err := s.Acquire(later, n, nil); err == nil {
			got <- l
		}
	}()
	t.Cleanup(func() { // before the folder goes
		stop()
		if l := <-got; l != nil {
			l.Release()
		}
	})
	return got
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
}

func TestALeaseCountsTheFileAndItsCopy(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, spool.Options{Budget: 1000, Floor: 1})
	a := acquire(t, s, spool.Need{File: 300, Copy: 300})
	later := waits(t, s, spool.Need{File: 300, Copy: 300})
	a.Release()
	b := <-later
	if held, err := s.Held(); err != nil || held != 600 {
		t.Errorf("held = %d, %v, want 600", held, err)
	}
	b.Release()
	b.Release()
	if held, err := s.Held(); err != nil || held != 0 {
		t.Errorf("held = %d, %v, want 0", held, err)
	}
	empty(t, dir)
	if s.Fits(501) || !s.Fits(500) {
		t.Error("Fits does not count the copy")
	}
}

func TestFreeSpaceIsNeverTakenBelowTheFloor(t *testing.T) {
	var d disk
	d.free.Store(1500)
	s := open(t, t.TempDir(), spool.Options{Budget: 1 << 30, Floor: 1000, Disk: d.of})
	a := acquire(t, s, spool.Need{File: 200, Copy: 200})
	need := spool.Need{File: 50, Copy: 51} // 1500 - 400 - 101 < 1000, though nothing is written yet
	pending := waits(t, s, need)
	d.free.Store(1501)
	(<-pending).Release()
	d.free.Store(1500)
	var told []spool.Want
	l, err := s.Acquire(t.Context(), need, func(w spool.Want) func() {
		told = append(told, w)
		d.free.Store(1501)
		return func() { told = append(told, -w) }
	})
	if err != nil || !slices.Equal(told, []spool.Want{spool.Free, -spool.Free}) {
		t.Errorf("told that it waits for %v, %v", told, err)
	}
	l.Release()

	d.free.Store(1100) // the file and its copy are there
	if err := a.Filled(); err != nil {
		t.Fatal(err)
	}
	acquire(t, s, spool.Need{Copy: 100}).Release()
	later := waits(t, s, spool.Need{Copy: 101})
	d.free.Store(1101) // somebody empties the trash
	(<-later).Release()
	a.Release()
}

// The spool may lie on a disk that is smaller than one film.
func TestACopyTakesRoomOfTheLibrarysDiskAlone(t *testing.T) {
	disks := map[string]spool.Disk{"library": {Free: 1000, Size: 2000}, "same container": {Free: 100, Size: 200}}
	dir := t.TempDir()
	s := open(t, dir, spool.Options{Budget: 1 << 30, Floor: 10, Disk: func(path string) (spool.Disk, error) {
		if path == dir {
			return spool.Disk{Free: 100, Size: 200}, nil
		}
		return disks[path], nil
	}})
	push := acquire(t, s, spool.Need{Copy: 800, Library: "library"})
	file := acquire(t, s, spool.Need{File: 80, Copy: 80, Library: "library"})
	full := waits(t, s, spool.Need{Copy: 111, Library: "library"})
	push.Release()
	(<-full).Release()
	full = waits(t, s, spool.Need{File: 11, Copy: 11, Library: "library"})
	file.Release()
	(<-full).Release()
	acquire(t, s, spool.Need{File: 45, Copy: 45, Library: "same container"}).Release()
	waits(t, s, spool.Need{File: 46, Copy: 45, Library: "same container"})
}

func TestWhatIsPushedNeedsNoBudget(t *testing.T) {
	s := open(t, t.TempDir(), spool.Options{Budget: 10, Floor: 1})
	acquire(t, s, spool.Need{Copy: 1 << 20}).Release()
}

func TestTheFirstToAskIsServedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir(), spool.Options{Budget: 1000, Floor: 1})
		a := acquire(t, s, spool.Need{File: 600})
		var order []int64
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, size := range []int64{950, 100} { // for the second there would be room
			wg.Go(func() {
				l, err := s.Acquire(t.Context(), spool.Need{File: size}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, size)
				mu.Unlock()
				l.Release()
			})
			synctest.Wait()
		}
		a.Release()
		wg.Wait()
		if len(order) != 2 || order[0] != 950 {
			t.Errorf("served in the order %v", order)
		}
	})
}

func TestProcessesShareTheBudgetAndADeadOneGivesItBack(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, spool.Options{Budget: 1000, Floor: 1})
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "SPOOL_TEST_HOLD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 4)
	if _, err := io.ReadFull(out, said); err != nil || string(said) != "held" {
		t.Fatalf("%q, %v", said, err)
	}
	if held, err := s.Held(); err != nil || held != 800 {
		t.Errorf("held = %d, %v, want 800", held, err)
	}
	later := waits(t, s, spool.Need{File: 300})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // killed
	l := <-later
	l.Release()
	empty(t, dir)
}

func TestOpenRemovesWhatNoLeaseExplains(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.spool", "b.spool", "b.lease"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	living := open(t, dir, spool.Options{Budget: 1000, Floor: 1})
	empty(t, dir)
	l := acquire(t, living, spool.Need{File: 1})
	if err := os.WriteFile(l.Path(), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir, spool.Options{Budget: 1000, Floor: 1})
	if _, err := os.Stat(l.Path()); err != nil {
		t.Errorf("the file of a living lease: %v", err)
	}
	l.Release()
	empty(t, dir)
}

func TestManyAtOnceNeverHoldMoreThanTheBudget(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, spool.Options{Budget: 1000, Floor: 1})
	var held, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range int64(20) {
				need := spool.Need{File: 100 + n*10 + int64(i), Copy: n}
				l, err := s.Acquire(t.Context(), need, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if now := held.Add(need.File + need.Copy); now > 1000 {
					most.Store(now)
				}
				held.Add(-need.File - need.Copy)
				l.Release()
			}
		})
	}
	wg.Wait()
	if most.Load() > 0 {
		t.Errorf("%d bytes were held of 1000", most.Load())
	}
	empty(t, dir)
}
