package photokit_test

import (
	"bufio"
	"bytes"
	stdcmp "cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lightfast/photos"
	"lightfast/photos/photokit"
	"lightfast/photos/photokit/photokittest"
)

// slow hashes what it takes, at some 200 MB/s.
type slow struct {
	hash.Hash
	n int64
}

func (s *slow) Write(b []byte) (int, error) {
	s.n += int64(len(b))
	<-time.After(time.Millisecond)
	return s.Hash.Write(b)
}

func TestPushedFilmTakesNoMemory(t *testing.T) {
	t.Parallel()
	const size = 128 << 20
	id, r, content := photokittest.Film(0, size)
	c := open(t, patient, "MOCK_ASSETS=50", "MOCK_FILM_MB=128")
	got, want := slow{Hash: sha256.New()}, sha256.New()
	if err := c.Push(t.Context(), id, r, &got); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(want, content); err != nil {
		t.Fatal(err)
	}
	if string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Errorf("%d bytes came, others than were pushed", got.n)
	}
	if s := c.Stats(); s.Peak > 24<<20 || s.Started != 1 {
		t.Errorf("%+v, want one helper of at most 24 MiB", s)
	}
}

// A framework that reads ahead of a writer is killed at the limit, not at the
// size of the film.
func TestFloodIsKilledAtTheLimit(t *testing.T) {
	t.Parallel()
	id, r, _ := photokittest.Film(0, 400<<20)
	c := open(t, with(patient, func(o *photokit.Options) { o.MaxFootprint = 48 << 20 }), "MOCK_ASSETS=50", "MOCK_FILM_MB=400", "MOCK_FAULTS=flood=always", "MOCK_SLOW_MS=5")
	err := c.Push(t.Context(), id, r, io.Discard)
	if e, ok := errors.AsType[*photos.FetchError](err); !ok || e.Class != photos.FetchSkip || e.Unfit {
		t.Errorf("Push: %v, want it skipped", err)
	}
	if s := c.Stats(); s.TooLarge != 2 || s.Peak < 48<<20 || s.Peak > 200<<20 {
		t.Errorf("%+v, want two helpers killed soon after 48 MiB", s)
	}
}

func TestManyRequestsDoNotMakeAHelperGrow(t *testing.T) {
	t.Parallel()
	dir, items := cloud(t, 200<<10)
	c := open(t, patient, "MOCK_CLOUD="+dir)
	for range 150 {
		if err := fetch(t, c, items[0]); err != nil {
			t.Fatal(err)
		}
	}
	if s := c.Stats(); s.Started != 1 || s.Peak > 16<<20 {
		t.Errorf("%+v, want one helper of at most 16 MiB", s)
	}
}

func TestRequestThatNeverEndsIsKilledThoughItMoves(t *testing.T) {
	t.Parallel()
	id, r, _ := photokittest.Film(0, 1<<20)
	c := open(t, with(patient, func(o *photokit.Options) { o.Attempts, o.Slowest, o.Least = 1, 2<<20, time.Millisecond }), "MOCK_ASSETS=50", "MOCK_FILM_MB=1", "MOCK_SLOW_MS=600")
	err := c.Push(t.Context(), id, r, io.Discard)
	if e, ok := errors.AsType[*photos.FetchError](err); !ok || e.Class != photos.FetchAgain || c.Stats().Silent != 1 {
		t.Errorf("Push: %v, %+v", err, c.Stats())
	}
}

func TestAuthorizeAsksAndTheNextHelperKnows(t *testing.T) {
	t.Parallel()
	dir, items := cloud(t, 100)
	c := open(t, patient, "MOCK_CLOUD="+dir, "MOCK_AUTH=0", "MOCK_AUTH_ANSWER=3")
	if info, err := c.Info(t.Context()); err != nil || info.Status != photokit.NotDetermined || len(info.Missing)+len(info.Changed) > 0 {
		t.Errorf("Info = %+v, %v", info, err)
	}
	if s, err := c.Authorize(t.Context()); err != nil || s != photokit.Authorized {
		t.Errorf("Authorize = %v, %v", s, err)
	}
	err := fetch(t, c, items[0]) // of a new process, which the mock has not authorized
	if e, ok := errors.AsType[*photos.FetchError](err); !ok || e.Class != photos.FetchStop || c.Stats().Started != 2 {
		t.Errorf("Fetch: %v, %+v", err, c.Stats())
	}
}

