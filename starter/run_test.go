package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// background is a lightfast that goes on while the test does other things.
type background struct {
	t      *testing.T
	cmd    *exec.Cmd
	events chan map[string]any // closed at its end
}

func (p *place) begin(args ...string) *background {
	p.t.Helper()
	b := &background{t: p.t, events: make(chan map[string]any, 1000)}
	b.cmd = exec.CommandContext(p.t.Context(), "lightfast", append(args, "--state", p.state, "--json")...)
	b.cmd.Env = append(os.Environ(), p.env...)
	b.cmd.Stderr = p.t.Output()
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(b.events)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e map[string]any
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				b.events <- e
			}
		}
	}()
	return b
}

// until waits for an event that f accepts.
func (b *background) until(what string, f func(e map[string]any) bool) map[string]any {
	b.t.Helper()
	for {
		select {
		case e, ok := <-b.events:
			if !ok {
				b.t.Fatalf("ended before it was %s", what)
			}
			if f(e) {
				return e
			}
		case <-time.After(time.Minute):
			b.t.Fatalf("was not %s within a minute", what)
		}
	}
}

func (b *background) storing() {
	b.t.Helper()
	b.until("storing", func(e map[string]any) bool { return e["phase"] == "storing" })
}

// end waits for the process and returns its exit code.
func (b *background) end() int {
	b.t.Helper()
	for range b.events {
	}
	b.cmd.Wait() // its code is what counts
	return b.cmd.ProcessState.ExitCode()
}

// longPlace has so much to back up that a test can act while that goes on.
func longPlace(t *testing.T) *place {
	p := folderPlace(t, 1500)
	for i := range 6 {
		write(t, filepath.Join(p.source, "long", string(rune('a'+i))+".MOV"), 64<<20, uint64(i))
	}
	return p
}

func (p *place) runs() []map[string]any {
	p.t.Helper()
	ev, code := p.run("status")
	if code != 0 {
		p.t.Fatalf("status ended with %d", code)
	}
	return ev["run"]
}

func TestStatusShowsARunFromAnotherTerminal(t *testing.T) {
	t.Parallel()
	p := longPlace(t)
	b := p.begin("backup", "--source", p.source, "--to", p.dest)
	b.storing()
	shows := func(what string, f func(run map[string]any) bool) {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for {
			runs := p.runs()
			if len(runs) == 1 && runs[0]["library"] == "Pictures" && f(runs[0]) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("after a minute: %v, want %s", runs, what)
			}
		}
	}
	total := func(run map[string]any) int64 { return number(t, run, "progress", "assets", "total") }
	shows("a running one with its counters", func(r map[string]any) bool { return r["state"] == "running" && total(r) == 1507 })
	b.cmd.Process.Kill()
	b.end()
	shows("a lost worker with its last counters", func(r map[string]any) bool { return r["state"] == "worker_lost" && total(r) == 1507 })
	ev, code := p.run("backup", "--source", p.source, "--to", p.dest)
	if code != 0 || ev.result(t)["resumed"] != true {
		t.Errorf("the same command ended with %d and did not go on with the run", code)
	}
	if len(ev["warning"]) != 1 || !strings.Contains(fmt.Sprint(ev["warning"][0]["message"]), "ended without a word") {
		t.Errorf("warnings = %v, want one of the dead process", ev["warning"])
	}
	shows("done", func(r map[string]any) bool { return r["state"] == "done" })
}

func TestSecondCommandAttachesAndTakesOver(t *testing.T) {
	t.Parallel()
	p := longPlace(t)
	first := p.begin("backup", "--source", p.source, "--to", p.dest)
	first.storing()
	second := p.begin("backup", "--source", p.source, "--to", p.dest, "--no-follow")
	second.storing() // as it hears from the first one
	first.cmd.Process.Kill()
	first.end()
	res := second.until("done", func(e map[string]any) bool { return e["event"] == "result" })
	if code := second.end(); code != 0 {
		t.Errorf("the second command ended with %d, want 0", code)
	}
	if total := number(t, res, "assets", "total"); total != 1507 {
		t.Errorf("total = %d, want 1507", total)
	}
	p.restore(0)
	sameTree(t, p.source, p.out)
}

