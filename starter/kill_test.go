package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lightfast/internal/atomicfile"
)

// patience is how long a test waits for what must happen soon.
const patience = 2 * time.Minute

// process is a lightfast that is going to be killed.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	storing chan struct{} // closed at the first progress in phase "storing"
	gone    chan struct{} // closed when the process has ended
}

// start starts lightfast with --json as the leader of a process group.
func (p *place) start(args ...string) *process {
	p.t.Helper()
	cmd := exec.Command("lightfast", append(args, "--state", p.state, "--json")...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stderr = p.t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	c := &process{t: p.t, cmd: cmd, storing: make(chan struct{}), gone: make(chan struct{})}
	go func() {
		defer close(c.gone)
		c.read(out)
		cmd.Wait() // the exit code says how it went
	}()
	p.t.Cleanup(c.kill)
	return c
}

func (c *process) read(out io.Reader) {
	seen := false
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct{ Event, Phase string }
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Event == "progress" && e.Phase == "storing" && !seen {
			seen = true
			close(c.storing)
		}
	}
}

// waitStoring waits until the process is at work, or has ended.
func (c *process) waitStoring() {
	c.t.Helper()
	select {
	case <-c.storing:
	case <-c.gone:
	case <-time.After(patience):
		c.t.Fatal("it does not begin to store")
	}
}

// killAfter kills the process after d, and reports whether it was alive.
func (c *process) killAfter(d time.Duration) bool {
	select {
	case <-c.gone:
		return false
	case <-time.After(d):
		c.kill()
		status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
		return ok && status.Signaled()
	}
}

// kill ends the whole process group.
func (c *process) kill() {
	select {
	case <-c.gone: // its number may be another's now
	default:
		syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		<-c.gone
	}
}

func TestKilledBackupLosesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed+1), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			rng := rand.New(rand.NewPCG(seed+1, 0))
			for i := range 200 {
				write(t, filepath.Join(p.source, fmt.Sprint(2000+i%25), fmt.Sprintf("IMG_%04d.JPG", i)), 20_000+rng.IntN(100_000), rng.Uint64())
			}
			write(t, filepath.Join(p.source, "MOV_0001.MOV"), 48<<20, rng.Uint64())

			p.killAgainAndAgain(rng, 5, "backup", "--source", p.source, "--to", p.dest)
			p.backup(0)
			p.restore(0)
			sameTree(t, p.source, p.out)
			if sent := number(t, p.backup(0), "bytes", "sent"); sent != 0 {
				t.Errorf("a further run sent %d bytes, want 0", sent)
			}
			blobsAreWhole(t, p.dest)
		})
	}
}

// killAgainAndAgain kills a command at moments that rng chooses after its
// first progress at work, every third time while it starts. On a machine that
// is quick or busy the command may be done before the last kill, not before
// the first.
func (p *place) killAgainAndAgain(rng *rand.Rand, kills int, args ...string) {
	p.t.Helper()
	n := 0
	for n < kills {
		c := p.start(args...)
		delay := time.Duration(rng.Int64N(int64(300 * time.Millisecond)))
		if n%3 != 2 {
			c.waitStoring()
			delay /= 10 // 50 MiB are stored within half a second
		}
		if !c.killAfter(delay) {
			break
		}
		n++
	}
	if n == 0 {
		p.t.Error("it was done before it could be killed")
	}
	p.t.Logf("%d kills", n)
}

// blobsAreWhole checks that whatever lies under blobs/ of a folder repository
// is named by the SHA-256 of its bytes.
func blobsAreWhole(t *testing.T, repository string) {
	t.Helper()
	blobs := tree(t, filepath.Join(repository, "blobs"))
	if len(blobs) == 0 {
		t.Error("no blobs")
	}
	for path, content := range blobs {
		name := filepath.Base(path)
		if strings.HasPrefix(name, atomicfile.TempPrefix) {
			t.Errorf("temporary file left: %s", path)
			continue
		}
		sum := sha256.Sum256([]byte(content))
		if hash, _, _ := strings.Cut(name, "."); hash != hex.EncodeToString(sum[:]) {
			t.Errorf("blob %s has other bytes than its name says", path)
		}
	}
}

func TestKilledRestoreGoesOnAndLeavesNoTrace(t *testing.T) {
	t.Parallel()
	p := folderPlace(t, 200)
	p.backup(0)
	rng := rand.New(rand.NewPCG(1, 0))
	p.killAgainAndAgain(rng, 4, "restore", "--from", p.dest, "--to", p.out)
	p.restore(0)
	sameTree(t, p.source, p.out) // temporary files would be in one of them only
}
