// Package photostest proves that a driver keeps the promises of photos.Source
// and photos.Reader, each by a check of its own name, and builds libraries to
// try it on.
package photostest

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"lightfast/photos"
)

// Fixture is how the checks come by a library of some driver.
type Fixture struct {
	// Make writes a library that the check may change and returns its path.
	// It has at least three assets and a present resource of at least two
	// bytes.
	Make func(t *testing.T) (path string)

	// Open opens the source. The suite closes it.
	Open func(t *testing.T, path string) photos.Source

	// File returns the file on disk of a present resource.
	File func(path string, r photos.Resource) string

	// Keeps says that an asset outlives its files, as in a Photos library.
	Keeps bool
}

// Run checks each promise on a library of its own. It looks at the open files
// of the process, so nothing else may run beside it: no t.Parallel.
func Run(t *testing.T, f Fixture) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *library)
	}{
		{"IdentityIsStable", identityIsStable},
		{"EachAssetComesOnce", eachAssetComesOnce},
		{"ResourcesArePresentOrHaveOneReason", resourcesArePresentOrHaveOneReason},
		{"ScanIsRepeatable", scanIsRepeatable},
		{"AssetSurvivesJSON", assetSurvivesJSON},
		{"WarningsAreLines", warningsAreLines},
		{"AbsenceChangesNoMediaToken", absenceChangesNoMediaToken},
		{"CanceledContextEndsEverything", canceledContextEndsEverything},
		{"EarlyBreakLeaksNothing", earlyBreakLeaksNothing},
		{"SourceIsUntouched", sourceIsUntouched},
		{"ReaderReadsTheFile", readerReadsTheFile},
		{"ReaderIsPulled", readerIsPulled},
		{"ReadersLeakNothing", readersLeakNothing},
		{"ManyReadersAtOnce", manyReadersAtOnce},
		{"ChangeIsReported", changeIsReported},
		{"GoneFileIsNotExist", goneFileIsNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := f.Make(t)
			c.run(t, &library{Fixture: f, path: path, Source: f.open(t, path)})
		})
	}
}

// library is a fixture at work.
type library struct {
	Fixture
	photos.Source
	path string
}

