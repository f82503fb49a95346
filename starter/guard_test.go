package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lightfast/photos/photostest"
)

// suspicious runs a backup that must be refused as one of a suspicious source,
// in one line that has all of words, and leave the repository as it was.
func (p *place) suspicious(words ...string) {
	p.t.Helper()
	before := tree(p.t, p.dest)
	ev, code := p.run("backup", "--source", p.source, "--to", p.dest)
	if code != 4 || len(ev["error"]) != 1 || len(ev["result"]) != 0 {
		p.t.Fatalf("exit code %d, errors %v, results %v; want 4 and one error", code, ev["error"], ev["result"])
	}
	e := ev["error"][0]
	message, _ := e["message"].(string)
	if e["class"] != "source" || !strings.HasPrefix(message, "source suspicious: ") || strings.Contains(message, "\n") || e["action"] == "" {
		p.t.Errorf("error %v, want one line of class source that begins with source suspicious, and an action", e)
	}
	for _, w := range words {
		if !strings.Contains(message, w) {
			p.t.Errorf("message %q does not say %q", message, w)
		}
	}
	if diff := cmp.Diff(before, tree(p.t, p.dest)); diff != "" {
		p.t.Errorf("a refused run changed the repository:\n%s", diff)
	}
}

func TestShrunkenOrEmptiedFolderIsNoSnapshot(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	picture := func(i int) string { return filepath.Join(p.source, fmt.Sprintf("IMG_%04d.JPG", i)) }
	for i := range 20 {
		write(t, picture(i), 1000, uint64(i))
	}
	p.backup(0)
	away := p.source + ".away"
	if err := os.Rename(p.source, away); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(p.source, 0o755); err != nil { // the mount point of a disk that is not there
		t.Fatal(err)
	}
	p.suspicious("0 assets, 20 in the last snapshot of 20")
	p.suspicious("0 assets, 20 in the last snapshot of 20") // the first refusal changed no measure
	if err := os.Remove(p.source); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, p.source); err != nil {
		t.Fatal(err)
	}
	if res := p.backup(0); number(t, res, "bytes", "sent") != 0 || number(t, res, "assets", "unchanged") != 20 {
		t.Errorf("mounted again: %v, want 20 unchanged and nothing sent", res["assets"])
	}
	remove := func(from, to int) {
		for i := from; i < to; i++ {
			if err := os.Remove(picture(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove(0, 5)
	p.backup(0) // a quarter
	remove(5, 10)
	p.suspicious("10 assets, 15 in the last snapshot of 20")
	if res := p.backup(0, "--accept-shrink"); number(t, res, "assets", "total") != 10 {
		t.Errorf("accepted: %v, want 10 in total", res["assets"])
	}
	p.backup(0) // and that is the measure now
	remove(10, 12)
	p.backup(0)
	remove(12, 19)
	p.backup(0) // one of eight: few enough to be deleted by hand
	remove(19, 20)
	p.suspicious("0 assets, 1 in the last snapshot of 20")
}

// build makes a Photos library of the first n assets of a seed at p.source.
func (p *place) build(n int, seed uint64) {
	p.t.Helper()
	if err := os.RemoveAll(p.source); err != nil {
		p.t.Fatal(err)
	}
	if err := photostest.BuildLibrary(p.source, photostest.Mix(n, seed)); err != nil {
		p.t.Fatal(err)
	}
}

func TestLibraryThatLostItsRowsIsNoSnapshot(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.source += ".photoslibrary"
	p.build(40, 1)
	p.backup(0)
	p.build(16, 1) // the same library
	p.suspicious("16 assets, 40 in the last snapshot of 20")
	if err := os.RemoveAll(p.state); err != nil { // the repository remembers
		t.Fatal(err)
	}
	p.suspicious("16 assets, 40 in the last snapshot of 20")
	p.build(0, 1)
	p.suspicious("0 assets, 40 in the last snapshot of 20")
	p.build(40, 1)
	if sent := number(t, p.backup(0), "bytes", "sent"); sent != 0 {
		t.Errorf("whole again: sent %d bytes, want 0", sent)
	}
}

func TestAnotherLibraryInItsPlaceIsAskedFor(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.source += ".photoslibrary"
	p.build(30, 1)
	first := p.backup(0)["library"].(string)
	p.build(29, 2)
	p.suspicious(first, `"Pictures"`)
	p.suspicious(first)
	res := p.backup(0, "--accept-identity")
	second := res["library"].(string)
	if second == first || number(t, res, "assets", "stored") != 29 {
		t.Errorf("accepted: library %s, %v; want another one than %s, 29 stored", second, res["assets"], first)
	}
	p.backup(0) // it is the one that was there last
	p.build(30, 1)
	p.suspicious(first, second)
	if res := p.backup(0, "--accept-identity"); res["library"] != first || number(t, res, "bytes", "sent") != 0 {
		t.Errorf("the first one back: library %v, %v; want %s, and nothing sent", res["library"], res["bytes"], first)
	}

	moved := filepath.Join(filepath.Dir(p.source), "Moved.photoslibrary")
	if err := os.Rename(p.source, moved); err != nil {
		t.Fatal(err)
	}
	at := p.source
	p.source = moved
	if res := p.backup(0); res["library"] != first || number(t, res, "bytes", "sent") != 0 {
		t.Errorf("moved: library %v, want %s, and nothing sent", res["library"], first)
	}
	p.source = at
	p.build(5, 3) // what Photos makes where it finds none
	p.suspicious(first)
}

func TestKilledRunDoesNotGoOnWithoutItsDisk(t *testing.T) {
	t.Parallel()
	p := longPlace(t)
	b := p.begin("backup", "--source", p.source, "--to", p.dest)
	b.storing()
	b.cmd.Process.Kill()
	b.end()
	away := p.source + ".away"
	if err := os.Rename(p.source, away); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(p.source, 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the run of the killed process, and a new one with its plan
		p.refused(4, "source", "source suspicious: 0 assets, ", " of this run are still to be stored")
	}
	if err := os.Remove(p.source); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, p.source); err != nil {
		t.Fatal(err)
	}
	if res := p.backup(0); res["resumed"] != true {
		t.Error("with its disk it did not go on")
	}
	p.restore(0)
	sameTree(t, p.source, p.out)
}

// The run after one that was gone on with is guarded, too, and what the older
// one came to is told.
func TestFollowUpOfAResumedRunIsGuarded(t *testing.T) {
	t.Parallel()
	p := longPlace(t)
	b := p.begin("backup", "--source", p.source, "--to", p.dest)
	b.storing()
	b.cmd.Process.Kill()
	b.end()
	for _, year := range []string{"2000", "2001"} {
		if err := os.RemoveAll(filepath.Join(p.source, year)); err != nil {
			t.Fatal(err)
		}
	}
	ev, code := p.run("backup", "--source", p.source, "--to", p.dest)
	if code != 4 || len(ev["error"]) != 1 || !strings.HasPrefix(ev["error"][0]["message"].(string), "source suspicious: 507 assets, 1,507 in the last snapshot") {
		t.Fatalf("exit code %d, errors %v; want 4, 507 of 1,507", code, ev["error"])
	}
	heads, err := filepath.Glob(filepath.Join(p.dest, "snapshots", "*", "*.json"))
	if err != nil || len(heads) != 1 {
		t.Fatalf("snapshots %v, %v; want the older run's", heads, err)
	}
	told := false
	for _, w := range ev["warning"] {
		told = told || strings.Contains(fmt.Sprint(w["message"]), strings.TrimSuffix(filepath.Base(heads[0]), ".json"))
	}
	if !told {
		t.Errorf("warnings %v, want one of the snapshot %s", ev["warning"], heads[0])
	}
}
