package applelibrary_test

import (
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"lightfast/internal/sqlite"
	"lightfast/photos"
	"lightfast/photos/applelibrary"
	"lightfast/photos/photostest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

func build(t *testing.T, spec photostest.LibrarySpec) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "Built.photoslibrary")
	if err := photostest.BuildLibrary(dir, spec); err != nil {
		t.Fatal(err)
	}
	return dir
}

// copied is a real library that a test may change.
func copied(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name+".photoslibrary")
	if err := os.CopyFS(dir, os.DirFS(library(t, name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// change runs statements on the database of a library of the test's own.
func change(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db := database(t, dir)
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func database(t *testing.T, dir string) *sql.DB {
	t.Helper()
	name := filepath.Join(dir, "database", "Photos.sqlite")
	if _, err := os.Stat(name); err != nil {
		name = filepath.Join(dir, "database", "photos.db")
	}
	db, err := sqlite.Open(name, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func only(t *testing.T, found map[photos.AssetID]photos.Asset) photos.Asset {
	t.Helper()
	if len(found) != 1 {
		t.Fatalf("%d assets, want 1", len(found))
	}
	for _, a := range found {
		return a
	}
	panic("unreachable")
}

func TestConformance(t *testing.T) {
	photostest.Run(t, photostest.Fixture{
		Make:  func(t *testing.T) string { return build(t, photostest.Mix(25, 1)) },
		Open:  func(t *testing.T, path string) photos.Source { return open(t, path) },
		File:  func(path string, r photos.Resource) string { return filepath.Join(path, filepath.FromSlash(r.Path)) },
		Keeps: true,
	})
}

func TestBuiltLibraryHasWhatItsSpecSays(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Seed: 7, Assets: []photostest.AssetSpec{{
		Name: "Beach.HEIC", Title: "Sea", Description: "Sand", Live: true, Edited: true, RAW: true, Size: 100_000, Favorite: true, Trashed: true, Hidden: true,
		Albums: []string{"Travel/2020/Italy", "Best"}, Keywords: []string{"sun", "blue"}, Persons: []string{"Suzy"},
	}}})
	a := only(t, scan(t, open(t, dir)))
	m := a.Metadata
	want := photos.Metadata{
		UUID: m.UUID, OriginalFilename: "Beach.HEIC", Kind: photos.Photo, Date: "2020-01-06T12:41:00.25+02:00", TZOffset: m.TZOffset, TZName: "Europe/Berlin",
		Added: "2020-01-06T11:41:00.25Z", Modified: "2020-01-06T12:41:00.25Z", Trashed: true, Hidden: true, Favorite: true, Title: "Sea", Description: "Sand", Keywords: []string{"blue", "sun"},
		Albums: []string{"Best", "Travel/2020/Italy"}, AlbumItems: m.AlbumItems, Persons: []string{"Suzy"},
		Faces: []photos.Face{{Name: "Suzy", X: 0.5, Y: 0.25, W: 0.25, H: 0.25}}, Types: []string{"live", "raw"}, Width: 8, Height: 8,
		Edited: true, EditFormat: "com.apple.photo",
		Camera: &photos.Camera{Make: "Apple", Model: "iPhone 15", Lens: "iPhone 15 back camera 5.96mm f/1.6", ISO: 50, Aperture: 1.6, Exposure: 0.004, FocalLength: 5.96},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	var names []string
	for _, r := range a.Resources {
		if !r.Present() || r.Warning != "" {
			t.Errorf("%s is %q %q, want present", r.Role, r.Reason, r.Warning)
		}
		names = append(names, string(r.Role)+" "+r.Name)
	}
	wantNames := []string{"original Beach.HEIC", "raw Beach.CR2", "live Beach.MOV", "edited Beach_edited.JPEG", "edited_live Beach_edited.MOV", "adjustment Beach_edited.PLIST"}
	if diff := cmp.Diff(wantNames, names); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

func TestFingerprintsOfABuiltLibraryAreThoseOfItsFiles(t *testing.T) {
	l := open(t, build(t, photostest.Mix(20, 3)))
	n := 0
	for _, a := range scan(t, l) {
		for _, r := range a.Resources {
			if r.Fingerprint == "" {
				continue
			}
			rd, err := l.Open(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			f := photos.NewFingerprint()
			if _, err := io.Copy(f, rd); err != nil || f.String() != r.Fingerprint {
				t.Errorf("%s %s has fingerprint %s (%v), want %s", a.ID, r.Role, f, err, r.Fingerprint)
			}
			rd.Close()
			n++
		}
	}
	if n < 20 {
		t.Errorf("%d fingerprints, want one of each original at least", n)
	}
}

func TestEveryAbsenceHasItsReason(t *testing.T) {
	for role, reasons := range map[photos.Role][]photos.Reason{
		photos.RoleOriginal:   {photos.Lost, photos.ICloudOnly, photos.IncompleteImport, photos.Unavailable, photos.ReferencedOutside, photos.SharedNotDownloaded},
		photos.RoleRAW:        {photos.Lost, photos.ICloudOnly, photos.Unavailable},
		photos.RoleLive:       {photos.Lost, photos.ICloudOnly, photos.Unavailable},
		photos.RoleEdited:     {photos.Lost, photos.ICloudOnly, photos.RenderNeverMade, photos.Unavailable},
		photos.RoleEditedLive: {photos.Lost, photos.ICloudOnly, photos.Unavailable},
	} {
		for _, reason := range reasons {
			spec := photostest.AssetSpec{Absent: map[photos.Role]photos.Reason{role: reason}}
			spec.RAW = role == photos.RoleRAW
			spec.Live = role == photos.RoleLive || role == photos.RoleEditedLive
			spec.Edited = role == photos.RoleEdited || role == photos.RoleEditedLive
			a := only(t, scan(t, open(t, build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{spec}}))))
			for _, r := range a.Resources {
				want := photos.Reason("")
				if r.Role == role {
					want = reason
				}
				if r.Reason != want {
					t.Errorf("%s absent as %s: %s is %q, want %q", role, reason, r.Role, r.Reason, want)
				}
			}
		}
	}
}

func TestEvictionChangesNoMediaToken(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{}}})
	l := open(t, dir)
	before := only(t, scan(t, l))
	if err := photostest.Evict(dir, before.ID); err != nil {
		t.Fatal(err)
	}
	away := only(t, scan(t, l))
	if away.MediaToken != before.MediaToken || away.Resources[0].Reason != photos.ICloudOnly {
		t.Errorf("after an eviction the original is %q, media token changed: %t", away.Resources[0].Reason, away.MediaToken != before.MediaToken)
	}
	if err := photostest.PutBack(dir, before.ID); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, only(t, scan(t, l))); diff != "" {
		t.Errorf("after the download (-before +after):\n%s", diff)
	}
}

func TestScanSeesWhatChangedSinceTheLastOne(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Albums: []string{"A/B"}}}})
	l := open(t, dir)
	first := only(t, scan(t, l))
	if err := photostest.RenameAlbum(dir, "A/B", "C/D"); err != nil {
		t.Fatal(err)
	}
	if err := photostest.Touch(dir, first.ID); err != nil {
		t.Fatal(err)
	}
	added, err := photostest.AddAsset(dir, 0, photostest.AssetSpec{Video: true})
	if err != nil {
		t.Fatal(err)
	}
	now := scan(t, l)
	if got := now[first.ID].Metadata.Albums; !slices.Equal(got, []string{"A/C/D"}) {
		t.Errorf("albums = %q, want the new title, slash included", got)
	}
	if now[first.ID].Resources[0].Token() == first.Resources[0].Token() {
		t.Error("a touched file keeps its token")
	}
	if now[added].Metadata.Kind != photos.Video {
		t.Errorf("added asset = %+v", now[added])
	}
}

