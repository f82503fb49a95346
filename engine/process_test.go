package engine_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a condition.
const patience = 60 * time.Second

// process is the test binary run again as something that can be killed.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	lines chan string  // what it says; closed when it has ended
	log   bytes.Buffer // its standard error; complete when it has ended
}

func start(t testing.TB, mode string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...), lines: make(chan string, 100)}
	p.cmd.Env = append(os.Environ(), childMode+"="+mode)
	p.cmd.Stderr = io.MultiWriter(t.Output(), &p.log)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(p.kill)
	return p
}

// says waits for a line of that first word and scans the rest of it into to.
func (p *process) says(word string, to ...any) {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the process ended before it said %q", word)
			}
			if rest, ok := strings.CutPrefix(line, word+" "); ok {
				if _, err := fmt.Sscan(rest, to...); err != nil {
					p.t.Fatalf("it said %q: %v", line, err)
				}
				return
			}
		case <-deadline:
			p.t.Fatalf("it did not say %q", word)
		}
	}
}

// kill ends it as the kernel would, and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	for range p.lines {
	}
	_ = p.cmd.Wait() // "signal: killed"
}

// stop ends it as a service manager would. It must end well.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	for range p.lines {
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("a clean stop ended with %v", err)
	}
}

// waitFor looks until the condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// count tells how many lines of the journal begin with prefix.
func count(t *testing.T, journal, prefix string) int {
	t.Helper()
	data, err := os.ReadFile(journal)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(line, []byte(prefix)) {
			n++
		}
	}
	return n
}
