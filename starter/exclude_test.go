package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lightfast/photos/photostest"
)

// labelled has a library with 3 trashed, 2 hidden, 1 that is both, and n
// other photos.
func labelled(t *testing.T, n int) *place {
	p := newPlace(t)
	p.source += ".photoslibrary"
	spec := photostest.LibrarySpec{Seed: 7, Assets: []photostest.AssetSpec{
		{Count: 3, Trashed: true, Size: 1000}, {Count: 2, Hidden: true, Size: 1000}, {Trashed: true, Hidden: true, Size: 1000}, {Count: n, Size: 1000},
	}}
	if err := photostest.BuildLibrary(p.source, spec); err != nil {
		t.Fatal(err)
	}
	return p
}

// head returns the newest head as it lies in the repository.
func (p *place) head() (h map[string]any) {
	p.t.Helper()
	heads, err := filepath.Glob(filepath.Join(p.dest, "snapshots", "*", "*.json"))
	if err != nil || len(heads) == 0 {
		p.t.Fatal(heads, err)
	}
	b, err := os.ReadFile(heads[len(heads)-1])
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return h
}

func TestExcludedAssetsAreCountedAndComeBackForNothing(t *testing.T) {
	t.Parallel()
	p := labelled(t, 10)
	all := number(t, p.backup(0), "assets", "total")
	if all != 16 {
		t.Fatalf("total = %d, want 16: by default nothing is left out", all)
	}
	res := p.backup(0, "--exclude", "hidden,trashed") // 10 left of 16 are no loss
	want := map[string]any{"trashed": 4.0, "hidden": 2.0}
	if diff := cmp.Diff(want, res["excluded"]); diff != "" || number(t, res, "assets", "total") != 10 || number(t, res, "assets", "unchanged") != 10 {
		t.Errorf("assets %v, excluded (-want +got):\n%s", res["assets"], diff)
	}
	if diff := cmp.Diff(want, p.head()["excluded"]); diff != "" {
		t.Errorf("excluded in the head (-want +got):\n%s", diff)
	}
	for id, a := range p.ls() {
		if a["trashed"] == true || a["hidden"] == true {
			t.Errorf("%s is in the snapshot", id)
		}
	}
	res = p.backup(0)
	if n := p.assetActivities(t); n != 0 || number(t, res, "assets", "unchanged") != all || number(t, res, "bytes", "sent") != 0 {
		t.Errorf("back again: %d asset activities, %v, %v; want 0, all unchanged, nothing sent", n, res["assets"], res["bytes"])
	}
	if res["excluded"] != nil || p.head()["excluded"] != nil {
		t.Errorf("excluded = %v, in the head %v, want none", res["excluded"], p.head()["excluded"])
	}
}

func TestExcludedAssetsAreNotRead(t *testing.T) {
	t.Parallel()
	p := labelled(t, 10)
	res := p.backup(0, "--exclude", "trashed", "--exclude", "orphan")
	if diff := cmp.Diff(map[string]any{"trashed": 4.0, "orphan": 0.0}, res["excluded"]); diff != "" {
		t.Errorf("excluded (-want +got):\n%s", diff)
	}
	if n := p.assetActivities(t); n != 12 || number(t, res, "resources", "stored") != 12 {
		t.Errorf("%d asset activities, %v; want 12", n, res["resources"])
	}
	if err := os.RemoveAll(p.state); err != nil {
		t.Fatal(err)
	}
	res = p.backup(0)
	if number(t, res, "assets", "stored") != 4 || number(t, res, "resources", "stored") != 4 {
		t.Errorf("without exclusions and state: %v, %v; want the 4 stored", res["assets"], res["resources"])
	}
	p.restore(0)
	for name, content := range tree(t, p.out) {
		if b, err := os.ReadFile(filepath.Join(p.source, name)); err != nil || string(b) != content {
			t.Errorf("%s differs: %v", name, err)
		}
	}
}

// sums counts the resources of the newest snapshot as `ls` shows them, by
// role.
func (p *place) sums() map[string]any {
	p.t.Helper()
	ev, code := p.run("ls", "--from", p.dest)
	if code != 0 {
		p.t.Fatalf("ls ended with %d", code)
	}
	roles := map[string]any{}
	of := func(role string) map[string]any {
		if roles[role] == nil {
			roles[role] = map[string]any{"stored": 0.0, "kept": 0.0, "absent": map[string]any{}}
		}
		return roles[role].(map[string]any)
	}
	add := func(m map[string]any, key string) {
		n, _ := m[key].(float64)
		m[key] = n + 1
	}
	for _, a := range ev["asset"] {
		for _, r := range a["resources"].([]any) {
			r := r.(map[string]any)
			role := of(r["role"].(string))
			switch {
			case r["sha256"] == nil:
				add(role["absent"].(map[string]any), r["reason"].(string))
				continue
			case r["since"] != nil:
				add(role, "kept")
			}
			add(role, "stored")
		}
	}
	for range ev["orphan"] {
		add(of("other"), "stored")
	}
	return roles
}

func (p *place) sameSums(when string, res map[string]any) {
	p.t.Helper()
	if diff := cmp.Diff(p.sums(), res["resources"].(map[string]any)["by_role"]); diff != "" {
		p.t.Errorf("%s: sums by role (-ls +result):\n%s", when, diff)
	}
	total := number(p.t, res, "assets", "total")
	sum := int64(0)
	for _, part := range []string{"stored", "unchanged", "incomplete", "failed"} {
		sum += number(p.t, res, "assets", part)
	}
	if total != sum || total != int64(len(p.ls())) {
		p.t.Errorf("%s: %d assets, %d by their parts, %d in `ls`", when, total, sum, len(p.ls()))
	}
}

func TestSumsByRoleAreThoseOfLs(t *testing.T) {
	t.Parallel()
	p := photosPlace(t, 400)
	ids := libraryIDs(t, p.source)
	if err := photostest.Evict(p.source, ids[0]); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(p.source, "originals", "0", "left behind.jpg"), 100, 1)
	p.killAgainAndAgain(rand.New(rand.NewPCG(1, 0)), 4, "backup", "--source", p.source, "--to", p.dest)
	p.sameSums("killed and resumed", p.backup(3))
	for _, id := range ids[1:4] { // stored now: they are kept
		if err := photostest.Evict(p.source, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(p.source, p.original(ids[5])["path"].(string))); err != nil {
		t.Fatal(err)
	}
	res := p.backup(3)
	p.sameSums("after evictions", res)
	if kept := number(t, res, "resources", "by_role", "original", "kept"); kept != 4 {
		t.Errorf("%d originals kept, want 4", kept)
	}
	if err := os.RemoveAll(p.state); err != nil {
		t.Fatal(err)
	}
	p.sameSums("without its state", p.backup(3))
	p.sameSums("unchanged", p.backup(3))
	p.sameSums("with exclusions", p.backup(3, "--exclude", "orphan,hidden"))
}