func TestPreviewStandsInForAnAbsentOriginal(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.ICloudOnly}}}})
	l := open(t, dir)
	id := only(t, scan(t, l)).ID
	name := filepath.Join(dir, "resources/derivatives/masters", string(id[:1]), string(id)+"_4_5005_c.jpeg")
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte("small"), 0o644)); err != nil {
		t.Fatal(err)
	}
	a := only(t, scan(t, l))
	if len(a.Resources) != 2 || a.Resources[0].Reason != photos.ICloudOnly || a.Resources[1].Role != photos.RolePreview || a.Resources[1].Size != 5 {
		t.Errorf("resources = %+v, want an absent original and its preview", a.Resources)
	}
	readAll(t, l, a)
}

func TestReferencedFileIsReadWhereItCanBeReached(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Name: "Away.jpg", Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.ReferencedOutside}}}})
	l := open(t, dir)
	if r := only(t, scan(t, l)).Resources[0]; r.Path != "referenced/Elsewhere/Pictures/Away.jpg" || r.Reason != photos.ReferencedOutside {
		t.Errorf("got %+v", r)
	}
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "Away.jpg"), make([]byte, 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	change(t, dir, "UPDATE ZASSET SET ZDIRECTORY = '"+outside+"'")
	a := only(t, scan(t, l))
	if r := a.Resources[0]; !r.Present() || r.Size != 1000 || !strings.HasPrefix(r.Path, "referenced/root/") {
		t.Errorf("got %+v", r)
	}
	readAll(t, l, a)
}

