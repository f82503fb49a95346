package wire_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightfast/activities"
	"lightfast/internal/exit"
	"lightfast/internal/state"
	"lightfast/internal/wire"
	"lightfast/photos"
	"lightfast/photos/photostest"
)

func place(t *testing.T) (*state.Dir, string) {
	t.Helper()
	d, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(t.TempDir(), "Mine.photoslibrary")
	if err := photostest.BuildLibrary(library, photostest.Mix(3, 1)); err != nil {
		t.Fatal(err)
	}
	return d, library
}

func openSource(t *testing.T, d *state.Dir, path string, h activities.Handling) (photos.Source, error) {
	t.Helper()
	return wire.OpenSource(t.Context(), activities.SourceSpec{Path: path, Handling: h}, d, nil, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func identity(t *testing.T, d *state.Dir, path string, h activities.Handling) photos.Identity {
	t.Helper()
	s, err := openSource(t, d, path, h)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id, err := s.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestModesOfOneLibrary(t *testing.T) {
	d, library := place(t)
	plain := identity(t, d, library, "")
	if both := identity(t, d, library, activities.PhotosAndLibrary); both != plain {
		t.Errorf("PhotosAndLibrary is %+v, want %+v", both, plain)
	}
	tree := identity(t, d, library, activities.LibraryOnly)
	if tree.ID != plain.ID+"-bundle" || tree.Name != "Mine (bundle)" {
		t.Errorf("LibraryOnly is %+v, want %+v with a mark", tree, plain)
	}
	if s, err := openSource(t, d, t.TempDir(), activities.PhotosOnly); exit.CodeOf(err) != exit.Usage {
		t.Errorf("a mode for a folder: %v, %v, want wrong usage", s, err)
	}
}

func TestADamagedLibraryIsATreeOfOneIdentity(t *testing.T) {
	d, library := place(t)
	db := filepath.Join(library, "database", "Photos.sqlite")
	if err := os.WriteFile(db, []byte("noise"), 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err := openSource(t, d, library, activities.PhotosAndLibrary); err == nil {
		t.Errorf("PhotosAndLibrary opens it: %v", s)
	}
	first := identity(t, d, library, activities.LibraryOnly)
	if !strings.HasSuffix(first.ID, "-bundle") || first.Name != "Mine (bundle)" {
		t.Errorf("it is %+v", first)
	}
	if again := identity(t, d, library, activities.LibraryOnly); again != first {
		t.Errorf("it is %+v, then %+v", first, again)
	}
}

// TestNoOtherNameForWhatIsRefusedForNow: a folder in the place of the database
// is damage, a database that may not be read is not.
func TestNoOtherNameForWhatIsRefusedForNow(t *testing.T) {
	if photostest.AsNobody(t) {
		return
	}
	d, library := place(t)
	if err := os.Chmod(filepath.Join(library, "database", "Photos.sqlite"), 0); err != nil {
		t.Fatal(err)
	}
	s, err := openSource(t, d, library, activities.LibraryOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if id, err := s.Identity(t.Context()); err == nil {
		t.Errorf("it is %+v, want an error", id)
	}
}

// TestCopiesGoWithTheirSource, and those of a dead process with the next one;
// a living one keeps them.
func TestCopiesGoWithTheirSource(t *testing.T) {
	d, library := place(t)
	temp, err := d.Temp()
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(temp, "dead")
	if err := os.Mkdir(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(dead, "copy.sqlite"), dead + ".lock"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range activities.Handlings {
		living, err := openSource(t, d, library, h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(dead); err == nil {
			t.Error("the folder of a dead process is there")
		}
		identity(t, d, library, h) // another source comes and goes
		for a, err := range living.Scan(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			rd, err := living.Open(t.Context(), a.Resources[0])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, rd); err != nil {
				t.Error(err)
			}
			rd.Close()
		}
		if err := living.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(temp); len(left) != 0 {
			t.Errorf("%v is left", left)
		}
	}
}
