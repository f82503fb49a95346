package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lightfast/internal/xmp"
	"lightfast/manifest"
	"lightfast/photos"
)

// said is a Photos asset of which there is something to say.
func said(title string) photos.Metadata {
	return photos.Metadata{UUID: "UUID " + title, Title: title, Date: "2024-05-17T23:30:00+02:00", Favorite: true, Orientation: 6, Width: 3, Height: 4,
		Keywords: []string{"kw <&>"}, Albums: []string{"Trips/Iceland", "Best"}, Persons: []string{"Ann"},
		Faces: []photos.Face{{Name: "Ann", X: 0.1, Y: 0.2, W: 0.3, H: 0.4}}, Place: &photos.Place{Latitude: 64.1, Longitude: -21.9, City: "Reykjavík"}}
}

// sidecarCorner is a repository with whatever has a sidecar or none.
func sidecarCorner(t *testing.T) *crafted {
	c := craft(t)
	c.add("live", said("live"), c.resource("original", "IMG_1.HEIC", "originals/1/1.heic"), c.resource("live", "IMG_1.mov", "originals/1/1_3.mov"),
		c.resource("edited", "IMG_1.jpeg", "renders/1/1_1.jpeg"), c.resource("adjustment", "IMG_1.plist", "renders/1/1.plist"))
	c.add("film", said("film"), c.resource("original", "IMG_1.MOV", "originals/2/2.mov"))
	preview := c.resource("preview", "IMG_3.jpeg", "derivatives/3.jpeg")
	c.add("far", said("far"), manifest.Resource{Role: "original", Name: "IMG_3.HEIC", Size: -1, Reason: "icloud_only"}, preview)
	c.add("orphan", photos.Metadata{Kind: photos.Other}, c.resource("library", "x.jpg", "originals/x.jpg"))
	c.add("folder", photos.Metadata{Kind: photos.Photo, Modified: "2024-05-17T00:00:00Z"}, c.resource("original", "plain.jpg", "plain.jpg"))
	c.commit(2)
	return c
}

func TestSidecarsAreBesideTheirPictures(t *testing.T) {
	t.Parallel()
	c := sidecarCorner(t)
	for layout, want := range map[string][]string{
		"library": {"derivatives/3.jpeg", "originals/1/1.heic", "originals/2/2.mov", "renders/1/1_1.jpeg"},
		"dates":   {"2024/2024-05-17/IMG_1 (2).MOV", "2024/2024-05-17/IMG_1.HEIC", "2024/2024-05-17/IMG_1.jpeg", "2024/2024-05-17/IMG_3.jpeg"},
		"albums": {"Best/IMG_1 (2).MOV", "Best/IMG_1.HEIC", "Best/IMG_1.jpeg", "Best/IMG_3.jpeg",
			"Trips/Iceland/IMG_1 (2).MOV", "Trips/Iceland/IMG_1.HEIC", "Trips/Iceland/IMG_1.jpeg", "Trips/Iceland/IMG_3.jpeg"},
		"flat": {"IMG_1 (2).MOV", "IMG_1.HEIC", "IMG_1.jpeg", "IMG_3.jpeg"},
	} {
		c.out = filepath.Join(filepath.Dir(c.dest), layout)
		plain := c.into(0, "--layout", layout)
		without := tree(t, c.out)

		planned := c.into(0, "--layout", layout, "--sidecars", "--dry-run")
		if n := number(t, planned, "sidecars"); n != int64(len(want)) || number(t, planned, "files") != 0 {
			t.Errorf("%s: a dry run would write %v, want %d sidecars and no files", layout, planned, len(want))
		}
		if diff := cmp.Diff(without, tree(t, c.out)); diff != "" {
			t.Errorf("%s: a dry run wrote (-before +after):\n%s", layout, diff)
		}

		res := c.into(0, "--layout", layout, "--sidecars")
		if number(t, res, "sidecars") != int64(len(want)) || number(t, res, "equal") != number(t, plain, "files") || number(t, res, "files") != 0 {
			t.Errorf("%s: %v, want %d sidecars, the files of before all equal", layout, res, len(want))
		}
		with := tree(t, c.out)
		var got []string
		for name, content := range with {
			of, ok := strings.CutSuffix(name, ".xmp")
			if !ok {
				continue
			}
			got = append(got, of)
			if _, ok := without[of]; !ok {
				t.Errorf("%s: %s is beside nothing", layout, name)
			}
			if !strings.Contains(content, "Ann") {
				t.Errorf("%s: %s says %s", layout, name, content)
			}
			delete(with, name)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: files with a sidecar (-want +got):\n%s", layout, diff)
		}
		if diff := cmp.Diff(without, with); diff != "" {
			t.Errorf("%s: the files themselves, without sidecars and with (-without +with):\n%s", layout, diff)
		}
		if again := c.into(0, "--layout", layout, "--sidecars"); number(t, again, "bytes") != 0 || number(t, again, "sidecars") != int64(len(want)) {
			t.Errorf("%s: a second time: %v, want nothing written", layout, again)
		}
	}
}