func (f Fixture) open(t *testing.T, path string) photos.Source {
	t.Helper()
	s := f.Open(t, path)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// scan returns all assets of s in order of id.
func (*library) scan(t *testing.T, s photos.Source) []photos.Asset {
	t.Helper()
	var assets []photos.Asset
	for a, err := range s.Scan(t.Context()) {
		if err != nil {
			t.Fatalf("Scan: %v", err)
		}
		assets = append(assets, a)
	}
	slices.SortFunc(assets, func(a, b photos.Asset) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return assets
}

func identityIsStable(t *testing.T, l *library) {
	first, err := l.Identity(t.Context())
	if err != nil {
		t.Fatalf("Identity: %v", err)
	}
	if first.ID == "" || first.Kind == "" || first.Name == "" {
		t.Errorf("Identity = %+v, want an id, a kind and a name", first)
	}
	for _, s := range []photos.Source{l.Source, l.Fixture.open(t, l.path)} {
		l.scan(t, s)
		again, err := s.Identity(t.Context())
		if diff := cmp.Diff(first, again); err != nil || diff != "" {
			t.Errorf("Identity once more: %v (-first +now):\n%s", err, diff)
		}
	}
}

func eachAssetComesOnce(t *testing.T, l *library) {
	seen := map[photos.AssetID]bool{}
	for _, a := range l.scan(t, l.Source) {
		if a.ID == "" || !utf8.ValidString(string(a.ID)) {
			t.Errorf("asset has id %q, want text", a.ID)
		}
		if seen[a.ID] {
			t.Errorf("asset %q came twice", a.ID)
		}
		seen[a.ID] = true
		if k := a.Metadata.Kind; !slices.Contains([]photos.Kind{photos.Photo, photos.Video, photos.Other}, k) {
			t.Errorf("asset %q has kind %q", a.ID, k)
		}
	}
	if len(seen) < 3 {
		t.Errorf("Scan yielded %d assets, want those of the fixture, at least 3", len(seen))
	}
}

var (
	roles = []photos.Role{photos.RoleOriginal, photos.RoleRAW, photos.RoleLive, photos.RoleEdited, photos.RoleEditedLive, photos.RolePoster,
		photos.RolePrevious, photos.RoleAdjustment, photos.RoleSidecar, photos.RolePreview, photos.RoleLibrary, photos.RoleOther}
	reasons = []photos.Reason{photos.ICloudOnly, photos.ReferencedOutside, photos.Lost, photos.IncompleteImport, photos.SharedNotDownloaded,
		photos.RenderNeverMade, photos.Unavailable}
	warnings = []photos.Warning{"", photos.SizeMismatch, photos.FingerprintMismatch}
)

func resourcesArePresentOrHaveOneReason(t *testing.T, l *library) {
	for _, a := range l.scan(t, l.Source) {
		if len(a.Resources) == 0 {
			t.Errorf("asset %q has no resource", a.ID)
		}
		for _, r := range a.Resources {
			if !slices.Contains(roles, r.Role) || r.Name == "" || !utf8.ValidString(r.Name) || !slices.Contains(warnings, r.Warning) {
				t.Errorf("asset %q has resource %+v, want a known role, a name that is text, a known warning", a.ID, r)
			}
			if r.Present() {
				if r.Size < 0 || r.Token() == "" || r.Path == "" {
					t.Errorf("asset %q has present resource %+v, want a size, a token and a path", a.ID, r)
				}
				continue
			}
			if !slices.Contains(reasons, r.Reason) || r.Token() != "" || r.ModTime != 0 {
				t.Errorf("asset %q has absent resource %+v, want a known reason, neither token nor time", a.ID, r)
			}
		}
	}
}

func scanIsRepeatable(t *testing.T, l *library) {
	first := l.scan(t, l.Source)
	if diff := cmp.Diff(first, l.scan(t, l.Source)); diff != "" {
		t.Errorf("second scan (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(first, l.scan(t, l.Fixture.open(t, l.path))); diff != "" {
		t.Errorf("scan of the source opened anew (-first +anew):\n%s", diff)
	}
}

func assetSurvivesJSON(t *testing.T, l *library) {
	for _, a := range l.scan(t, l.Source) {
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatalf("asset %q: %v", a.ID, err)
		}
		var got photos.Asset
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("asset %q: %v", a.ID, err)
		}
		if diff := cmp.Diff(a, got); diff != "" {
			t.Errorf("asset %q loses something in JSON (-before +after):\n%s", a.ID, diff)
		}
	}
}

func warningsAreLines(t *testing.T, l *library) {
	l.scan(t, l.Source)
	for _, w := range l.Warnings() {
		if w == "" || strings.ContainsAny(w, "\n\r") || !utf8.ValidString(w) {
			t.Errorf("warning %q is not one line of text", w)
		}
	}
}

func absenceChangesNoMediaToken(t *testing.T, l *library) {
	before, r := l.present(t)
	if err := os.Remove(l.File(l.path, r)); err != nil {
		t.Fatal(err)
	}
	for _, a := range l.scan(t, l.Fixture.open(t, l.path)) {
		if a.ID != before.ID {
			continue
		}
		if a.MediaToken != before.MediaToken {
			t.Errorf("asset %q has media token %q after its file was deleted, want %q as before", a.ID, a.MediaToken, before.MediaToken)
		}
		for _, now := range a.Resources {
			if now.Path == r.Path && now.Role == r.Role && now.Token() != "" {
				t.Errorf("deleted %+v has token %q, want none", now, now.Token())
			}
		}
		return
	}
	if l.Keeps {
		t.Errorf("asset %q has gone together with its file", before.ID)
	}
}

func canceledContextEndsEverything(t *testing.T, l *library) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range l.Scan(ctx) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("Scan canceled after its first asset ended with %v, want context.Canceled", last)
	}
	for a, err := range l.Scan(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Scan with a canceled context yielded %q, %v", a.ID, err)
		}
	}
	if _, err := l.Identity(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Identity with a canceled context: %v", err)
	}
	_, r := l.present(t)
	if rd, err := l.Source.Open(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a canceled context: %v, %v", rd, err)
	}
}

func earlyBreakLeaksNothing(t *testing.T, l *library) {
	l.scan(t, l.Source) // whatever the source keeps open for good
	before := openFiles(t)
	for range 5 {
		for _, err := range l.Scan(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files are open after 5 scans that were left, %d before", after, before)
	}
}

// openFiles counts the open files of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Skipf("open files cannot be counted here: %v", err)
	}
	return len(entries)
}

func sourceIsUntouched(t *testing.T, l *library) {
	before := tree(t, l.path)
	for _, a := range l.scan(t, l.Source) {
		for _, r := range a.Resources {
			if r.Present() {
				l.content(t, r)
			}
		}
	}
	if diff := cmp.Diff(before, tree(t, l.path)); diff != "" {
		t.Errorf("the library has changed (-before +after):\n%s", diff)
	}
}

type node struct {
	Mode    fs.FileMode
	Size    int64
	ModTime int64
}

func tree(t *testing.T, root string) map[string]node {
	t.Helper()
	nodes := map[string]node{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		nodes[path] = node{info.Mode(), info.Size(), info.ModTime().UnixNano()}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return nodes
}
