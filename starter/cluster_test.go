package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"lightfast/internal/cgroup"
)

func TestClusterWorkerIsKilledAndNobodyRepeatsACommand(t *testing.T) {
	t.Parallel()
	p := longPlace(t)
	p.killWorkers(rand.New(rand.NewPCG(1, 1)), 1)
}

// cluster is a server in a process of its own and what starts its workers.
type cluster struct {
	t                            *testing.T
	server                       *background
	address, state, host, worker string

	env   []string       // of its workers, beside our own
	group *cgroup.Memory // they live in it, unless nil
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, state: t.TempDir(), worker: filepath.Join(t.TempDir(), "lightfast-worker")}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", c.worker, "../worker").CombinedOutput(); err != nil {
		t.Fatalf("go build ../worker: %v\n%s", err, out)
	}
	c.server = newPlace(t).begin("up")
	up := c.server.until("up", func(e map[string]any) bool { return e["event"] == "up" })
	c.address = up["address"].(string)
	return c
}

// work starts a worker, and waits for its first sign of life.
func (c *cluster) work() *exec.Cmd {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.worker, "--address", c.address, "--state", c.state)
	cmd.Stderr, cmd.Env = c.t.Output(), append(os.Environ(), c.env...)
	if c.group != nil {
		if err := c.group.Put(cmd); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.host = hostID(c.t, c.state)
	return cmd
}

// end ends a worker in an orderly way, and the server.
func (c *cluster) end(w *exec.Cmd) {
	c.t.Helper()
	w.Process.Signal(syscall.SIGTERM)
	if err := w.Wait(); err != nil {
		c.t.Errorf("the worker's orderly end: %v", err)
	}
	c.server.cmd.Process.Kill()
	c.server.end()
}

func TestClusterRunIsCanceledFromAnyTerminal(t *testing.T) {
	t.Parallel()
	p, c := longPlace(t), newCluster(t)
	w := c.work()
	b := p.begin("backup", "--address", c.address, "--on", c.host, "--source", p.source, "--to", p.dest)
	b.until("storing something", func(e map[string]any) bool {
		return e["phase"] == "storing" && number(t, e, "assets", "done") > 0
	})
	if _, code := newPlace(t).run("cancel", "--address", c.address); code != 0 {
		t.Errorf("cancel ended with %d, want 0", code)
	}
	if code := b.end(); code != 8 {
		t.Errorf("backup ended with %d, want 8", code)
	}
	p.restore(0) // what is done, by its interim snapshot
	if want, got := tree(t, p.source), tree(t, p.out); len(got) == 0 || len(got) == len(want) {
		t.Errorf("%d of %d files restored from the interim snapshot, want a part", len(got), len(want))
	}
	if ev, code := p.run("backup", "--address", c.address, "--on", c.host, "--source", p.source, "--to", p.dest); code != 0 || ev.result(t)["resumed"] != true {
		t.Errorf("the same command ended with %d, want 0 and resumed", code)
	}
	c.end(w)
}

// killWorkers backs up in a cluster: the server is a process of its own, the
// worker another, which is killed again and again and started by nobody but a
// loop, and the command only waits.
func (p *place) killWorkers(rng *rand.Rand, kills int) {
	t, c := p.t, newCluster(p.t)
	t.Helper()
	w := c.work()
	b := p.begin("backup", "--address", c.address, "--on", c.host, "--source", p.source, "--to", p.dest)
	b.storing()
	total := sizeOf(t, p.source)
	for n := range kills {
		// A seeded point within the n-th part of what is to be stored.
		point := int64(float64(total) * (float64(n) + rng.Float64()) / float64(kills+1))
		for deadline := time.Now().Add(patience); sizeOf(t, p.dest) < point; {
			if time.Now().After(deadline) {
				t.Fatalf("kill %d: %d of %d bytes at the destination, waited for %d", n+1, sizeOf(t, p.dest), total, point)
			}
		}
		w.Process.Kill()
		w.Wait()
		if n == 0 {
			p.lostWithin(c.address, 20*time.Second)
		}
		w = c.work()
	}
	res := b.until("done", func(e map[string]any) bool { return e["event"] == "result" })
	if code := b.end(); code != 0 {
		t.Errorf("backup ended with %d, want 0", code)
	}
	t.Logf("%d kills: %.1f s, %d bytes sent of %d", kills, res["duration_s"], number(t, res, "bytes", "sent"), number(t, res, "bytes", "source"))
	c.end(w)
	p.restore(0)
	sameTree(t, p.source, p.out)
}

// sizeOf sums the files below dir, also the parts of what is half there.
func sizeOf(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = e.Info(); err == nil {
				n += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) { // renamed or removed meanwhile
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// lostWithin: status must say so within the heartbeat timeout of Pulse and ten
// seconds more.
func (p *place) lostWithin(address string, most time.Duration) {
	p.t.Helper()
	for start := time.Now(); ; {
		ev, code := p.run("status", "--address", address)
		if code == 0 && len(ev["run"]) == 1 && ev["run"][0]["state"] == "worker_lost" {
			p.t.Logf("status says worker_lost %.1f s after its death", time.Since(start).Seconds())
			return
		}
		if time.Since(start) > most {
			p.t.Fatalf("%s after its worker's death: %v", most, ev["run"])
		}
	}
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
