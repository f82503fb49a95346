package photostest_test

import (
	"bytes"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lightfast/photos/photostest"
)

// media are the files of a library but for its database.
func media(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	root := os.DirFS(dir)
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.Contains(p, "database") {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		f, err := root.Open(filepath.ToSlash(rel))
		if err != nil {
			return err
		}
		defer f.Close()
		var b bytes.Buffer
		_, err = b.ReadFrom(f)
		files[rel] = b.String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func build(t *testing.T, spec photostest.LibrarySpec) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "Built.photoslibrary")
	if err := photostest.BuildLibrary(dir, spec); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTheSameSpecMakesTheSameMedia(t *testing.T) {
	first := media(t, build(t, photostest.Mix(30, 1)))
	if diff := cmp.Diff(first, media(t, build(t, photostest.Mix(30, 1)))); diff != "" {
		t.Errorf("built twice:\n%s", diff)
	}
	other := media(t, build(t, photostest.Mix(30, 2)))
	contents := map[string]string{}
	for name, text := range first {
		if same, ok := contents[text]; ok && filepath.Ext(name) != ".plist" {
			t.Errorf("%s and %s are the same", name, same)
		}
		contents[text] = name
		if _, ok := other[name]; ok {
			t.Errorf("another seed makes %s too", name)
		}
	}
}

func TestTheSameSpecMakesTheSameLibraryOfPhotos4(t *testing.T) {
	spec := photostest.Mix(30, 1)
	spec.Photos4 = true
	first := media(t, build(t, spec))
	if diff := cmp.Diff(first, media(t, build(t, spec))); diff != "" || len(first) < 30 {
		t.Errorf("built twice, %d files:\n%s", len(first), diff)
	}
}

func TestBuiltPhotosCanBeShown(t *testing.T) {
	for _, size := range []int64{0, 5_000, 70_000, 65_535 * 3, 1 << 20} {
		for name, text := range media(t, build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Size: size}}})) {
			if _, err := jpeg.Decode(strings.NewReader(text)); err != nil {
				t.Errorf("%s of %d bytes: %v", name, size, err)
			}
			if got := int64(len(text)); size > 0 && (got < size-64 || got > size+64) {
				t.Errorf("a photo of %d bytes has %d", size, got)
			}
		}
	}
}

func TestSparseFilmsNeedNoRoom(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Sparse: true, Assets: []photostest.AssetSpec{{Video: true, Size: 1 << 40}}})
	films, err := filepath.Glob(filepath.Join(dir, "originals", "*", "*.mov"))
	if err != nil || len(films) != 1 {
		t.Fatal(films, err)
	}
	if info, err := os.Stat(films[0]); err != nil || info.Size() != 1<<40 {
		t.Errorf("film: %v, %v", info, err)
	}
}
