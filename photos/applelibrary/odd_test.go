package applelibrary_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightfast/photos"
	"lightfast/photos/applelibrary"
	"lightfast/photos/photostest"
)

// TestOddDatabasesLoseNoMedia: whatever else a database lacks or mixes up,
// the files of its assets are found, each asset once.
func TestOddDatabasesLoseNoMedia(t *testing.T) {
	for name, statements := range map[string][]string{
		"no numbers of entities":    {"DROP TABLE Z_PRIMARYKEY"},
		"other numbers of entities": {"UPDATE Z_PRIMARYKEY SET Z_ENT = Z_ENT + 100"},
		"no joins":                  {"DROP TABLE Z_30ASSETS", "DROP TABLE Z_1KEYWORDS", "DROP TABLE ZDETECTEDFACE", "DROP TABLE ZGENERICALBUM", "DROP TABLE ZKEYWORD"},
		"no attributes":             {"DROP TABLE ZADDITIONALASSETATTRIBUTES"},
		"attributes of nobody":      {"ALTER TABLE ZADDITIONALASSETATTRIBUTES RENAME COLUMN ZASSET TO ZSOMETHING"},
		"no camera":                 {"DROP TABLE ZEXTENDEDATTRIBUTES"},
		"no resources":              {"DROP TABLE ZINTERNALRESOURCE"},
		"no bookmarks":              {"DROP TABLE ZFILESYSTEMBOOKMARK", "ALTER TABLE ZINTERNALRESOURCE DROP COLUMN ZFILESYSTEMVOLUME"},
		"attributes twice":          {"INSERT INTO ZADDITIONALASSETATTRIBUTES (ZASSET, ZTITLE) SELECT ZASSET, 'again' FROM ZADDITIONALASSETATTRIBUTES"},
		"camera three times":        {"INSERT INTO ZEXTENDEDATTRIBUTES (ZASSET) SELECT ZASSET FROM ZEXTENDEDATTRIBUTES", "INSERT INTO ZEXTENDEDATTRIBUTES (ZASSET) SELECT DISTINCT ZASSET FROM ZEXTENDEDATTRIBUTES"},
		"text for numbers": {
			"UPDATE ZASSET SET ZKIND = 'film', ZHIDDEN = 'no', ZWIDTH = 'wide', ZDATECREATED = 'today', ZLATITUDE = 'north', ZADJUSTMENTSSTATE = 'x', ZCOMPLETE = 'y', ZSAVEDASSETTYPE = ''",
			"UPDATE ZINTERNALRESOURCE SET ZDATALENGTH = 'long', ZRECIPEID = 'r' WHERE ZRECIPEID = 0", "UPDATE ZGENERICALBUM SET ZPARENTFOLDER = 'up'",
		},
		"blobs for text": {"UPDATE ZADDITIONALASSETATTRIBUTES SET ZTITLE = x'FF00FE', ZTIMEZONENAME = x'C0', ZORIGINALSTABLEHASH = x'FE'", "UPDATE ZKEYWORD SET ZTITLE = x'FF'",
			"UPDATE ZINTERNALRESOURCE SET ZFINGERPRINT = x'FF', ZCOMPACTUTI = x'FF2EFF'", "UPDATE ZASSET SET ZUNIFORMTYPEIDENTIFIER = x'FF'"},
		"huge numbers":      {"UPDATE ZASSET SET ZWIDTH = 9e18, ZKINDSUBTYPE = 9223372036854775807, ZADDEDDATE = 1e308", "UPDATE ZINTERNALRESOURCE SET ZDATALENGTH = 9223372036854775807, ZVERSION = -9223372036854775808 WHERE ZRESOURCETYPE = 5"},
		"negative numbers":  {"UPDATE ZASSET SET ZHEIGHT = -1, ZKINDSUBTYPE = -5, ZDURATION = -1", "UPDATE ZINTERNALRESOURCE SET ZDATALENGTH = -1, ZREMOTEAVAILABILITY = -1"},
		"fractions as keys": {"INSERT INTO ZINTERNALRESOURCE (ZASSET, ZRESOURCETYPE, ZRECIPEID) VALUES (1.5, 0, 0), ('one', 0, 0), (x'01', 0, 0), (NULL, 0, 0)"},
		"a folder in itself": {
			"UPDATE ZGENERICALBUM SET ZPARENTFOLDER = Z_PK WHERE ZKIND = 4000",
		},
		"everything NULL": {"UPDATE ZADDITIONALASSETATTRIBUTES SET ZORIGINALFILENAME = NULL, ZORIGINALFILESIZE = NULL, ZTIMEZONEOFFSET = NULL", "UPDATE ZPERSON SET ZFULLNAME = NULL",
			"UPDATE ZGENERICALBUM SET ZTITLE = NULL, ZUUID = NULL", "UPDATE ZDETECTEDFACE SET ZPERSONFORFACE = NULL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Count: 3, Albums: []string{"A/B"}, Keywords: []string{"k"}, Persons: []string{"p"}}}})
			change(t, dir, statements...)
			found := scan(t, open(t, dir))
			if len(found) != 3 {
				t.Errorf("%d assets, want 3", len(found))
			}
			for _, a := range found {
				if a.Orphan || !a.Resources[0].Present() || a.Resources[0].Role != photos.RoleOriginal {
					t.Errorf("got %+v", a)
				}
			}
		})
	}
}

