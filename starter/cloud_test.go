package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lightfast/photos"
	"lightfast/photos/photokit/photokittest"
	"lightfast/photos/photostest"
)

// cloudPlace is a place with a Photos library, much of which only iCloud has,
// and a helper that has the mock of Photos inside.
func cloudPlace(t *testing.T, spec photostest.LibrarySpec, mock ...string) *place {
	t.Helper()
	p := newPlace(t)
	p.source = filepath.Join(filepath.Dir(p.source), "Photos.photoslibrary")
	spec.Cloud = true
	if err := photostest.BuildLibrary(p.source, spec); err != nil {
		t.Fatal(err)
	}
	p.iCloud(photostest.CloudOf(p.source), mock...)
	return p
}

// iCloud gives the commands of p a helper that serves a folder.
func (p *place) iCloud(cloud string, mock ...string) {
	p.t.Helper()
	helper, env := photokittest.Helper(p.t, append(mock, "MOCK_CLOUD="+cloud, "MOCK_STATE="+p.t.TempDir())...)
	p.env = append(p.env, append(env, "LIGHTFAST_PHOTOKIT_HELPER="+helper, "LIGHTFAST_KEEP_FREE=1MiB")...)
}

// evicted is a library of n assets of which every other has something in
// iCloud only.
func evicted(n int, seed uint64) photostest.LibrarySpec {
	spec := photostest.LibrarySpec{Seed: seed}
	away := func(roles ...photos.Role) map[photos.Role]photos.Reason {
		m := map[photos.Role]photos.Reason{}
		for _, r := range roles {
			m[r] = photos.ICloudOnly
		}
		return m
	}
	for i := range n {
		a := photostest.AssetSpec{Size: int64(20_000 + i)}
		switch i % 8 {
		case 0:
			a.Absent = away(photos.RoleOriginal)
		case 2:
			a.Live, a.Absent = true, away(photos.RoleLive)
		case 4:
			a.Edited, a.Absent = true, away(photos.RoleOriginal, photos.RoleEdited)
		case 6:
			a.Video, a.Size, a.Absent = true, 3<<20, away(photos.RoleOriginal)
		}
		spec.Assets = append(spec.Assets, a)
	}
	return spec
}

// restoresCloud checks that a restore has every file of the cloud folder in its
// place, with its bytes.
func (p *place) restoresCloud(cloud string) {
	p.t.Helper()
	index, err := photostest.CloudIndex(cloud)
	if err != nil || len(index) == 0 {
		p.t.Fatalf("index of %s: %d entries, %v", cloud, len(index), err)
	}
	for _, e := range index {
		b, err := os.ReadFile(filepath.Join(p.out, filepath.FromSlash(e.Path)))
		sum := sha256.Sum256(b)
		if err != nil || hex.EncodeToString(sum[:]) != e.SHA256 {
			p.t.Errorf("%s of %s: %d bytes, %v, want those that iCloud has", e.Role, e.UUID, len(b), err)
			continue
		}
		info, err := os.Stat(filepath.Join(p.out, filepath.FromSlash(e.Path)))
		if err != nil || time.Since(info.ModTime()) < 24*time.Hour {
			p.t.Errorf("%s of %s has the time %v, %v, want that of the picture", e.Role, e.UUID, info.ModTime(), err)
		}
	}
}

// spoolIsEmpty checks that no file and no lease was left.
func (p *place) spoolIsEmpty() {
	p.t.Helper()
	left, err := filepath.Glob(filepath.Join(p.state, "spool", "*.*"))
	if err != nil || len(left) > 0 {
		p.t.Errorf("left in the spool: %v, %v", left, err)
	}
}

// restoresAll checks that a restore has what is in the library, too: whatever
// lies in the folders of originals and of edits.
func (p *place) restoresAll() {
	p.t.Helper()
	p.restoresCloud(photostest.CloudOf(p.source))
	got := tree(p.t, p.out)
	for name, content := range tree(p.t, p.source) {
		if (strings.HasPrefix(name, "originals/") || strings.HasPrefix(name, "resources/renders/")) && got[name] != content {
			p.t.Errorf("%s: %d bytes restored, want the %d of the library", name, len(got[name]), len(content))
		}
	}
}

func TestARealLibraryIsBackedUpWithWhatOnlyICloudHas(t *testing.T) {
	t.Parallel()
	p := realPlace(t, "Derived-icloud-15")
	cloud := filepath.Join("..", "..", "shared", "libraries", "Derived-icloud-15.cloud")
	if err := os.CopyFS(photostest.CloudOf(p.source), os.DirFS(cloud)); err != nil {
		t.Fatal(err)
	}
	p.iCloud(photostest.CloudOf(p.source))
	res := p.backup(0, "--accept", "referenced_outside")
	if n := number(t, res, "resources", "absent", "referenced_outside"); n != 3 || len(res["resources"].(map[string]any)["absent"].(map[string]any)) != 1 {
		t.Errorf("resources %v, want three that lie outside and no other hole", res["resources"])
	}
	p.restore(0)
	p.restoresAll()
	p.spoolIsEmpty()
	if again := p.backup(0, "--accept", "referenced_outside"); number(t, again, "bytes", "sent") != 0 || number(t, again, "assets", "stored") != 0 {
		t.Errorf("the next run stored something: %v", again)
	}
}

