package state_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lightfast/internal/state"
)

const childDir = "LIGHTFAST_TEST_STATE" // a re-executed test binary locks the run of that directory

// TestMain lets the test binary be the process that dies with a lock.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		lockForEver(dir)
	}
	os.Exit(m.Run())
}

func lockForEver(dir string) {
	d, err := state.Open(dir)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	_, ok, err := d.TryLock("backup/x")
	fmt.Println("locked", ok, err)
	select {}
}

func open(t *testing.T, path string) *state.Dir {
	t.Helper()
	d, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestHostIDStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	first, again, other := open(t, path), open(t, path), open(t, t.TempDir())
	if first.Host.ID == "" || first.Host != again.Host {
		t.Errorf("host %+v, then %+v", first.Host, again.Host)
	}
	if other.Host.ID == first.Host.ID {
		t.Error("two state directories are one host")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestTwoFirstCommandsAreOneHost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			if d, err := state.Open(path); err != nil {
				t.Error(err)
			} else {
				ids[i] = d.Host.ID
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("host ids %q", ids)
		}
	}
}

func TestAHostIDThatCannotBeReadIsNotDrawnAnew(t *testing.T) {
	path := t.TempDir()
	open(t, path)
	file := filepath.Join(path, "host.json")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := state.Open(path); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Open = %+v, %v", d, err)
	}
}

func TestWorkflowIDFollowsFromItsParts(t *testing.T) {
	d, other := open(t, t.TempDir()), open(t, t.TempDir())
	id := d.WorkflowID("backup", "/a", "/b")
	if id != d.WorkflowID("backup", "/a", "/b") {
		t.Error("the same parts have two ids")
	}
	for _, different := range []string{
		d.WorkflowID("restore", "/a", "/b"), d.WorkflowID("backup", "/b", "/a"), d.WorkflowID("backup", "/a/", "b"),
		d.WorkflowID("backup", "/a", "/b", ""), other.WorkflowID("backup", "/a", "/b"),
	} {
		if different == id {
			t.Errorf("%s stands for two runs", id)
		}
	}
}

func TestALockDiesWithItsProcess(t *testing.T) {
	path := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked true <nil>\n" {
		t.Fatalf("it said %q, %v", line, err)
	}
	d := open(t, path)
	if _, ok, err := d.TryLock("backup/x"); ok || err != nil {
		t.Errorf("beside a living process: %t, %v", ok, err)
	}
	if _, ok, err := d.TryLock("backup/y"); !ok || err != nil {
		t.Errorf("another run: %t, %v", ok, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	lock, ok, err := d.TryLock("backup/x")
	if !ok || err != nil {
		t.Fatalf("after its death: %t, %v", ok, err)
	}
	if _, ok, _ := d.TryLock("backup/x"); ok {
		t.Error("it is taken twice in one process")
	}
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
}