func TestCancelAndInterruptAreOrderlyAndLeaveAnInterimSnapshot(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(p *place, b *background)
		code int
	}{
		{"cancel", func(p *place, _ *background) {
			if _, code := p.run("cancel"); code != 0 {
				p.t.Errorf("cancel ended with %d, want 0", code)
			}
		}, 8},
		{"interrupt", func(p *place, b *background) { b.cmd.Process.Signal(syscall.SIGINT) }, 130},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := longPlace(t)
			b := p.begin("backup", "--source", p.source, "--to", p.dest)
			b.until("storing something", func(e map[string]any) bool {
				return e["phase"] == "storing" && number(t, e, "assets", "done") > 0
			})
			tt.end(p, b)
			if code := b.end(); code != tt.code {
				t.Errorf("backup ended with %d, want %d", code, tt.code)
			}
			// On another machine, what is done can be restored by name.
			if err := os.Rename(p.state, p.state+".gone"); err != nil {
				t.Fatal(err)
			}
			p.restore(0)
			want, got := tree(t, p.source), tree(t, p.out)
			if len(got) == 0 || len(got) == len(want) {
				t.Errorf("%d of %d files restored from the interim snapshot, want a part", len(got), len(want))
			}
			for name := range got {
				if got[name] != want[name] {
					t.Errorf("%s differs", name)
				}
			}
			if err := os.RemoveAll(p.state); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(p.state+".gone", p.state); err != nil {
				t.Fatal(err)
			}
			if res := p.backup(0); res["resumed"] != true {
				t.Error("the same command did not go on")
			}
		})
	}
}

func TestKilledForGoodIsRestoredFromItsInterimSnapshot(t *testing.T) {
	t.Parallel()
	p := longPlace(t)
	b := p.begin("backup", "--source", p.source, "--to", p.dest, "--interim", "500ms")
	heads := func() []string {
		found, err := filepath.Glob(filepath.Join(p.dest, "snapshots", "*", "*.interim-*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	b.until("an interim snapshot", func(map[string]any) bool { return len(heads()) > 0 })
	b.cmd.Process.Kill()
	b.end()
	if err := os.RemoveAll(p.state); err != nil {
		t.Fatal(err)
	}
	p.restore(0)
	want, got := tree(t, p.source), tree(t, p.out)
	if len(got) == 0 || len(got) == len(want) {
		t.Errorf("%d of %d files restored from the interim snapshot, want a part", len(got), len(want))
	}
	for name := range got {
		if got[name] != want[name] {
			t.Errorf("%s differs", name)
		}
	}
}

func TestDetachedBackupGoesOnAlone(t *testing.T) {
	t.Parallel()
	p := folderPlace(t, 200)
	ev, code := p.run("backup", "--source", p.source, "--to", p.dest, "--detach")
	if code != 0 || ev.result(t)["detached"] != true {
		t.Fatalf("backup --detach ended with %d", code)
	}
	deadline := time.Now().Add(3 * time.Minute)
	for {
		if runs := p.runs(); len(runs) == 1 && runs[0]["state"] == "done" {
			break
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(p.state, "background.log"))
			t.Fatalf("not done within three minutes: %v\n%s", p.runs(), log)
		}
	}
	p.restore(0)
	sameTree(t, p.source, p.out)
}

func TestPausedRunStaysPausedOverAKill(t *testing.T) {
	t.Parallel()
	p := longPlace(t)
	b := p.begin("backup", "--source", p.source, "--to", p.dest)
	b.storing()
	if _, code := p.run("pause"); code != 0 {
		t.Fatalf("pause ended with %d", code)
	}
	held := func(e map[string]any) bool {
		waiting, _ := e["waiting"].([]any)
		return len(waiting) > 0
	}
	b.until("held", held)
	deadline := time.Now().Add(time.Minute) // status hears it with the next heartbeat
	for runs := p.runs(); len(runs) != 1 || runs[0]["state"] != "paused"; runs = p.runs() {
		if time.Now().After(deadline) {
			t.Fatalf("runs = %v, want one, paused", runs)
		}
	}
	b.cmd.Process.Kill()
	b.end()
	b = p.begin("backup", "--source", p.source, "--to", p.dest, "--no-follow")
	b.until("held again", held)
	if _, code := p.run("resume"); code != 0 {
		t.Errorf("resume ended with %d", code)
	}
	b.until("done", func(e map[string]any) bool { return e["event"] == "result" })
	if code := b.end(); code != 0 {
		t.Errorf("backup ended with %d, want 0", code)
	}
	p.restore(0)
	sameTree(t, p.source, p.out)
}