func TestOtherLibraryShowsNothing(t *testing.T) {
	t.Parallel()
	dir, items := cloud(t, 100, 100)
	c := open(t, patient, "MOCK_CLOUD="+dir, "MOCK_SHOWS=none")
	if n, err := c.Shows(t.Context(), []photos.AssetID{items[0].ID, items[1].ID}); n != 0 || err != nil {
		t.Errorf("Shows = %d, %v", n, err)
	}
	c = open(t, patient, "MOCK_CLOUD="+dir, "MOCK_SHOWS=cloud")
	ids := []photos.AssetID{items[0].ID, "00000000-0000-4000-8000-00000000FFFF", items[1].ID}
	for range 1100 { // more than one message may ask for
		ids = append(ids, items[1].ID)
	}
	if n, err := c.Shows(t.Context(), ids); n != len(ids)-1 || err != nil {
		t.Errorf("Shows(%d ids, one of them unknown) = %d, %v", len(ids), n, err)
	}
}

func TestHelperThatIsNone(t *testing.T) {
	frame := func(s string) string { return fmt.Sprintf(`printf 'M\000\000\000\%03o%%s' '%s' >&3`, len(s), s) }
	hello := frame(`{"op":"hello","version":1,"status":3}`)
	for _, tt := range []struct {
		name, script string
		class        photos.FetchClass
	}{
		{"Missing", "", photos.FetchStop},
		{"Ends", "echo no Photos here >&2; exit 1", photos.FetchStop},
		{"SaysNothing", "exec cat", photos.FetchStop},
		{"SpeaksAnotherVersion", frame(`{"op":"hello","version":2,"status":3}`) + "; exec cat", photos.FetchStop},
		{"SpeaksAnotherLanguage", "echo Hello, world >&3; exec cat", photos.FetchStop},
		{"LacksMethods", frame(`{"op":"hello","version":1,"problems":[{"missing":true,"text":"PHAsset has gone"}]}`) + "; exec cat", photos.FetchStop},
		{"AnswersNothing", hello + "; exec cat", photos.FetchAgain},
		{"AnswersSomethingElse", hello + "; " + frame(`{"op":"shows","id":1}`) + "; exec cat", photos.FetchAgain},
		{"IsNoJSON", hello + "; " + frame(`{"op"`) + "; exec cat", photos.FetchAgain},
		{"PushesUnasked", hello + `; printf 'D\000\000\000\001x' >&3; exec cat`, photos.FetchAgain},
		{"IsTorn", hello + `; printf 'M\000\000\001' >&3; exit 0`, photos.FetchAgain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, items := cloud(t, 10)
			o := patient
			o.Helper = filepath.Join(t.TempDir(), "helper")
			switch tt.name {
			case "SaysNothing":
				o.Start = 300 * time.Millisecond
			case "AnswersNothing":
				o.QuietLocal = 300 * time.Millisecond
			}
			if tt.script != "" {
				if err := os.WriteFile(o.Helper, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			c := photokit.New(o)
			defer c.Close()
			err := fetch(t, c, items[0])
			if e, ok := errors.AsType[*photos.FetchError](err); !ok || e.Class != tt.class || e.Class == photos.FetchStop && e.Fix == "" {
				t.Errorf("Fetch: %#v, want class %s", err, tt.class)
			} else {
				t.Log(err)
			}
		})
	}
}

// This test binary runs once more, as a worker whose helpers are at work.
func TestHelperEndsWithItsWorker(t *testing.T) {
	t.Parallel()
	dir, items := cloud(t, 20<<20)
	helper, env := photokittest.Helper(t, "MOCK_CLOUD="+dir, "MOCK_SLOW_MS=500")
	worker := exec.Command(os.Args[0], "-test.run=^TestWorker$")
	worker.Env = append(append(os.Environ(), env...), "WORKER_HELPER="+helper, "WORKER_FETCH="+string(items[0].ID), "WORKER_SIZE="+strconv.FormatInt(items[0].Resource.Size, 10))
	worker.Env = append(worker.Env, "WORKER_SPOOL="+t.TempDir())
	out, err := worker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	defer worker.Wait()
	for in := bufio.NewScanner(out); in.Scan() && in.Text() != "moved"; {
	}
	var helpers []int
	for until := time.Now().Add(20 * time.Second); len(helpers) < 2; {
		if helpers, err = children(worker.Process.Pid); err != nil || time.Now().After(until) {
			t.Fatalf("the worker has helpers %v, want two; %v", helpers, err)
		}
	}
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); slices.ContainsFunc(helpers, alive); {
		if time.Now().After(until) {
			t.Fatal("helpers outlive their worker")
		}
	}
}

