package applelibrary_test

import (
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"lightfast/photos"
	"lightfast/photos/applelibrary"
)

// shared finds the real libraries beside the repository.
func shared(t *testing.T, elem ...string) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no real libraries here: ", err)
	}
	return filepath.Join(append([]string{dir}, elem...)...)
}

func library(t *testing.T, name string) string {
	return shared(t, "libraries", name+".photoslibrary")
}

func open(t *testing.T, path string) *applelibrary.Library {
	t.Helper()
	l, err := applelibrary.Open(t.Context(), path, applelibrary.Options{TempDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// scan returns what a scan yields, after a trip through JSON.
func scan(t *testing.T, l photos.Source) map[photos.AssetID]photos.Asset {
	t.Helper()
	found := map[photos.AssetID]photos.Asset{}
	for a, err := range l.Scan(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := found[a.ID]; ok {
			t.Errorf("%s comes twice", a.ID)
		}
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatalf("%s: %v", a.ID, err)
		}
		var back photos.Asset
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, back); diff != "" {
			t.Errorf("%s does not survive JSON:\n%s", a.ID, diff)
		}
		found[a.ID] = a
	}
	return found
}

type answers struct {
	Generation string
	Assets     []answer
	Orphans    []struct {
		Path string
		Size int64
	}
}

type answer struct {
	// legacy answers are osxphotos' alone, which tells no raw date and never
	// compares a size.
	legacy bool

	UUID             string
	OriginalFilename string `json:"original_filename"`
	Kind             string
	Trashed          bool
	Hidden           bool
	Favourite        bool
	Shared           bool
	Burst            *struct {
		UUID          string
		Key, Selected bool
	}
	Date        string
	DateAdded   string   `json:"date_added"`
	DateApple   *float64 `json:"date_apple"`
	TZOffset    *int     `json:"tz_offset"`
	Title       string
	Description string
	Keywords    []string
	Persons     []string
	Albums      []struct {
		Title   string
		Folders []string
	}
	Width, Height                                                       int
	HasAdjustments                                                      bool `json:"has_adjustments"`
	Panorama, Screenshot, Portrait, HDR, Selfie, Syndicated, Referenced bool
	SlowMo                                                              bool `json:"slow_mo"`
	TimeLapse                                                           bool `json:"time_lapse"`
	ScreenRecording                                                     bool `json:"screen_recording"`
	Source                                                              string
	Missing                                                             map[photos.Role]string
	DiskFiles                                                           map[string][]struct {
		Path        string
		Size        int64
		Fingerprint string
	} `json:"disk_files"`
}

// words of the answers for our roles.
var words = map[string]photos.Role{
	"adjustments": photos.RoleAdjustment, "aae": photos.RoleSidecar,
	"edited_previous": photos.RolePrevious, "shared_poster": photos.RolePoster,
}

// TestRealLibrariesAreReadAsTheyAre compares every library with what an
// independent reader found in it.
func TestRealLibrariesAreReadAsTheyAre(t *testing.T) {
	for _, name := range []string{
		"Test-15.4.1", "Test-Cloud-10.15.6", "Test-Screen-Recording-12.0.1", "ExternalAdjustments-14.4.1",
		"Test-Lock-10_15_1", "Derived-icloud-15", "Derived-broken-13", "Test-10.13.6", "Test-10.14.6",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := library(t, name)
			before := tree(t, dir)
			text, err := os.ReadFile(shared(t, "answers", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var want answers
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			l := open(t, dir)
			got := scan(t, l)
			if w := l.Warnings(); len(w) > 0 {
				t.Errorf("warnings: %q", w)
			}
			for _, x := range want.Orphans {
				a := got[photos.AssetID("orphan:"+x.Path)]
				delete(got, a.ID)
				if !a.Orphan || len(a.Resources) != 1 || a.Resources[0].Path != x.Path || a.Resources[0].Size != x.Size {
					t.Errorf("orphan %s: got %+v", x.Path, a)
				}
			}
			for _, x := range want.Assets {
				x.legacy = want.Generation == "Photos 2-4"
				a, ok := got[photos.AssetID(x.UUID)]
				if !ok {
					t.Errorf("%s %s is not there", x.UUID, x.OriginalFilename)
					continue
				}
				delete(got, a.ID)
				compareMetadata(t, a, x)
				compareResources(t, a, x)
				readAll(t, l, a)
			}
			for id := range got {
				t.Errorf("%s is not in the answers", id)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("the library was touched:\n%s", diff)
			}
		})
	}
}

func compareMetadata(t *testing.T, a photos.Asset, x answer) {
	t.Helper()
	kinds := map[string]photos.Kind{"photo": photos.Photo, "movie": photos.Video}
	want := photos.Metadata{
		UUID: x.UUID, OriginalFilename: nfc(x.OriginalFilename), Kind: kinds[x.Kind],
		Trashed: x.Trashed, Hidden: x.Hidden, Favorite: x.Favourite, Shared: x.Shared,
		Title: x.Title, Description: x.Description,
	}
	m := a.Metadata
	got := photos.Metadata{
		UUID: m.UUID, OriginalFilename: nfc(m.OriginalFilename), Kind: m.Kind,
		Trashed: m.Trashed, Hidden: m.Hidden, Favorite: m.Favorite, Shared: m.Shared,
		Title: nfc(m.Title), Description: nfc(m.Description),
	}
	if x.Source == "osxphotos" { // what the other reader alone found it says nothing about
		for _, b := range x.Albums {
			want.Albums = append(want.Albums, strings.Join(append(b.Folders, b.Title), "/"))
		}
		want.Keywords, want.Persons = x.Keywords, slices.DeleteFunc(x.Persons, func(p string) bool { return p == "_UNKNOWN_" })
		want.TZOffset, want.Width, want.Height, want.Edited = x.TZOffset, x.Width, x.Height, x.HasAdjustments
		got.Albums, got.Keywords, got.Persons = m.Albums, m.Keywords, m.Persons
		got.TZOffset, got.Width, got.Height, got.Edited = m.TZOffset, m.Width, m.Height, m.Edited
		for _, list := range []*[]string{&want.Albums, &want.Keywords, &want.Persons, &got.Albums, &got.Keywords, &got.Persons} {
			*list = sorted(*list)
		}
		compareDates(t, a, x)
		compareTypes(t, m.Types, x)
	}
	if x.Burst != nil {
		want.Burst = &photos.Burst{UUID: x.Burst.UUID, Key: x.Burst.Key, Selected: x.Burst.Selected}
	}
	got.Burst = m.Burst
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s %s, metadata (-answers +got):\n%s", a.ID, x.OriginalFilename, diff)
	}
}

