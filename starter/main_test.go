package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestMain makes `lightfast` a command of this test binary, so that tests run
// it as what it is: a process that can be killed.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lightfast": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ends": ends}})
}

// ends is the script command `ends CODE COMMAND…`: the command fails with that
// exit code and says why in one line, its last.
func ends(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: ends CODE COMMAND…")
	}
	exited, ok := errors.AsType[*exec.ExitError](ts.Exec(args[1], args[2:]...))
	if !ok || fmt.Sprint(exited.ExitCode()) != args[0] {
		ts.Fatalf("it ended with %v, want %s", exited, args[0])
	}
	said := ts.ReadFile("stderr")
	lines := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
	if !strings.HasPrefix(lines[len(lines)-1], "lightfast: ") || strings.Count("\n"+said, "\nlightfast: ") != 1 || strings.Contains(said, "level=") {
		ts.Fatalf("standard error is not one line that says why")
	}
}

// events of one command, by their names.
type events map[string][]map[string]any

func (e events) result(t *testing.T) map[string]any {
	t.Helper()
	if len(e["result"]) != 1 {
		t.Fatalf("%d results, want 1", len(e["result"]))
	}
	return e["result"][0]
}

// number follows keys into an event.
func number(t *testing.T, e map[string]any, keys ...string) int64 {
	t.Helper()
	var v any = e
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("no %s in %v", strings.Join(keys, "."), e)
		}
		v = m[k]
	}
	f, ok := v.(float64)
	if !ok {
		t.Fatalf("%s = %v, want a number", strings.Join(keys, "."), v)
	}
	return int64(f)
}

// place is one user's corner of a disk.
type place struct {
	t                        *testing.T
	source, dest, state, out string
	env                      []string // of its commands, beside our own
}

func newPlace(t *testing.T) *place {
	dir := t.TempDir()
	return &place{t: t, source: filepath.Join(dir, "Pictures"), dest: filepath.Join(dir, "backup"),
		state: filepath.Join(dir, "state"), out: filepath.Join(dir, "restored")}
}

// run executes lightfast with --json and returns its events and exit code.
func (p *place) run(args ...string) (events, int) {
	p.t.Helper()
	return p.exec(p.t.Output(), args...)
}

func (p *place) exec(stderr io.Writer, args ...string) (events, int) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "lightfast", append(args, "--state", p.state, "--json")...)
	cmd.Env = append(os.Environ(), p.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		p.t.Fatal(err)
	}
	return parse(p.t, &out), cmd.ProcessState.ExitCode()
}

func parse(t *testing.T, out *bytes.Buffer) events {
	t.Helper()
	ev := events{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e map[string]any
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("standard output: %q is no JSON", lines.Text())
		}
		name, _ := e["event"].(string)
		ev[name] = append(ev[name], e)
	}
	return ev
}

// backup runs a backup that must end with code, and returns its result.
func (p *place) backup(code int, args ...string) map[string]any {
	p.t.Helper()
	ev, got := p.run(append([]string{"backup", "--source", p.source, "--to", p.dest}, args...)...)
	if got != code {
		p.t.Fatalf("backup ended with %d, want %d: %v", got, code, ev["error"])
	}
	return ev.result(p.t)
}

// restore restores the newest snapshot into p.out.
func (p *place) restore(code int) map[string]any {
	p.t.Helper()
	ev, got := p.run("restore", "--from", p.dest, "--to", p.out)
	if got != code {
		p.t.Fatalf("restore ended with %d, want %d: %v", got, code, ev["error"])
	}
	return ev.result(p.t)
}

// ls returns the assets of the newest snapshot by id.
func (p *place) ls() map[string]map[string]any {
	p.t.Helper()
	ev, code := p.run("ls", "--from", p.dest)
	if code != 0 {
		p.t.Fatalf("ls ended with %d", code)
	}
	assets := map[string]map[string]any{}
	for _, a := range ev["asset"] {
		assets[a["id"].(string)] = a
	}
	return assets
}

// write makes a file of n random bytes.
func write(t *testing.T, name string, n int, seed uint64) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(n)}).Read(b)
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree returns the content of every file below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// namesIn opens nothing: whoever closes a file that SQLite has open in the same
// process takes its locks away, and others truncate what it has mapped.
func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// sameTree compares two folders byte by byte.
func sameTree(t *testing.T, want, got string) {
	t.Helper()
	a, b := tree(t, want), tree(t, got)
	for name := range a {
		if _, ok := b[name]; !ok {
			t.Errorf("%s is not in %s", name, got)
		} else if a[name] != b[name] {
			t.Errorf("%s differs", name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			t.Errorf("%s is only in %s", name, got)
		}
	}
}

// golden compares got with a file of testdata, or rewrites it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