// TestSidecarsSayWhatTheirFileIs: the original is turned by its orientation,
// a render is upright.
func TestSidecarsSayWhatTheirFileIs(t *testing.T) {
	t.Parallel()
	c := sidecarCorner(t)
	c.into(0, "--layout", "flat", "--sidecars")
	m, got := said("live"), tree(t, c.out)
	m.OriginalFilename = "IMG_1.HEIC"
	for name, about := range map[string]xmp.File{"IMG_1.HEIC.xmp": {Name: "IMG_1.HEIC", Orientation: 6}, "IMG_1.jpeg.xmp": {Name: "IMG_1.jpeg"}} {
		if diff := cmp.Diff(string(xmp.Sidecar(m, about)), got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestFilesOfTheSnapshotKeepTheirNamesFromSidecars, on whichever page they are.
func TestFilesOfTheSnapshotKeepTheirNamesFromSidecars(t *testing.T) {
	t.Parallel()
	c := craft(t)
	c.add("a", said("a"), c.resource("original", "a.jpg", "a.jpg"))
	c.add("b", said("b"), c.resource("original", "b.jpg", "b.jpg"), c.resource("sidecar", "b.jpg.XMP", "b.jpg.XMP"), c.resource("sidecar", "b.jpg.xmp", "b.jpg.xmp"))
	c.add("late", photos.Metadata{Kind: photos.Other}, c.resource("original", "a.jpg.xmp", "a.jpg.xmp"))
	c.commit(1)
	for _, layout := range []string{"library", "flat"} {
		c.out = filepath.Join(filepath.Dir(c.dest), layout)
		c.into(0, "--layout", layout)
		without := tree(t, c.out)
		c.out += " with sidecars"
		c.into(0, "--layout", layout, "--sidecars")
		got := tree(t, c.out)
		for name, content := range without {
			if got[name] != content {
				t.Errorf("%s: %s holds %q, and without sidecars %q", layout, name, got[name], content)
			}
		}
		want := []string{"a.jpg", "a.jpg (2).xmp", "a.jpg.xmp", "b.jpg", "b.jpg (2).xmp", "b.jpg.XMP", "b.jpg.xmp"}
		if layout == "flat" { // there, case is no difference
			want = []string{"a.jpg", "a.jpg (2).xmp", "a.jpg.xmp", "b.jpg", "b.jpg (2).xmp", "b.jpg (3).xmp", "b.jpg.XMP"}
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", layout, diff)
		}
		if !strings.Contains(got["a.jpg (2).xmp"], "UUID a") || !strings.Contains(got["b.jpg (2).xmp"], "UUID b") && layout == "library" {
			t.Errorf("%s: the sidecars hold %q and %q", layout, got["a.jpg (2).xmp"], got["b.jpg (2).xmp"])
		}
	}
}

func TestSidecarsReplaceNothingAndSpeakOfNoForeignFile(t *testing.T) {
	t.Parallel()
	c := craft(t)
	for _, n := range []string{"edited by hand.jpg", "link.jpg", "foreign.jpg", "damaged.jpg", "new.jpg"} {
		c.add(n, said(n), c.resource("original", n, n))
	}
	c.commit(100)
	outside := filepath.Join(filepath.Dir(c.out), "outside")
	for _, err := range []error{
		os.MkdirAll(c.out, 0o755),
		os.WriteFile(filepath.Join(c.out, "edited by hand.jpg.xmp"), []byte("newer work"), 0o600),
		os.Symlink(outside, filepath.Join(c.out, "link.jpg.xmp")),
		os.WriteFile(filepath.Join(c.out, "foreign.jpg"), []byte("another picture"), 0o600),
		os.WriteFile(filepath.Join(c.dest, c.assets[3].Resources[0].Key), []byte("garbage"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	planned := c.into(3, "--sidecars", "--dry-run") // which reads no content, so that damage is not seen
	if number(t, planned, "sidecars") != 2 || number(t, planned, "problem_count") != 3 {
		t.Errorf("a dry run: %v", planned)
	}
	res := c.into(6, "--sidecars")
	if number(t, res, "sidecars") != 1 || number(t, res, "files") != 3 || number(t, res, "problem_count") != 4 {
		t.Errorf("result = %v, want one sidecar, three files, and four problems", res)
	}
	got := tree(t, c.out)
	if got["edited by hand.jpg.xmp"] != "newer work" {
		t.Errorf("what was there is %q now", got["edited by hand.jpg.xmp"])
	}
	if diff := cmp.Diff([]string{"edited by hand.jpg", "edited by hand.jpg.xmp", "foreign.jpg", "link.jpg", "new.jpg", "new.jpg.xmp"}, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("the target (-want +got):\n%s", diff)
	}
	if res := c.into(6, "--sidecars", "--overwrite"); number(t, res, "sidecars") != 4 {
		t.Errorf("with --overwrite: %v, want all sidecars but that of the damaged", res)
	}
	if got := tree(t, c.out); !strings.Contains(got["edited by hand.jpg.xmp"], "UUID") || !strings.Contains(got["link.jpg.xmp"], "UUID") {
		t.Errorf("not replaced: %q", got)
	}
	if _, err := os.Lstat(outside); err == nil {
		t.Error("a link was followed")
	}
}

func TestSidecarsOfOneAssetInManyAlbumsShareTheirRoom(t *testing.T) {
	t.Parallel()
	c := craft(t)
	long := strings.Repeat("é", 125) + ".heic" // 255 bytes
	c.add("two", said("two"), c.resource("original", "a.jpg", "a"))
	c.add("long", said("long"), c.resource("original", long, "b"))
	c.commit(100)
	if res := c.into(0, "--layout", "albums", "--sidecars"); number(t, res, "sidecars") != 4 {
		t.Errorf("%v, want 4 sidecars", res)
	}
	one, errOne := os.Stat(filepath.Join(c.out, "Trips/Iceland/a.jpg.xmp"))
	two, errTwo := os.Stat(filepath.Join(c.out, "Best/a.jpg.xmp"))
	if errOne != nil || errTwo != nil || !os.SameFile(one, two) {
		t.Errorf("the sidecar needs its room twice: %v, %v", errOne, errTwo)
	}
}

func TestKilledRestoreGoesOnWithItsSidecars(t *testing.T) {
	t.Parallel()
	c := craft(t)
	rng := rand.New(rand.NewPCG(7, 0))
	for i := range 300 {
		name := fmt.Sprintf("IMG_%04d.HEIC", i)
		content := make([]byte, 100_000)
		rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)}).Read(content)
		c.add(name, said(name), c.resource("original", name, name, content...))
	}
	c.commit(50)
	c.killAgainAndAgain(rng, 4, "restore", "--from", c.dest, "--to", c.out, "--sidecars")
	if res := c.into(0, "--sidecars"); number(t, res, "sidecars") != 300 {
		t.Errorf("%v, want 300 sidecars", res)
	}
	killed := tree(t, c.out)
	c.out += " at once"
	c.into(0, "--sidecars")
	if diff := cmp.Diff(slices.Sorted(maps.Keys(tree(t, c.out))), slices.Sorted(maps.Keys(killed))); diff != "" || len(killed) != 600 {
		t.Errorf("%d files; at once and killed (-once +killed):\n%s", len(killed), diff)
	}
	if !maps.Equal(killed, tree(t, c.out)) {
		t.Error("they differ in content")
	}
}