func TestWhatICloudRefusesIsListedAndTheRunGoesOn(t *testing.T) {
	t.Parallel()
	spec := evicted(16, 1)
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		p := cloudPlace(t, spec, "MOCK_FAULTS=gone=always")
		ev, code := p.run("backup", "--source", p.source, "--to", p.dest)
		if code != 3 || len(ev["warning"]) != 10 || ev["warning"][0]["class"] != "icloud_skip" {
			t.Errorf("ended with %d, warnings %v, want 3 and one for each of 10 resources", code, ev["warning"])
		}
		if n := number(t, ev.result(t), "resources", "absent", "icloud_only"); n != 10 {
			t.Errorf("%d resources are icloud_only, want 10", n)
		}
	})
	t.Run("another library", func(t *testing.T) {
		t.Parallel()
		p := cloudPlace(t, spec, "MOCK_SHOWS=none")
		ev, code := p.run("backup", "--source", p.source, "--to", p.dest)
		if code != 3 || len(ev["warning"]) != 0 || len(ev["error"]) != 1 || ev["error"][0]["class"] != "icloud_stop" {
			t.Errorf("ended with %d, warnings %v, errors %v, want 3 and one line", code, ev["warning"], ev["error"])
		}
		if n := number(t, ev.result(t), "resources", "absent", "icloud_only"); n != 10 {
			t.Errorf("%d resources are icloud_only, want 10", n)
		}
		p.spoolIsEmpty()
		p.env = nil // and in the next run Photos has it open
		p.iCloud(photostest.CloudOf(p.source))
		p.backup(0)
		p.restore(0)
		p.restoresAll()
	})
	t.Run("not permitted", func(t *testing.T) {
		t.Parallel()
		p := cloudPlace(t, spec, "MOCK_AUTH=2")
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "lightfast", "backup", "--source", p.source, "--to", p.dest, "--state", p.state)
		cmd.Env, cmd.Stdout = append(os.Environ(), p.env...), &out
		cmd.Run() // its code is what counts
		if code := cmd.ProcessState.ExitCode(); code != 3 || strings.Count(out.String(), "error: iCloud: ") != 1 {
			t.Errorf("ended with %d, want 3 and one line of iCloud:\n%s", code, &out)
		}
	})
}

// What the helper's watchdog mends costs no resource; the rest comes with a
// later run, and until then each has its one reason.
func TestFaultsOfPhotosAreOutlived(t *testing.T) {
	t.Parallel()
	p := cloudPlace(t, evicted(64, 3), "MOCK_FAULTS=crash=11,throw=5%,short=10%,proxy=10%,twice=5%,gone=5%", "MOCK_SEED=3")
	ev, code := p.run("backup", "--source", p.source, "--to", p.dest, "--icloud-readers", "2")
	res := ev.result(t)
	absent := map[string]any{}
	if all, ok := res["resources"].(map[string]any)["absent"].(map[string]any); ok {
		absent = all
	}
	told := len(ev["warning"])
	if n, _ := absent["icloud_only"].(float64); int(n) != told || (told > 0) != (code == 3) {
		t.Errorf("ended with %d, %v absent, %d warnings", code, absent, told)
	}
	p.spoolIsEmpty()
	p.helpersEnd()
	p.env = nil
	p.iCloud(photostest.CloudOf(p.source))
	p.backup(0)
	p.restore(0)
	p.restoresAll()
}

func TestALibraryAsATreeOfFilesAsksNothingOfICloud(t *testing.T) {
	t.Parallel()
	p := cloudPlace(t, evicted(8, 1), "MOCK_FAULTS=crash=always")
	p.backup(0, "--photos-handling", "LibraryOnly")
	p.env = append(p.env, "LIGHTFAST_PHOTOKIT_HELPER=/nowhere")
	p.backup(3) // as where there is no helper
}

func TestFilmsTooLargeForTheSpoolComeInTwoPushes(t *testing.T) {
	t.Parallel()
	p := cloudPlace(t, photostest.LibrarySpec{Seed: 1, Assets: []photostest.AssetSpec{
		{Video: true, Size: 30 << 20, Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.ICloudOnly}}, {}}})
	p.backup(0, "--spool", "8MiB")
	p.restore(0)
	p.restoresAll()
}
