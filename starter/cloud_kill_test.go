package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helpers returns the processes that have our mock's environment and are no
// lightfast.
func (p *place) helpers() (pids []int) {
	p.t.Helper()
	var mine string
	for _, kv := range p.env {
		if strings.HasPrefix(kv, "MOCK_STATE=") {
			mine = kv
		}
	}
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, file := range all {
		env, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(env, []byte(mine+"\x00")) {
			continue // gone, or another's
		}
		exe, err := os.Readlink(filepath.Join(filepath.Dir(file), "exe"))
		if err != nil || filepath.Base(exe) != "photokit-helper" {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// helpersEnd waits until no helper is left: one whose lightfast was killed
// ends by itself.
func (p *place) helpersEnd() {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		left := p.helpers()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("helpers left: %v", left)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// killHelpers kills them all, and reports whether there was one.
func (p *place) killHelpers() bool {
	killed := false
	for _, pid := range p.helpers() {
		killed = syscall.Kill(pid, syscall.SIGKILL) == nil || killed
	}
	return killed
}

// victims of a kill, one after the other.
var victims = []string{"helper", "lightfast", "both"}

// cloudKills is how many kills a test deals out.
const cloudKills = 20

// Helper, worker or both die at moments that a seed chooses, while what only
// iCloud has is brought and stored. Nothing is lost, nothing torn, and the
// spool is empty in the end.
func TestKilledHelperAndWorkerLoseNothing(t *testing.T) {
	t.Parallel()
	const places = 2
	for seed := range uint64(places) {
		t.Run(fmt.Sprint("seed ", seed+1), func(t *testing.T) {
			t.Parallel()
			killCloud(t, seed+1, cloudKills/places)
		})
	}
}

func killCloud(t *testing.T, seed uint64, kills int) {
	p := cloudPlace(t, evicted(80, seed), "MOCK_SLOW_MS=40")
	rng := rand.New(rand.NewPCG(seed, 0))
	args := []string{"backup", "--source", p.source, "--to", p.dest, "--no-follow", "--icloud-readers", "2", "--spool", "16MiB"}
	done := map[string]int{}
	var c *process
	for n := 0; n < kills; {
		if c == nil {
			c = p.start(args...)
			c.waitStoring()
		}
		over := !c.waits(time.Duration(rng.Int64N(int64(500 * time.Millisecond))))
		victim := victims[n%len(victims)]
		switch {
		case over:
		case victim == "helper":
			if p.killHelpers() {
				n++
				done[victim]++
			}
			continue
		case victim == "both":
			p.killHelpers()
			fallthrough
		default:
			c.killAlone()
			n++
			done[victim]++
		}
		c = nil
		if over {
			break
		}
	}
	if c != nil {
		<-c.gone
	}
	t.Logf("kills: %v", done)
	if len(done) < len(victims) {
		t.Errorf("it was done before each could be killed: %v", done)
	}
	p.backup(0)
	p.restore(0)
	p.restoresAll()
	blobsAreWhole(t, p.dest)
	p.spoolIsEmpty()
	p.helpersEnd()
	if again := p.backup(0); number(t, again, "bytes", "sent") != 0 {
		t.Errorf("a further run sent %d bytes, want 0", number(t, again, "bytes", "sent"))
	}
}

// killAlone kills the process and leaves its helpers to themselves.
func (c *process) killAlone() {
	select {
	case <-c.gone:
	default:
		c.cmd.Process.Kill()
		<-c.gone
	}
}

// waits returns after d, or false at the end of the process.
func (c *process) waits(d time.Duration) bool {
	select {
	case <-c.gone:
		return false
	case <-time.After(d):
		return true
	}
}
