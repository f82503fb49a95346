package supervise_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lightfast/internal/supervise"
)

// TestMain makes this binary a supervised program, too.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_CHILD") != "" {
		before := context.Background()
		ctx := supervise.Supervised(before)
		fmt.Println("supervised:", ctx != before, "children:", os.Getenv("LIGHTFAST_SUPERVISED"))
		<-ctx.Done()
		fmt.Println(context.Cause(ctx))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func TestChildThatDiesIsStartedAnewUntilItEndsWell(t *testing.T) {
	t.Parallel()
	count := filepath.Join(t.TempDir(), "count")
	var deaths []int
	var out bytes.Buffer
	err := supervise.Run(t.Context(), "/bin/sh", supervise.Options{
		Args:   []string{"-c", `echo x >> "$1"; echo "start $(wc -l < "$1")"; case $(wc -l < "$1") in *1) exit 3;; *2) kill -9 $$;; esac`, "sh", count},
		Env:    os.Environ(),
		Output: &out,
		Pause:  time.Millisecond,
		Died: func(err error, times int) {
			if _, ok := errors.AsType[*exec.ExitError](err); !ok {
				t.Errorf("died of %v", err)
			}
			deaths = append(deaths, times)
		},
	})
	if err != nil {
		t.Error(err)
	}
	if len(deaths) != 2 || deaths[0] != 1 || deaths[1] != 2 {
		t.Errorf("deaths %v, want the first and the second", deaths)
	}
	if n := strings.Count(out.String(), "start"); n != 3 {
		t.Errorf("%d starts, want 3:\n%s", n, &out)
	}
}

func TestPauseGrowsAndShrinksWhenTheChildWasWell(t *testing.T) {
	t.Parallel()
	var seen []int
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := supervise.Run(ctx, "/bin/false", supervise.Options{Pause: time.Microsecond, Steady: time.Nanosecond, Died: func(_ error, times int) {
		if seen = append(seen, times); len(seen) == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || len(seen) != 3 || seen[2] != 1 {
		t.Errorf("Run = %v after deaths %v, want each to be the first since the child was well", err, seen)
	}
}

func TestProgramThatIsNotThereIsADeath(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var died error
	if err := supervise.Run(ctx, "/nowhere/lightfast", supervise.Options{Pause: time.Millisecond, Died: func(err error, _ int) { died = err; cancel() }}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if !errors.Is(died, os.ErrNotExist) {
		t.Errorf("died of %v", died)
	}
}

func TestChildEndsWithItsSupervisor(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- supervise.Run(ctx, self, supervise.Options{Env: append(os.Environ(), "TEST_CHILD=1"), Output: w})
		w.Close()
	}()
	first := make([]byte, 256)
	n, err := r.Read(first)
	if err != nil || string(first[:n]) != "supervised: true children: \n" {
		t.Errorf("it said %q, %v", first[:n], err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	rest := new(bytes.Buffer)
	if _, err := rest.ReadFrom(r); err != nil || !strings.Contains(rest.String(), "its supervisor has ended") {
		t.Errorf("it did not end by itself: %q, %v", rest, err)
	}
}