// TestWorker is no test but that worker.
func TestWorker(t *testing.T) {
	helper := os.Getenv("WORKER_HELPER")
	if helper == "" {
		return // it has another test's environment or none
	}
	size, err := strconv.ParseInt(os.Getenv("WORKER_SIZE"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	c := photokit.New(photokit.Options{Helper: helper, Readers: 2})
	id, r := photos.AssetID(os.Getenv("WORKER_FETCH")), photos.Resource{Role: photos.RoleOriginal, Size: size}
	go c.Push(context.Background(), id, r, writerFunc(func(b []byte) (int, error) { select {} }))
	c.Fetch(context.Background(), id, r, filepath.Join(os.Getenv("WORKER_SPOOL"), "x"), func() { fmt.Println("moved") })
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func children(parent int) (pids []int, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	for _, s := range stats {
		b, err := os.ReadFile(s)
		if err != nil {
			continue // has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(s)))
			if err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ") && syscall.Kill(pid, 0) == nil
}

// What frameworks print is logged, up to a bound.
func TestWordsOfAHelperAreLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	o := patient
	o.Helper = filepath.Join(t.TempDir(), "helper")
	o.Attempts = 1
	o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	script := "#!/bin/sh\nfor i in $(seq 300); do echo line $i; done >&2; head -c 9999 /dev/zero | tr '\\0' x >&2; echo >&2\necho SIGABRT: abort >&2; echo rax 0x0 >&2; exit 1\n"
	if err := os.WriteFile(o.Helper, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	c := photokit.New(o)
	_, err := c.Info(t.Context())
	if err == nil {
		t.Fatal("Info of a helper that ends: no error")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	got := []int{strings.Count(log.String(), "photokit helper says\""), strings.Count(log.String(), "more than is logged")}
	if !strings.Contains(err.Error(), "; SIGABRT: abort") || strings.Contains(err.Error(), "rax") {
		t.Errorf("Info: %v, want the last words of the helper", err)
	}
	if diff := cmp.Diff([]int{200, 1}, got); diff != "" {
		t.Errorf("lines and the remark (-want +got):\n%s", diff)
	}
	if n := len(err.Error()); n > 600 {
		t.Errorf("the error has %d bytes", n)
	}
}

// Not parallel: it strikes at every child of this process.
func TestHelperKilledOrStoppedFromOutsideLosesNoRead(t *testing.T) {
	dir, items := cloud(t, 1<<20, 900<<10, 1200<<10)
	o := impatient
	o.Attempts = 4 // a busy machine may seem to hang
	c := open(t, o, "MOCK_CLOUD="+dir, "MOCK_SLOW_MS=20")
	seed := rand.New(rand.NewPCG(1, 1))
	struck := 0
	for n := range 16 {
		i := items[n%len(items)]
		signal := []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGSEGV, 0}[seed.IntN(4)]
		strike := sync.OnceFunc(func() {
			helpers, err := children(os.Getpid())
			if err != nil {
				t.Error(err)
			}
			for _, pid := range helpers {
				if err := syscall.Kill(pid, signal); err == nil && signal != 0 {
					struck++
				}
			}
		})
		var b bytes.Buffer
		var err error
		if n%2 == 0 {
			err = c.Push(t.Context(), i.ID, i.Resource, writerFunc(func(p []byte) (int, error) {
				if b.Len() >= seed.IntN(900<<10) {
					strike()
				}
				return b.Write(p)
			}))
		} else {
			path := filepath.Join(t.TempDir(), "fetched")
			err = c.Fetch(t.Context(), i.ID, i.Resource, path, strike)
			content, gone := os.ReadFile(path)
			err = errors.Join(err, gone)
			b.Write(content)
		}
		if err = stdcmp.Or(err, fits(i, b.Bytes())); err != nil {
			t.Errorf("read %d, struck with %v: %v", n, signal, err)
		}
	}
	if s := c.Stats(); struck < 5 || s.Died == 0 || s.Silent == 0 {
		t.Errorf("helpers were struck %d times: %+v", struck, s)
	}
}