func compareDates(t *testing.T, a photos.Asset, x answer) {
	t.Helper()
	want, err := time.Parse(time.RFC3339Nano, x.Date)
	if err != nil {
		t.Fatal(err)
	}
	absurd := want.Unix() == 0 && x.DateApple != nil && *x.DateApple != -978307200 // what the answers say where they cannot
	if x.legacy {
		absurd = want.Unix() == 0
		x.DateApple = a.Metadata.DateRaw
		if x.DateApple == nil {
			x.DateApple = new(float64)
		}
	}
	switch {
	case x.DateApple == nil:
		if a.Metadata.Date != "" || a.Metadata.DateRaw != nil {
			t.Errorf("%s has date %q, want none", a.ID, a.Metadata.Date)
		}
	case absurd:
		if a.Metadata.Date != "" || a.Metadata.DateRaw == nil || *a.Metadata.DateRaw != *x.DateApple {
			t.Errorf("%s has date %q, want only the number %f", a.ID, a.Metadata.Date, *x.DateApple)
		}
	default:
		got, err := time.Parse(time.RFC3339Nano, a.Metadata.Date)
		_, gotOffset := got.Zone()
		_, wantOffset := want.Zone()
		if err != nil || got.Sub(want).Abs() > 2*time.Microsecond || gotOffset != wantOffset {
			t.Errorf("%s has date %q, want %q", a.ID, a.Metadata.Date, x.Date)
		}
	}
	if added, err := time.Parse(time.RFC3339Nano, x.DateAdded); err == nil && max(a.Added-added.UnixMilli(), added.UnixMilli()-a.Added) > 1 {
		t.Errorf("%s was added at %d, want %d", a.ID, a.Added, added.UnixMilli())
	}
}