func TestJoinsAreFoundWithoutTheirNumbers(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Albums: []string{"A/B"}, Keywords: []string{"k"}, Persons: []string{"p"}}}})
	change(t, dir, "DROP TABLE Z_PRIMARYKEY")
	l := open(t, dir)
	m := only(t, scan(t, l)).Metadata
	if len(m.Albums) != 1 || len(m.Keywords) != 1 || len(m.Persons) != 1 || m.AlbumItems[0].Order != 1024 {
		t.Errorf("got %+v", m)
	}
	if w := l.Warnings(); len(w) != 0 {
		t.Errorf("warnings = %q", w)
	}
}

// TestRepeatedUUIDsAreDifferentAssets: both rows are told, the file is not
// lost, and an id comes once.
func TestRepeatedUUIDsAreDifferentAssets(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Count: 2}}})
	change(t, dir, "DROP INDEX Z_Asset_uuid", "UPDATE ZASSET SET (ZUUID, ZFILENAME, ZDIRECTORY) = (SELECT ZUUID, ZFILENAME, ZDIRECTORY FROM ZASSET WHERE Z_PK = 1)")
	assets, orphans := 0, 0
	for _, a := range scan(t, open(t, dir)) {
		if a.Orphan {
			orphans++
		} else {
			assets++
		}
	}
	if assets != 2 || orphans != 1 { // the file of the second row, which no row explains any more
		t.Errorf("%d assets and %d orphans, want 2 and 1", assets, orphans)
	}
}

// FuzzNames: a database may hold any bytes where names and paths belong. They
// never lead out of the bundle, and never end a scan.
func FuzzNames(f *testing.F) {
	for _, s := range []string{
		"..", "../../secret", "/etc", "a\x00b", "\xff\xfe", strings.Repeat("long/", 800), strings.Repeat("x", 4096), ".", "", "referenced/root/etc", "con\n", "🧨/..",
	} {
		f.Add(s, s, s)
		f.Add(s, "A.jpeg", "00000000-0000-4000-8000-000000000000")
	}
	dir := filepath.Join(f.TempDir(), "Built.photoslibrary")
	if err := photostest.BuildLibrary(dir, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Live: true, Edited: true, Albums: []string{"A"}}}}); err != nil {
		f.Fatal(err)
	}
	secret := filepath.Join(filepath.Dir(dir), "secret.jpeg")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, folder, name, uuid string) {
		if strings.HasPrefix(folder, "/") {
			t.Skip("a referenced file: it lies outside by design")
		}
		copied := filepath.Join(t.TempDir(), "Copy.photoslibrary")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		db := database(t, copied)
		_, err := db.ExecContext(t.Context(), "UPDATE ZASSET SET ZDIRECTORY = CAST(? AS TEXT), ZFILENAME = CAST(? AS TEXT), ZUUID = CAST(? AS TEXT)", []byte(folder), []byte(name), []byte(uuid))
		if err == nil {
			_, err = db.ExecContext(t.Context(), "UPDATE ZADDITIONALASSETATTRIBUTES SET ZORIGINALFILENAME = CAST(? AS TEXT), ZTITLE = CAST(? AS TEXT)", []byte(name), []byte(uuid))
		}
		if err == nil {
			_, err = db.ExecContext(t.Context(), "UPDATE ZGENERICALBUM SET ZTITLE = CAST(? AS TEXT)", []byte(name))
		}
		db.Close()
		if err != nil {
			t.Fatal(err)
		}
		l, err := applelibrary.Open(t.Context(), copied, applelibrary.Options{TempDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		present := 0
		for _, a := range scan(t, l) {
			for _, r := range a.Resources {
				if !r.Present() {
					continue
				}
				present++
				rd, err := l.Open(t.Context(), r)
				if err != nil {
					t.Errorf("%+v: %v", r, err)
					continue
				}
				if rd.Size() == int64(len("secret")) {
					t.Errorf("%+v is outside of the bundle", r)
				}
				rd.Close()
			}
		}
		if present != 5 { // each as part of the asset, or as an orphan
			t.Errorf("%d files are accounted for, want 5", present)
		}
	})
}
