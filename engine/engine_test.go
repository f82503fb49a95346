package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.temporal.io/sdk/client"

	"lightfast/engine"
	"lightfast/internal/dial"
)

func TestSecondEngineFindsTheFirst(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "engine", dir)
	var address string
	p.says("address", &address)

	if _, err := engine.Start(t.Context(), engine.Options{StateDir: dir}); !errors.Is(err, engine.ErrRunning) {
		t.Fatalf("second Start = %v, want ErrRunning", err)
	}
	info, err := engine.Find(t.Context(), dir)
	if err != nil || info.Address != address || info.PID != p.cmd.Process.Pid || info.Namespace != engine.Namespace {
		t.Fatalf("Find = %+v, %v; want address %s of process %d", info, err, address, p.cmd.Process.Pid)
	}
	c, err := dial.Temporal(t.Context(), info.Address, dial.Options{})
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	c.Close()
}

func TestInfoOfADeadServerIsNotBelieved(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "engine", dir)
	p.says("address", new(string))
	p.kill()
	if _, err := os.Stat(filepath.Join(dir, "engine.json")); err != nil {
		t.Fatalf("the dead server should have left its info: %v", err)
	}
	if info, err := engine.Find(t.Context(), dir); !errors.Is(err, engine.ErrNotRunning) {
		t.Errorf("Find = %+v, %v; want ErrNotRunning", info, err)
	}
}

func TestFindInAnEmptyPlace(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		if _, err := engine.Find(t.Context(), dir); !errors.Is(err, engine.ErrNotRunning) {
			t.Errorf("Find(%s) = %v, want ErrNotRunning", dir, err)
		}
	}
}

func TestStateIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	startEngine(t, dir)
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "engine.json"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("mode of %s = %v, %v; want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

func TestClientOfADeadServerGoesOnWithTheNext(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "engine", dir)
	var address string
	p.says("address", &address)
	c, err := dial.Temporal(t.Context(), address, dial.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	run := execute(t, c, waiting)
	p.kill()

	e := startEngine(t, dir)
	if e.Address() != address {
		t.Fatalf("address after a kill = %s, want %s again", e.Address(), address)
	}
	startWorker(t, connectTo(t, e))
	waitFor(t, "the old client reaches the new server", func() bool {
		return c.SignalWorkflow(t.Context(), run.GetID(), "", ahead, nil) == nil
	})
	wantEnd(t, run, func(err error) bool { return err == nil })
}

func TestAPortThatIsTakenIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	if _, err := engine.Start(t.Context(), engine.Options{StateDir: dir, UIPort: l.Addr().(*net.TCPAddr).Port}); err == nil {
		t.Fatal("Start with a UI port that is taken succeeded")
	}
	if _, err := engine.Find(t.Context(), dir); !errors.Is(err, engine.ErrNotRunning) {
		t.Errorf("Find after a failed Start = %v, want ErrNotRunning", err)
	}
}

func TestWebPageServes(t *testing.T) {
	e := startEngine(t, t.TempDir())
	for _, path := range []string{"/", "/healthz", "/api/v1/namespaces/" + engine.Namespace} {
		resp, err := http.Get(e.UI() + path)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("GET %s = %s, %v; want 200", path, resp.Status, err)
		}
	}
}

func TestListensOnLoopbackOnly(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads Linux's /proc")
	}
	p := start(t, "engine", t.TempDir())
	p.says("address", new(string))
	got := listeners(t, p.cmd.Process.Pid)
	if len(got) != 5 {
		t.Errorf("%d listeners, want 5: frontend, history, matching, worker, web page", len(got))
	}
	for _, address := range got {
		if !strings.HasPrefix(address, "0100007F:") {
			t.Errorf("it listens on %s (hex), want 127.0.0.1 only", address)
		}
	}
}

// listeners reads the addresses on which a process listens, in /proc's way of writing them.
func listeners(t *testing.T, pid int) (addresses []string) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d", pid)
	fds, err := filepath.Glob(proc + "/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil { // it may be closed by now
			open[target] = true
		}
	}
	for _, table := range []string{"/net/tcp", "/net/tcp6"} {
		data, err := os.ReadFile(proc + table)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			const local, state, inode, listening = 1, 3, 9, "0A"
			if f := strings.Fields(line); f[state] == listening && open["socket:["+f[inode]+"]"] {
				addresses = append(addresses, f[local])
			}
		}
	}
	return addresses
}

func TestCleanStopLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	e, err := engine.Start(t.Context(), engine.Options{StateDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one has nothing to do
		if err := e.Stop(t.Context()); err != nil {
			t.Fatalf("Stop: %v", err)
		}
	}
	// Temporal leaves goroutines of its own behind, so a leak detector finds hundreds; ours are told by their stack.
	stacks := make([]byte, 64<<20)
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, "lightfast/engine.") {
			t.Errorf("left behind by Stop:\n%s", stack)
		}
	}
	if _, err := engine.Find(t.Context(), dir); !errors.Is(err, engine.ErrNotRunning) {
		t.Errorf("Find after Stop = %v, want ErrNotRunning", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "engine.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("engine.json after Stop: %v, want none", err)
	}
}

func TestCleanStopIsQuiet(t *testing.T) {
	p := start(t, "first", t.TempDir())
	p.says("done", new(string))
	p.stop()
	if lines := bytes.Count(p.log.Bytes(), []byte("\n")); lines != 1 {
		t.Errorf("log of a start and a clean stop has %d lines, want 1:\n%s", lines, p.log.Bytes())
	}
}

func startEngine(t testing.TB, dir string) *engine.Engine {
	t.Helper()
	e, err := engine.Start(t.Context(), engine.Options{
		StateDir: dir,
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := e.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return e
}

func connectTo(t testing.TB, e *engine.Engine) client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := dial.Temporal(ctx, e.Address(), dial.Options{Identity: identity})
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

func startWorker(t testing.TB, c client.Client) {
	t.Helper()
	w := newWorker(c, "")
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
}

func execute(t testing.TB, c client.Client, workflow any) client.WorkflowRun {
	t.Helper()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: queue}, workflow)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestDialWantsItsNamespace(t *testing.T) {
	e := startEngine(t, t.TempDir())
	if _, err := dial.Temporal(t.Context(), e.Address(), dial.Options{Namespace: "missing"}); err == nil {
		t.Error("Dial to a namespace that does not exist succeeded")
	}
}