func compareTypes(t *testing.T, types []string, x answer) {
	t.Helper()
	for name, want := range map[string]bool{
		"panorama": x.Panorama, "screenshot": x.Screenshot, "portrait": x.Portrait, "hdr": x.HDR, "selfie": x.Selfie,
		"slow_motion": x.SlowMo, "time_lapse": x.TimeLapse, "screen_recording": x.ScreenRecording,
		"syndicated": x.Syndicated, "referenced": x.Referenced,
	} {
		if got := slices.Contains(types, name); got != want {
			t.Errorf("%s is %s: %t, want %t", x.UUID, name, got, want)
		}
	}
}

func compareResources(t *testing.T, a photos.Asset, x answer) {
	t.Helper()
	want, got := map[photos.Role][]string{}, map[photos.Role][]string{}
	for word, files := range x.DiskFiles {
		role, ok := words[word]
		if !ok {
			role = photos.Role(word)
		}
		for _, f := range files {
			want[role] = append(want[role], f.Path)
		}
	}
	status := map[photos.Role]string{}
	for _, r := range a.Resources {
		if r.Present() && r.Role != photos.RolePreview {
			got[r.Role] = append(got[r.Role], r.Path)
		}
		status[r.Role] = string(r.Reason)
		if r.Present() {
			status[r.Role] = "present"
			if r.Warning != "" {
				status[r.Role] = string(r.Warning)
			}
		}
		if r.Name == "" || r.Present() && (r.Path == "" || r.ModTime == 0) {
			t.Errorf("%s: %+v", a.ID, r)
		}
	}
	for _, m := range []map[photos.Role][]string{want, got} {
		for role := range m {
			slices.Sort(m[role])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s %s, files (-answers +got):\n%s", a.ID, x.OriginalFilename, diff)
	}
	for role, w := range x.Missing {
		if w == "fingerprint_mismatch" { // told by whoever reads the bytes
			w = "present"
		}
		if x.legacy && status[role] == string(photos.SizeMismatch) && w == "present" {
			continue // proved by compareFingerprints
		}
		if status[role] != w {
			t.Errorf("%s %s, %s is %q, want %q", a.ID, x.OriginalFilename, role, status[role], w)
		}
	}
	for role, s := range status {
		if _, ok := x.Missing[role]; !ok && s != "present" {
			t.Errorf("%s %s, %s is %q, the answers do not expect it", a.ID, x.OriginalFilename, role, s)
		}
	}
	compareFingerprints(t, a, x)
}

// compareFingerprints proves that the fingerprints of present files are those
// of their bytes, except where the answers say otherwise.
func compareFingerprints(t *testing.T, a photos.Asset, x answer) {
	t.Helper()
	for _, files := range x.DiskFiles {
		for _, f := range files {
			for _, r := range a.Resources {
				if x.legacy && r.Path == f.Path && r.Warning != "" && (r.Fingerprint == f.Fingerprint || r.Size != f.Size) {
					t.Errorf("%s, %s: %s, but size and fingerprint are the database's", a.ID, r.Role, r.Warning)
				}
				if r.Path != f.Path || r.Fingerprint == "" || r.Warning != "" {
					continue
				}
				if same := r.Fingerprint == f.Fingerprint; same == (x.Missing[r.Role] == "fingerprint_mismatch") {
					t.Errorf("%s, %s: fingerprint %s, the bytes have %s, the answers say %s", a.ID, r.Role, r.Fingerprint, f.Fingerprint, x.Missing[r.Role])
				}
			}
		}
	}
}

// readAll opens every present resource.
func readAll(t *testing.T, l photos.Source, a photos.Asset) {
	t.Helper()
	for _, r := range a.Resources {
		rd, err := l.Open(t.Context(), r)
		if !r.Present() {
			if err == nil {
				rd.Close()
				t.Errorf("%s %s is %s, and opens", a.ID, r.Role, r.Reason)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", a.ID, r.Role, err)
			continue
		}
		if rd.Size() != r.Size {
			t.Errorf("%s %s has %d bytes, want %d", a.ID, r.Role, rd.Size(), r.Size)
		}
		rd.Close()
	}
}

// tree is what a touched library would not have any more.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			found[p] = info.Mode().String() + " " + info.ModTime().String()
			if !d.IsDir() {
				found[p] += " " + path.Base(p) + " " + time.Duration(info.Size()).String()
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func nfc(s string) string { return norm.NFC.String(s) }

func sorted(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, nfc(s))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