func TestNothingOutsideOfTheBundleIsRead(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{}}})
	l := open(t, dir)
	r := only(t, scan(t, l)).Resources[0]
	secret := filepath.Join(t.TempDir(), "secret")
	file := filepath.Join(dir, r.Path)
	if err := errors.Join(os.WriteFile(secret, []byte("secret"), 0o600), os.Remove(file), os.Symlink(secret, file)); err != nil {
		t.Fatal(err)
	}
	if rd, err := l.Open(t.Context(), r); err == nil {
		rd.Close()
		t.Error("a link out of the bundle is followed")
	}
	if a := only(t, scan(t, l)); a.Resources[0].Reason != photos.Lost {
		t.Errorf("a link out of the bundle is %+v", a.Resources[0])
	}
	if w := l.Warnings(); len(w) != 1 || !strings.Contains(w[0], "not followed") {
		t.Errorf("warnings = %q", w)
	}
	for _, path := range []string{"../" + filepath.Base(secret), "/etc/hosts", "originals"} {
		if rd, err := l.Open(t.Context(), photos.Resource{Path: path}); err == nil {
			rd.Close()
			t.Errorf("Open(%q) succeeds", path)
		}
	}
}

func TestUnknownKindsAreKeptWithAWarning(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{}, {}}})
	change(t, dir, "UPDATE ZASSET SET ZKIND = 7, ZKINDSUBTYPE = 55 WHERE Z_PK = 1",
		"INSERT INTO ZINTERNALRESOURCE (ZASSET, ZRESOURCETYPE, ZDATASTORECLASSID, ZVERSION, ZRECIPEID, ZLOCALAVAILABILITY, ZDATALENGTH) VALUES (2, 42, 0, 0, 0, 1, 10)")
	l := open(t, dir)
	var kinds []string
	for _, a := range scan(t, l) {
		kinds = append(kinds, string(a.Metadata.Kind))
		for _, r := range a.Resources {
			kinds = append(kinds, string(r.Role)+string(r.Reason))
		}
	}
	slices.Sort(kinds)
	if diff := cmp.Diff([]string{"original", "original", "other", "otherlost", "photo"}, kinds); diff != "" {
		t.Errorf("kinds and resources (-want +got):\n%s", diff)
	}
	if w := l.Warnings(); len(w) != 3 {
		t.Errorf("warnings = %q, want three", w)
	}
}

func TestAnUnknownModelIsReadAsFarAsItCanBe(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Count: 3, Albums: []string{"A"}, Keywords: []string{"k"}, Persons: []string{"p"}}}})
	change(t, dir, "ALTER TABLE Z_30ASSETS RENAME TO Z_NEWASSETS", "DROP TABLE ZKEYWORD", "ALTER TABLE ZDETECTEDFACE RENAME COLUMN ZASSETFORFACE TO ZNEW",
		"ALTER TABLE ZASSET DROP COLUMN ZFAVORITE", "DROP TABLE ZASSETDESCRIPTION", "DROP TABLE ZUNMANAGEDADJUSTMENT", "DROP TABLE ZFILESYSTEMVOLUME")
	l := open(t, dir)
	for _, a := range scan(t, l) {
		if len(a.Resources) != 1 || !a.Resources[0].Present() {
			t.Errorf("resources = %+v", a.Resources)
		}
	}
	if w := strings.Join(l.Warnings(), "\n"); !strings.Contains(w, "albums") || !strings.Contains(w, "persons") || !strings.Contains(w, "model 18508") {
		t.Errorf("warnings = %q", w)
	}
}

