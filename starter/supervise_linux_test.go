package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// eventually waits for what another process does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// children of a process, whichever of its threads has started them.
func children(t *testing.T, pid int) (pids []int) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		b, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		for _, f := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

// alive also takes a zombie for dead.
func alive(pid int) bool {
	_, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil
}

func TestSupervisedWorkIsStartedAnewAndDiesWithItsSupervisor(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	cmd := exec.CommandContext(t.Context(), "lightfast", "up", "--supervise", "--state", p.state, "--memory", "32MiB")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	serving := func(times int) func() bool {
		return func() bool {
			log, err := os.ReadFile(filepath.Join(p.state, "background.log"))
			now := children(t, cmd.Process.Pid)
			if err != nil || strings.Count(string(log), "Temporal at ") != times || len(now) != 1 {
				return false
			}
			pid = now[0]
			return true
		}
	}
	eventually(t, "the work is begun", serving(1))
	first := pid
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", first))
	if err != nil || !strings.Contains(string(env), "LIGHTFAST_MEMORY=32MiB") {
		t.Errorf("the flags were not passed on: %v", err)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the work is begun anew", serving(2))
	if pid == first {
		t.Fatalf("process %d lives on", pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // of a kill
	eventually(t, "the work ends with its supervisor", func() bool { return !alive(pid) })
	if !strings.Contains(said.String(), "signal: killed; it is started anew") {
		t.Errorf("it said:\n%s", &said)
	}
}
