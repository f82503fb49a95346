package applelibrary_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lightfast/photos"
	"lightfast/photos/photostest"
)

// buildLegacy builds a library as Photos 4 would.
func buildLegacy(t *testing.T, assets ...photostest.AssetSpec) string {
	t.Helper()
	return build(t, photostest.LibrarySpec{Photos4: true, Assets: assets})
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// roles are the resources of a in words: role, name and what is the matter.
func roles(a photos.Asset) (list []string) {
	for _, r := range a.Resources {
		list = append(list, strings.TrimSpace(fmt.Sprint(r.Role, " ", r.Name, " ", r.Reason, r.Warning)))
	}
	return list
}

func TestLegacyConformance(t *testing.T) {
	photostest.Run(t, photostest.Fixture{
		Make: func(t *testing.T) string {
			spec := photostest.Mix(25, 1)
			spec.Photos4 = true
			return build(t, spec)
		},
		Open:  func(t *testing.T, path string) photos.Source { return open(t, path) },
		File:  func(path string, r photos.Resource) string { return filepath.Join(path, filepath.FromSlash(r.Path)) },
		Keeps: true,
	})
}

func TestLegacyLibraryHasWhatItsSpecSays(t *testing.T) {
	dir := buildLegacy(t, photostest.AssetSpec{
		Name: "Beach.HEIC", Title: "Sea", Description: "Sand", Live: true, Edited: true, RAW: true, Size: 100_000, Favorite: true, Trashed: true, Hidden: true,
		Albums: []string{"Travel/2020/Italy", "Best"}, Keywords: []string{"sun", "blue"}, Persons: []string{"Suzy"},
	})
	change(t, dir, "UPDATE RKVersion SET latitude = 51.5, longitude = -0.13, burstUuid = 'b', burstPickType = 24, selfPortrait = 1, naturalDuration = 2.5",
		`INSERT INTO RKPlace (modelId, type, defaultName, area, countryCode) VALUES (1, 1, 'United Kingdom', 4e11, 'GB'), (2, 2, 'England', 2e11, NULL),
			(3, 4, 'London', 2e9, NULL), (4, 16, 'Westminster', 2e7, NULL), (5, 45, 'St James''s Park', 0, NULL), (6, 43, 'Whitehall', 1e6, NULL)`,
		"INSERT INTO RKPlaceForVersion (versionId, placeId) SELECT 1, modelId FROM RKPlace",
		"INSERT INTO RKVersion_stringAtomNote VALUES (671, 804, 1), (676, 805, 1), (669, 806, 1)",
		"INSERT INTO RKVersion_integerNote VALUES (664, 25, 1)", "INSERT INTO RKVersion_decimalNote VALUES (619, 2.2, 1), (648, 4.15, 1), (693, 0.0013, 1)")
	l := open(t, dir)
	a := only(t, scan(t, l))
	m := a.Metadata
	want := photos.Metadata{
		UUID: m.UUID, OriginalFilename: "Beach.HEIC", Kind: photos.Photo, Date: "2020-01-06T12:41:00.25+02:00", TZOffset: m.TZOffset, TZName: "Europe/Berlin",
		Added: "2020-01-06T11:41:00.25Z", Modified: "2020-01-06T12:41:00.25Z", Trashed: true, Hidden: true, Favorite: true, Title: "Sea", Description: "Sand",
		Burst: &photos.Burst{UUID: "b", Key: true, Selected: true}, Keywords: []string{"blue", "sun"}, Albums: []string{"Best", "Travel/2020/Italy"},
		AlbumItems: m.AlbumItems, Persons: []string{"Suzy"}, Faces: []photos.Face{{Name: "Suzy", X: 0.25, Y: 0.75, W: 0.125, H: 0.125}},
		Place: &photos.Place{Latitude: 51.5, Longitude: -0.13, Name: "St James's Park", District: "Whitehall", City: "Westminster", County: "London",
			State: "England", Country: "United Kingdom", CountryCode: "GB"},
		Types: []string{"burst", "live", "raw", "selfie"}, Width: 8, Height: 8, Orientation: 1, Edited: true, EditFormat: "com.apple.photo", EditData: m.EditData, Duration: 2.5,
		Camera: &photos.Camera{Make: "Apple", Model: "iPhone 6s", Lens: "iPhone 6s back camera 4.15mm f/2.2", ISO: 25, Aperture: 2.2, Exposure: 0.0013, FocalLength: 4.15},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if !bytes.Contains(m.EditData, []byte("adjustmentFormatIdentifier")) {
		t.Errorf("recipe of the edit = %q", m.EditData)
	}
	if len(m.AlbumItems) != 2 || m.AlbumItems[0].Order != 1024 || len(m.AlbumItems[0].UUID) != 22 {
		t.Errorf("album items = %+v", m.AlbumItems)
	}
	wantRoles := []string{"original Beach.HEIC", "raw Beach.CR2", "live Beach.MOV", "edited Beach_edited.JPEG", "edited_live Beach_edited.MOV"}
	if diff := cmp.Diff(wantRoles, roles(a)); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	readAll(t, l, a)
}

func TestLegacyAbsencesHaveTheirReason(t *testing.T) {
	for role, reasons := range map[photos.Role][]photos.Reason{
		photos.RoleOriginal:   {photos.Lost, photos.ICloudOnly, photos.IncompleteImport, photos.Unavailable, photos.ReferencedOutside},
		photos.RoleRAW:        {photos.Lost, photos.ICloudOnly, photos.Unavailable, photos.ReferencedOutside},
		photos.RoleLive:       {photos.Lost, photos.ICloudOnly, photos.Unavailable},
		photos.RoleEdited:     {photos.Lost, photos.ICloudOnly, photos.RenderNeverMade, photos.Unavailable},
		photos.RoleEditedLive: {photos.Lost, photos.ICloudOnly, photos.Unavailable},
	} {
		for _, reason := range reasons {
			spec := photostest.AssetSpec{Absent: map[photos.Role]photos.Reason{role: reason}}
			spec.RAW = role == photos.RoleRAW
			spec.Live = role == photos.RoleLive || role == photos.RoleEditedLive
			spec.Edited = role == photos.RoleEdited || role == photos.RoleEditedLive
			a := only(t, scan(t, open(t, buildLegacy(t, spec))))
			if !slices.ContainsFunc(a.Resources, func(r photos.Resource) bool { return r.Role == role }) {
				t.Errorf("%s absent as %s is not mentioned", role, reason)
			}
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

func TestLegacyScanSeesWhatChangedSinceTheLastOne(t *testing.T) {
	dir := buildLegacy(t, photostest.AssetSpec{Albums: []string{"A/B"}})
	l := open(t, dir)
	first := only(t, scan(t, l))
	added, err := photostest.AddAsset(dir, 0, photostest.AssetSpec{Video: true, Edited: true})
	if err := errors.Join(err, photostest.RenameAlbum(dir, "A/B", "C/D"), photostest.Evict(dir, first.ID)); err != nil {
		t.Fatal(err)
	}
	now := scan(t, l)
	away := now[first.ID]
	if got := away.Metadata.Albums; !slices.Equal(got, []string{"A/C/D"}) {
		t.Errorf("albums = %q, want the new title, slash included", got)
	}
	if away.MediaToken != first.MediaToken || away.Resources[0].Reason != photos.ICloudOnly {
		t.Errorf("after an eviction: %q, media token changed: %t", roles(away), away.MediaToken != first.MediaToken)
	}
	if got := roles(now[added]); now[added].Metadata.Kind != photos.Video || !slices.Equal(got, []string{"original IMG_0002.MOV", "edited IMG_0002_edited.MOV"}) {
		t.Errorf("added asset = %+v", now[added])
	}
	if err := photostest.PutBack(dir, first.ID); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Resources, scan(t, l)[first.ID].Resources); diff != "" {
		t.Errorf("after the download (-before +after):\n%s", diff)
	}
}

// Both are made of many letters: a Mac finds a file whatever the case and the
// form of its name, and whatever the folder of a numbered file.
func TestLegacyFilesAreFoundWhereTheyLie(t *testing.T) {
	dir := buildLegacy(t, photostest.AssetSpec{Name: "Gru\u0308n.jpg", Edited: true})
	change(t, dir, "UPDATE RKMaster SET imagePath = '2020/01/07/20200107-000001/GR\u00dcN.JPG'", "UPDATE RKModelResource SET modelId = 105236")
	render := filepath.Join(dir, "resources", "media", "version")
	if err := errors.Join(os.MkdirAll(filepath.Join(render, "19", "00"), 0o755),
		os.Rename(filepath.Join(render, "00", "00", "fullsizeoutput_5.jpeg"), filepath.Join(render, "19", "00", "fullsizeoutput_19b14.jpeg"))); err != nil {
		t.Fatal(err)
	}
	a := only(t, scan(t, open(t, dir)))
	if got, want := roles(a), []string{"original Gru\u0308n.jpg", "edited Gru\u0308n_edited.jpeg"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLegacyFilesThatAreNoOriginal(t *testing.T) {
	dir := buildLegacy(t, photostest.AssetSpec{Edited: true}, photostest.AssetSpec{Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.Lost}})
	folder := "Masters/2020/01/06/20200106-000001/"
	writeFile(t, dir, folder+"IMG_0001.AAE", "recipe")
	writeFile(t, dir, folder+"left.jpg", "orphan")
	twins := 0
	if _, err := os.Stat(filepath.Join(dir, folder, "img_0001.JPG")); err != nil { // on a disk that tells cases apart
		writeFile(t, dir, folder+"img_0001.JPG", "another")
		twins = 1
	}
	writeFile(t, dir, "Attachments/2020/note.xmp", "attached")
	writeFile(t, dir, "resources/media/version/00/00/fullsizeoutput_63.jpeg", "earlier")
	writeFile(t, dir, "resources/media/version/00/00/fullsizeinput_64.jpeg", "input")
	writeFile(t, dir, "resources/media/master/00/00/fullsizeoutput_65.jpeg", "of the first")
	writeFile(t, dir, "resources/media/master/00/00/fullsizeoutput_66.jpeg", "of the second, largest")
	writeFile(t, dir, "resources/proxies/derivatives/00/00/2/mini_2.jpg", "smaller")
	writeFile(t, dir, "resources/media/face/00/00/facetile_1.jpeg", "face")
	change(t, dir, "INSERT INTO RKAttachment (attachedToUuid, filePath) SELECT uuid, '2020/note.xmp' FROM RKMaster WHERE modelId = 2",
		`INSERT INTO RKModelResource (modelId, UTI, isOnDisk, attachedModelId, attachedModelType, resourceType, resourceTag) VALUES
			(99, 'public.jpeg', 1, 1, 2, 4, 'earlier'), (100, 'public.jpeg', 1, 1, 2, 3, 'earlier'), (101, 'public.jpeg', 1, 2, 1, 4, 'UNADJUSTEDRAW'), (102, 'public.jpeg', 1, 4, 1, 4, 'UNADJUSTEDRAW')`)
	l := open(t, dir)
	var got [][]string
	for _, a := range scan(t, l) {
		readAll(t, l, a)
		got = append(got, roles(a))
	}
	slices.SortFunc(got, slices.Compare)
	want := [][]string{
		{"original IMG_0001.JPG", "edited IMG_0001_edited.JPEG", "previous IMG_0001_previous.JPEG", "sidecar IMG_0001.XMP", "sidecar IMG_0001.AAE"},
		{"original IMG_0002.JPG lost", "preview IMG_0002_preview.JPEG"},
		{"other img_0001.JPG"},
		{"other left.jpg"},
	}
	want = slices.Delete(want, 2, 3-twins)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

// Photos 4 duplicates a picture without its file.
func TestLegacyVersionsMayShareAnOriginal(t *testing.T) {
	dir := buildLegacy(t, photostest.AssetSpec{Count: 600})
	change(t, dir, "UPDATE RKVersion SET masterUuid = (SELECT masterUuid FROM RKVersion WHERE modelId = 1), nonRawMasterUuid = NULL WHERE modelId = 600")
	n, orphans := 0, 0
	for _, a := range scan(t, open(t, dir)) {
		switch {
		case a.Orphan:
			orphans++
		case a.Resources[0].Present():
			n++
		}
	}
	if n != 600 || orphans != 1 {
		t.Errorf("%d assets are present with %d orphans, want 600, and the original of the last", n, orphans)
	}
}

func TestLegacyRAWPairHasThePictureAsOriginal(t *testing.T) {
	dir := buildLegacy(t, photostest.AssetSpec{RAW: true})
	change(t, dir, "UPDATE RKVersion SET masterUuid = rawMasterUuid, subType = 16, adjustmentUuid = 'UNADJUSTEDRAW'")
	a := only(t, scan(t, open(t, dir)))
	if got, want := roles(a), []string{"original IMG_0001.JPG", "raw IMG_0001.CR2"}; !slices.Equal(got, want) || a.Metadata.OriginalFilename != "IMG_0001.JPG" {
		t.Errorf("got %q of %s, want %q", got, a.Metadata.OriginalFilename, want)
	}
}

func TestLegacyReferenceIsReadWhereItCanBeReached(t *testing.T) {
	dir := buildLegacy(t, photostest.AssetSpec{Name: "Away.jpg", Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.ReferencedOutside}})
	l := open(t, dir)
	a := only(t, scan(t, l))
	if r := a.Resources[0]; r.Path != "referenced/Elsewhere/Pictures/Away.jpg" || r.Reason != photos.ReferencedOutside || !slices.Contains(a.Metadata.Types, "referenced") {
		t.Errorf("got %+v", a)
	}
	outside := t.TempDir()
	writeFile(t, outside, "Away.jpg", "here")
	change(t, dir, "UPDATE RKMaster SET imagePath = '"+strings.TrimPrefix(outside, "/")+"/Away.jpg', fileSize = 4")
	a = only(t, scan(t, l))
	if got, want := roles(a), []string{"original Away.jpg"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	readAll(t, l, a)
}

// Photos 2 lacks some columns, and a version that is not known may lack more.
func TestLegacyLibraryIsReadAsFarAsItCanBe(t *testing.T) {
	spec := photostest.AssetSpec{Count: 3, Albums: []string{"A"}, Keywords: []string{"k"}, Persons: []string{"p"}, Edited: true}
	for name, tt := range map[string]struct {
		change   []string
		warnings int
	}{
		"Photos 2": {[]string{"ALTER TABLE RKVersion DROP COLUMN selfPortrait", "ALTER TABLE RKVersion DROP COLUMN renderEffect", "ALTER TABLE RKMaster DROP COLUMN originalFileSize"}, 0},
		"no tables beside": {[]string{"DROP TABLE RKAlbum", "DROP TABLE RKFolder", "DROP TABLE RKKeyword", "DROP TABLE RKPerson", "DROP TABLE RKPlace", "DROP TABLE RKImportGroup", "DROP TABLE RKVolume",
			"DROP TABLE RKAdjustmentData", "DROP TABLE RKModelResource", "DROP TABLE RKCloudResource", "DROP TABLE RKAttachment", "DROP TABLE RKCustomSortOrder", "DROP TABLE LiStringAtom",
			"DROP TABLE RKVersion_stringNote", "UPDATE LiGlobals SET keyPath = 'libraryBuildTag' WHERE modelId = 5", "DROP TABLE RKAdminData"}, 4},
		"nothing but files": {[]string{"CREATE TABLE v AS SELECT modelId, uuid, masterUuid FROM RKVersion", "DROP TABLE RKVersion", "ALTER TABLE v RENAME TO RKVersion",
			"CREATE TABLE m AS SELECT uuid, imagePath FROM RKMaster", "DROP TABLE RKMaster", "ALTER TABLE m RENAME TO RKMaster"}, 1},
		"NULL": {[]string{`UPDATE RKVersion SET name = NULL, createDate = NULL, isFavorite = NULL, isInTrash = NULL, type = 2, adjustmentUuid = NULL, lastModifiedDate = NULL, imageDate = NULL,
			imageTimeZoneOffsetSeconds = NULL, nonRawMasterUuid = NULL, hasAdjustments = NULL, specialType = NULL, burstPickType = NULL, processedWidth = NULL, fileName = NULL`,
			"UPDATE RKMaster SET fingerprint = NULL, UTI = NULL, fileSize = NULL, originalFileSize = NULL, originalFileName = NULL, importComplete = NULL, isMissing = NULL, fileIsReference = NULL",
			"UPDATE RKFace SET personId = NULL", "UPDATE RKModelResource SET UTI = NULL, resourceTag = NULL", "UPDATE RKAlbum SET folderUuid = NULL", "UPDATE RKFolder SET parentFolderUuid = 'LibraryFolder'"}, 0},
		"odd": {[]string{"UPDATE RKVersion SET imageDate = 'noon', latitude = 'north', longitude = x'00', specialType = -1, type = 'film', processedWidth = 1e300", "UPDATE RKMaster SET fileSize = -5, UTI = x'FF'",
			"UPDATE RKVersion SET uuid = 'same'", "UPDATE RKFolder SET parentFolderUuid = uuid", "INSERT INTO RKAdjustmentData (uuid) SELECT adjustmentUuid FROM RKVersion"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := buildLegacy(t, spec)
			change(t, dir, tt.change...)
			l := open(t, dir)
			n := 0
			for _, a := range scan(t, l) {
				if a.Orphan {
					continue
				}
				n++
				if r := a.Resources[0]; !r.Present() || r.Role != photos.RoleOriginal || r.Name == "" {
					t.Errorf("%s: %+v", a.ID, r)
				}
			}
			if w := l.Warnings(); n != 3 || len(w) != tt.warnings {
				t.Errorf("%d assets with warnings %q, want 3 with %d", n, w, tt.warnings)
			}
		})
	}
}

// An edit that is only in iCloud is a hole; one that Photos never drew is not.
func TestLegacyEditThatIsOnlyInTheCloud(t *testing.T) {
	dir := buildLegacy(t, photostest.AssetSpec{Edited: true, Absent: map[photos.Role]photos.Reason{photos.RoleEdited: photos.RenderNeverMade}})
	change(t, dir, "INSERT INTO RKCloudResource (adjustmentUuid, isFullSizeOutput, available) SELECT adjustmentUuid, 1, 1 FROM RKVersion")
	if got, want := roles(only(t, scan(t, open(t, dir)))), []string{"original IMG_0001.JPG", "edited IMG_0001_edited icloud_only"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A version whose master is gone is still what somebody sees in Photos.
func TestLegacyVersionWithoutAMasterIsKept(t *testing.T) {
	dir := buildLegacy(t, photostest.AssetSpec{Edited: true})
	l := open(t, dir)
	id := only(t, scan(t, l)).ID
	change(t, dir, "DELETE FROM RKMaster")
	if got, want := roles(scan(t, l)[id]), []string{"original IMG_0001.JPG unavailable", "edited IMG_0001_edited.JPEG"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	change(t, dir, "UPDATE RKVersion SET fileName = NULL")
	if got, want := roles(scan(t, l)[id]), []string{"original " + string(id) + " unavailable", "edited " + string(id) + "_edited.jpeg"}; !slices.Equal(got, want) {
		t.Errorf("without a name: got %q, want %q", got, want)
	}
}

func TestLegacyRowsOnlyInTheWALCount(t *testing.T) {
	dir := buildLegacy(t, photostest.AssetSpec{})
	db := database(t, dir)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "PRAGMA wal_autocheckpoint = 0"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO RKVersion (uuid, masterUuid) SELECT 'in the WAL', masterUuid FROM RKVersion"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "database", "photos.db-wal")); err != nil || info.Size() == 0 {
		t.Fatal("nothing is in the WAL", err)
	}
	if n := len(scan(t, open(t, dir))); n != 2 {
		t.Errorf("%d assets, want 2", n)
	}
	if n := len(scan(t, open(t, buildLegacy(t)))); n != 0 {
		t.Errorf("an empty library has %d assets", n)
	}
}
