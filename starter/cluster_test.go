package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestClusterWorkerIsKilledAndNobodyRepeatsACommand: the server is a process
// of its own, the worker another, and the command only waits.
func TestClusterWorkerIsKilledAndNobodyRepeatsACommand(t *testing.T) {
	t.Parallel()
	worker := filepath.Join(t.TempDir(), "lightfast-worker")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", worker, "../worker").CombinedOutput(); err != nil {
		t.Fatalf("go build ../worker: %v\n%s", err, out)
	}
	server := newPlace(t).begin("up")
	up := server.until("up", func(e map[string]any) bool { return e["event"] == "up" })
	address := up["address"].(string)

	host := t.TempDir()
	work := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), worker, "--address", address, "--state", host)
		cmd.Stderr = t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	w := work()
	id := hostID(t, host)

	p := longPlace(t)
	b := p.begin("backup", "--address", address, "--on", id, "--source", p.source, "--to", p.dest)
	b.storing()
	w.Process.Kill()
	w.Wait()
	w = work()
	b.until("done", func(e map[string]any) bool { return e["event"] == "result" })
	if code := b.end(); code != 0 {
		t.Errorf("backup ended with %d, want 0", code)
	}
	w.Process.Signal(syscall.SIGTERM)
	if err := w.Wait(); err != nil {
		t.Errorf("the worker's orderly end: %v", err)
	}
	p.restore(0)
	sameTree(t, p.source, p.out)
	server.cmd.Process.Kill()
	server.end()
}

// hostID waits for a worker's first sign of life.
func hostID(t *testing.T, state string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		var host struct{ ID string }
		if b, err := os.ReadFile(filepath.Join(state, "host.json")); err == nil && json.Unmarshal(b, &host) == nil && host.ID != "" {
			return host.ID
		}
	}
	t.Fatal("the worker has drawn no host id within a minute")
	return ""
}
