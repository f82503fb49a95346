package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gofrs/flock"

	"lightfast/objectstore/storetest"
)

// Endings that a script cannot bring about: they need mounts, locks, servers.

// refused runs a backup that must end with code, one error of that class whose
// message has all of words, an action, no other word, and no snapshot. It
// returns the message.
func (p *place) refused(code int, class string, words ...string) string {
	p.t.Helper()
	var stderr bytes.Buffer
	ev, got := p.exec(&stderr, "backup", "--source", p.source, "--to", p.dest)
	if got != code {
		p.t.Errorf("exit code %d, want %d", got, code)
	}
	if len(ev["error"]) != 1 || len(ev["result"]) != 0 || stderr.Len() != 0 {
		p.t.Fatalf("errors %v, results %v, standard error %q; want one error", ev["error"], ev["result"], &stderr)
	}
	e := ev["error"][0]
	message, _ := e["message"].(string)
	if e["class"] != class || message == "" || strings.Contains(message, "\n") || e["action"] == "" {
		p.t.Errorf("error %v, want class %s, a message of one line, and an action", e, class)
	}
	for _, w := range words {
		if !strings.Contains(message, w) {
			p.t.Errorf("message %q does not say %q", message, w)
		}
	}
	if _, err := os.Stat(filepath.Join(p.dest, "snapshots")); !errors.Is(err, fs.ErrNotExist) {
		p.t.Errorf("snapshots: %v, want none", err)
	}
	return message
}

// mount mounts something at a new folder until the test ends.
func mount(t *testing.T, args ...string) string {
	t.Helper()
	at := t.TempDir()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("mounting takes root on Linux")
	}
	if out, err := exec.Command("mount", append(args, at)...).CombinedOutput(); err != nil {
		t.Skipf("mounting is refused here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return at
}

func remount(t *testing.T, at, options string) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "remount,"+options, at).CombinedOutput(); err != nil {
		t.Fatalf("remount: %v: %s", err, out)
	}
}

func TestFullDiskEndsTheRunAndRoomLetsItGoOn(t *testing.T) {
	t.Parallel()
	disk := mount(t, "-t", "tmpfs", "-o", "size=8m", "tmpfs")
	p := newPlace(t)
	p.dest = filepath.Join(disk, "repository")
	const files, size = 20, 1 << 20
	for i := range files {
		write(t, filepath.Join(p.source, fmt.Sprintf("IMG_%04d.JPG", i)), size, uint64(i))
	}
	p.refused(5, "destination", "full", "no space left on device")
	stored := int64(0)
	for name, content := range tree(t, p.dest) {
		switch {
		case strings.HasPrefix(name, "blobs/") && len(content) == size:
			stored++
		case name != "lightfast.json":
			t.Errorf("%s of %d bytes was left on the full disk", name, len(content))
		}
	}
	if stored == 0 {
		t.Error("nothing was stored before the disk was full")
	}
	remount(t, disk, "size=64m")
	res := p.backup(0)
	if sent := number(t, res, "bytes", "sent"); sent != files*size || res["resumed"] != true {
		t.Errorf("resumed %v, %d bytes sent by both; want true, %d", res["resumed"], sent, files*size)
	}
	p.restore(0)
	sameTree(t, p.source, p.out)
}

func TestReadOnlyDestinationIsOneClearError(t *testing.T) {
	t.Parallel()
	disk := mount(t, "-t", "tmpfs", "tmpfs")
	remount(t, disk, "ro")
	p := folderPlace(t, 1)
	for _, dest := range []string{disk, filepath.Join(disk, "not", "yet")} {
		p.dest = dest
		p.refused(5, "destination", "denied", "read-only file system")
	}
}

func TestReadOnlySourceIsEnough(t *testing.T) {
	t.Parallel()
	p := photosPlace(t, 10)
	writable := p.source
	p.source = mount(t, "--bind", writable)
	remount(t, p.source, "bind,ro")
	p.backup(0, "--source-kind", "photos") // its name is no longer that of a library
	p.restore(0)
	for name, content := range tree(t, p.out) {
		if b, err := os.ReadFile(filepath.Join(writable, name)); err != nil || string(b) != content {
			t.Errorf("%s differs: %v", name, err)
		}
	}
}

func TestSourceMountedASecondTimeIsNoDestination(t *testing.T) {
	t.Parallel()
	p := folderPlace(t, 1)
	p.dest = filepath.Join(mount(t, "--bind", p.source), "not", "yet")
	p.refused(2, "usage", "lie in one another")
}

func TestStateDirectoryThatDoesNotAnswerIsInUse(t *testing.T) {
	t.Parallel() // ten seconds: a process that just starts is waited for
	p := folderPlace(t, 1)
	if err := os.Mkdir(p.state, 0o700); err != nil {
		t.Fatal(err)
	}
	held := flock.New(filepath.Join(p.state, "engine.lock"))
	if ok, err := held.TryLock(); err != nil || !ok {
		t.Fatal(ok, err)
	}
	p.refused(7, "in_use", p.state)
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}
	p.backup(0)
}

func TestWhatIsKeptAndRestoredIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	p := folderPlace(t, 3)
	if err := os.Mkdir(p.state, 0o755); err != nil { // made by hand, for others to enter
		t.Fatal(err)
	}
	for _, args := range []string{"backup --source " + p.source + " --to " + p.dest, "restore --from " + p.dest + " --to " + p.out} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", "umask 000; exec lightfast "+args+" --state "+p.state)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args, err, out)
		}
	}
	for _, root := range []string{p.state, p.dest, p.out} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if path != p.state && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s is %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecretsAreWrittenNowhere(t *testing.T) {
	t.Parallel()
	const secret = "LFCANARYsecretLFCANARY"
	var signed atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Authorization"), "Credential=LFCANARYid/") {
			signed.Add(1)
		}
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>")
	}))
	defer srv.Close()
	p := folderPlace(t, 1)
	p.toS3(storetest.Server{AccessKey: "LFCANARYid", SecretKey: secret}, srv.URL)
	p.env = append(p.env, "LIGHTFAST_LOG_LEVEL=debug")
	var stderr bytes.Buffer
	ev, code := p.exec(&stderr, "backup", "--source", p.source, "--to", p.dest)
	if code != 5 || signed.Load() == 0 {
		t.Errorf("exit code %d after %d signed requests, want 5 after some", code, signed.Load())
	}
	if stderr.Len() == 0 {
		t.Error("there is no debug log to search")
	}
	places := tree(t, p.state)
	places["standard error"], places["standard output"] = stderr.String(), fmt.Sprint(ev)
	for name, content := range places {
		if strings.Contains(content, secret) {
			t.Errorf("%s has the secret in it", name)
		}
	}
}