func TestDamagedTextSurvives(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{}}})
	change(t, dir, "UPDATE ZADDITIONALASSETATTRIBUTES SET ZORIGINALFILENAME = CAST(x'61FF2E6A7067' AS TEXT), ZTITLE = x'FE', ZTIMEZONEOFFSET = 'noon'",
		"UPDATE ZASSET SET ZDATECREATED = 9e999, ZADDEDDATE = 1e300, ZWIDTH = 'wide', ZLATITUDE = 91")
	orphan := filepath.Join(dir, "originals", "A", "bad\xff.jpeg")
	if err := errors.Join(os.MkdirAll(filepath.Dir(orphan), 0o755), os.WriteFile(orphan, nil, 0o644)); err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	l := open(t, dir)
	for _, a := range scan(t, l) {
		if a.Orphan {
			readAll(t, l, a)
			continue
		}
		if m := a.Metadata; string(m.NameRaw) != "a\xff.jpg" || string(a.Resources[0].NameRaw) != "a\xff.jpg" || m.Date != "" || m.Place != nil || a.Added != 0 {
			t.Errorf("got %+v", a)
		}
	}
}

func TestUnreadableLibrariesAreRefusedInOneLine(t *testing.T) {
	for name, tt := range map[string]struct {
		library func(t *testing.T) string
		want    string
	}{
		"missing":          {func(t *testing.T) string { return filepath.Join(t.TempDir(), "x") }, "no such library"},
		"a file":           {func(t *testing.T) string { return write(t, filepath.Join(t.TempDir(), "x"), "x") }, "not a folder"},
		"an empty folder":  {func(t *testing.T) string { return t.TempDir() }, "no database folder"},
		"no tables":        {func(t *testing.T) string { return library(t, "Test-Lock-10_12") }, "has no tables"},
		"iPhoto":           {iPhoto, "iPhoto or Aperture"},
		"missing database": {broken(os.Remove), "database is missing"},
		"empty database":   {broken(func(p string) error { return os.Truncate(p, 0) }), "no tables"},
		"cut database":     {broken(func(p string) error { return os.Truncate(p, 50_000) }), "database is damaged"},
		"noise": {broken(func(p string) error {
			return os.WriteFile(p, []byte(strings.Repeat("noise", 10_000)), 0o644)
		}), "database is damaged"},
		"a folder for a database": {broken(func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) }), "is not a file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tt.library(t)
			l, err := applelibrary.Open(t.Context(), dir, applelibrary.Options{TempDir: t.TempDir()})
			if err == nil {
				l.Close()
			}
			se, ok := errors.AsType[*photos.SourceError](err)
			if !ok || !strings.Contains(se.Why, tt.want) || se.Do == "" || strings.ContainsAny(se.Error(), "\n") {
				t.Errorf("Open = %v, want a source error that says %q and what to do", err, tt.want)
			}
		})
	}
}

func broken(breakIt func(database string) error) func(t *testing.T) string {
	return func(t *testing.T) string {
		dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Count: 50}}})
		if err := breakIt(filepath.Join(dir, "database", "Photos.sqlite")); err != nil {
			t.Fatal(err)
		}
		return dir
	}
}

func iPhoto(t *testing.T) string {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "Database"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "AlbumData.xml"), "")
	return dir
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnEmptyLibraryIsFine(t *testing.T) {
	l := open(t, build(t, photostest.LibrarySpec{}))
	if n := len(scan(t, l)); n != 0 {
		t.Errorf("%d assets, want 0", n)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	temp := t.TempDir()
	l, err := applelibrary.Open(t.Context(), build(t, photostest.Mix(10, 1)), applelibrary.Options{TempDir: temp})
	if err != nil {
		t.Fatal(err)
	}
	scan(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := fs.ReadDir(os.DirFS(temp), "."); err != nil || len(left) != 0 {
		t.Errorf("%v is left (%v)", left, err)
	}
}
