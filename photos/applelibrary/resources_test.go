package applelibrary_test

import (
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

// put writes a file of the bundle, of as many bytes as its name has.
func put(t *testing.T, dir, name string) {
	t.Helper()
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, p, name)
}

// told is what a scan tells of the resources of all assets, without the UUID.
func told(t *testing.T, l photos.Source, uuid photos.AssetID) []string {
	t.Helper()
	var list []string
	for _, a := range scan(t, l) {
		for _, r := range a.Resources {
			role := string(r.Role)
			if a.Orphan {
				role = "orphan"
			}
			what := r.Path
			if !r.Present() {
				what = string(r.Reason)
			}
			list = append(list, role+" "+strings.ReplaceAll(what, string(uuid), "U"))
		}
		readAll(t, l, a)
	}
	slices.Sort(list)
	return list
}

// TestFilesHaveTheirRoles puts files where Photos has them, or where it has
// none, and says what they have to become. U is the asset's UUID, X its first
// letter.
func TestFilesHaveTheirRoles(t *testing.T) {
	const share = "UPDATE ZASSET SET ZDIRECTORY = '170/9F9A', ZCLOUDBATCHPUBLISHDATE = 1, ZSAVEDASSETTYPE = 4"
	gone := map[photos.Role]photos.Reason{photos.RoleOriginal: photos.SharedNotDownloaded}
	for name, tt := range map[string]struct {
		spec photostest.AssetSpec
		sql  []string
		put  []string
		want []string
	}{
		"shared photo, Photos 5": {
			photostest.AssetSpec{Absent: gone}, []string{share, "UPDATE ZASSET SET ZFILENAME = ZUUID || '.JPG'"}, []string{"resources/cloudsharing/data/170/9F9A/U.JPG"},
			[]string{"original resources/cloudsharing/data/170/9F9A/U.JPG"},
		},
		"shared film, Photos 8": {
			photostest.AssetSpec{Video: true, Absent: gone}, []string{share, "UPDATE ZASSET SET ZFILENAME = ZUUID || '.MP4'"},
			[]string{"scopes/cloudsharing/data/170/9F9A/U.medium.MP4", "scopes/cloudsharing/data/170/9F9A/U.poster.JPG"},
			[]string{"original scopes/cloudsharing/data/170/9F9A/U.medium.MP4", "poster scopes/cloudsharing/data/170/9F9A/U.poster.JPG"},
		},
		"shared film, only its poster": {
			photostest.AssetSpec{Video: true, Absent: gone}, []string{share, "UPDATE ZASSET SET ZFILENAME = ZUUID || '.MP4'"},
			[]string{"scopes/cloudsharing/data/170/9F9A/U.poster.JPG"},
			[]string{"original shared_not_downloaded", "poster scopes/cloudsharing/data/170/9F9A/U.poster.JPG"},
		},
		"shared Live Photo": {
			photostest.AssetSpec{Absent: gone}, []string{share, "UPDATE ZASSET SET ZFILENAME = ZUUID || '.JPG', ZKINDSUBTYPE = 2"},
			[]string{"scopes/cloudsharing/data/170/9F9A/U.JPG", "scopes/cloudsharing/data/170/9F9A/U.MOV"},
			[]string{"live scopes/cloudsharing/data/170/9F9A/U.MOV", "original scopes/cloudsharing/data/170/9F9A/U.JPG"},
		},
		"shared and edited": { // it was published as its render
			photostest.AssetSpec{Absent: gone}, []string{share, "UPDATE ZASSET SET ZADJUSTMENTSSTATE = 1"}, nil,
			[]string{"original shared_not_downloaded"},
		},
		"preview of a shared photo": {
			photostest.AssetSpec{Absent: gone}, []string{share}, []string{"scopes/cloudsharing/resources/derivatives/masters/X/U_4_5005_c.jpeg"},
			[]string{"original shared_not_downloaded", "preview scopes/cloudsharing/resources/derivatives/masters/X/U_4_5005_c.jpeg"},
		},
		"the largest preview": { // whatever the rows say of it
			photostest.AssetSpec{Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.ICloudOnly}},
			[]string{"INSERT INTO ZINTERNALRESOURCE (ZASSET, ZRESOURCETYPE, ZVERSION, ZRECIPEID, ZDATASTORECLASSID, ZLOCALAVAILABILITY) VALUES (1, 0, 3, 65747, 0, -1)"},
			[]string{"resources/derivatives/masters/X/U_4_5005_c.jpeg", "resources/derivatives/X/U_1_105_c.jpeg"},
			[]string{"original icloud_only", "preview resources/derivatives/masters/X/U_4_5005_c.jpeg"}, // put makes the longer name the longer file
		},
		"no preview beside an original": {
			photostest.AssetSpec{}, nil, []string{"resources/derivatives/masters/X/U_4_5005_c.jpeg"},
			[]string{"original originals/X/U.jpeg"},
		},
		"syndicated": {
			photostest.AssetSpec{}, []string{"UPDATE ZASSET SET ZBUNDLESCOPE = 3", "DELETE FROM ZINTERNALRESOURCE"}, []string{"scopes/syndication/originals/X/U.jpeg"},
			[]string{"original scopes/syndication/originals/X/U.jpeg", "orphan originals/X/U.jpeg"},
		},
		"shared moment": {
			photostest.AssetSpec{Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.Lost}}, nil, []string{"scopes/momentshared/originals/X/U.jpeg"},
			[]string{"original scopes/momentshared/originals/X/U.jpeg"},
		},
		"sidecars, whatever the case of their names": {
			photostest.AssetSpec{}, nil, []string{"originals/X/U_5.AAE", "originals/X/U_5.xmp"},
			[]string{"original originals/X/U.jpeg", "sidecar originals/X/U_5.AAE", "sidecar originals/X/U_5.xmp"},
		},
		"lost sidecar": {
			photostest.AssetSpec{}, []string{"INSERT INTO ZINTERNALRESOURCE (ZASSET, ZRESOURCETYPE, ZVERSION, ZRECIPEID, ZDATASTORECLASSID, ZDATASTORESUBTYPE, ZLOCALAVAILABILITY) VALUES (1, 5, 0, 0, 0, 22, 1)"}, nil,
			[]string{"original originals/X/U.jpeg", "sidecar lost"},
		},
		"RAW of any kind, without a row": {
			photostest.AssetSpec{}, nil, []string{"originals/X/U_4.NEF"},
			[]string{"original originals/X/U.jpeg", "raw originals/X/U_4.NEF"},
		},
		"edited film with its still": {
			photostest.AssetSpec{Video: true, Edited: true}, nil, []string{"resources/renders/X/U_1_201_a.jpeg"},
			[]string{"adjustment resources/renders/X/U.plist", "edited resources/renders/X/U_2_0_a.mov", "original originals/X/U.mov", "poster resources/renders/X/U_1_201_a.jpeg"},
		},
		"slow motion": { // is played from the original
			photostest.AssetSpec{Video: true}, []string{"UPDATE ZASSET SET ZADJUSTMENTSSTATE = 3, ZKINDSUBTYPE = 101"}, []string{"resources/renders/X/U.plist"},
			[]string{"adjustment resources/renders/X/U.plist", "edited render_never_made", "original originals/X/U.mov"},
		},
		"previous render": {
			photostest.AssetSpec{Edited: true}, nil, []string{"resources/renders/X/U_p.jpeg"},
			[]string{"adjustment resources/renders/X/U.plist", "edited resources/renders/X/U_1_201_a.jpeg", "original originals/X/U.jpeg", "previous resources/renders/X/U_p.jpeg"},
		},
		"render of an edit that was undone": {
			photostest.AssetSpec{}, nil, []string{"resources/renders/X/U_1_201_a.jpeg", "resources/renders/X/U.plist"},
			[]string{"original originals/X/U.jpeg", "orphan resources/renders/X/U.plist", "orphan resources/renders/X/U_1_201_a.jpeg"},
		},
		"HEIC render": {
			photostest.AssetSpec{Edited: true, Absent: map[photos.Role]photos.Reason{photos.RoleEdited: photos.Lost}}, nil, []string{"resources/renders/X/U_1_201_a.heic"},
			[]string{"adjustment resources/renders/X/U.plist", "edited resources/renders/X/U_1_201_a.heic", "original originals/X/U.jpeg"},
		},
		"cloud form of a film": {
			photostest.AssetSpec{Video: true}, []string{"INSERT INTO ZINTERNALRESOURCE (ZASSET, ZRESOURCETYPE, ZVERSION, ZRECIPEID, ZDATASTORECLASSID, ZLOCALAVAILABILITY, ZREMOTEAVAILABILITY) VALUES (1, 13, 0, 0, 0, -1, 1)"}, nil,
			[]string{"original originals/X/U.mov"},
		},
		"orphans wherever media lie": {
			photostest.AssetSpec{}, nil,
			[]string{
				"originals/X/U_9.jpeg", "originals/0/stray.jpeg", "resources/renders/0/stray.plist", "scopes/cloudsharing/data/1/2/stray.JPG", "resources/cloudsharing/data/1/2/stray.JPG",
				"scopes/syndication/originals/0/stray.heic", "scopes/momentshared/originals/0/stray.heic", "Masters/2019/stray.jpg", "originals/.DS_Store",
			},
			[]string{
				"original originals/X/U.jpeg", "orphan Masters/2019/stray.jpg", "orphan originals/0/stray.jpeg", "orphan originals/X/U_9.jpeg", "orphan resources/cloudsharing/data/1/2/stray.JPG",
				"orphan resources/renders/0/stray.plist", "orphan scopes/cloudsharing/data/1/2/stray.JPG", "orphan scopes/momentshared/originals/0/stray.heic", "orphan scopes/syndication/originals/0/stray.heic",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{tt.spec}})
			change(t, dir, tt.sql...)
			l := open(t, dir)
			var uuid photos.AssetID
			for _, a := range scan(t, l) {
				if !a.Orphan {
					uuid = a.ID
				}
			}
			real := strings.NewReplacer("/X/", "/"+string(uuid[:1])+"/", "U.", string(uuid)+".", "U_", string(uuid)+"_")
			for _, name := range tt.put {
				put(t, dir, real.Replace(name))
			}
			want := slices.Clone(tt.want)
			for i := range want {
				want[i] = strings.ReplaceAll(want[i], "/X/", "/"+string(uuid[:1])+"/")
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, told(t, l, uuid)); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPartsOfAReferencedPictureAreLookedForWhereTheyAre: RAW and film have a
// bookmark each.
func TestPartsOfAReferencedPictureAreLookedForWhereTheyAre(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{
		Name: "Away.jpg", RAW: true, Live: true,
		Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.ReferencedOutside, photos.RoleRAW: photos.Lost, photos.RoleLive: photos.Lost},
	}}})
	outside := t.TempDir()
	raw := write(t, filepath.Join(outside, "Away.nef"), "raw")
	change(t, dir, "INSERT INTO ZFILESYSTEMVOLUME (Z_PK, ZNAME) VALUES (1, 'Elsewhere')",
		fmt.Sprintf("INSERT INTO ZFILESYSTEMBOOKMARK (Z_PK, ZPATHRELATIVETOVOLUME) VALUES (1, '%s'), (2, 'Pictures/Away.mov')", raw),
		"UPDATE ZINTERNALRESOURCE SET ZFILESYSTEMVOLUME = 1, ZFILESYSTEMBOOKMARK = 1, ZDATALENGTH = 3 WHERE ZRESOURCETYPE = 4",
		"UPDATE ZINTERNALRESOURCE SET ZFILESYSTEMVOLUME = 1, ZFILESYSTEMBOOKMARK = 2 WHERE ZRESOURCETYPE = 3")
	l := open(t, dir)
	a := only(t, scan(t, l))
	var got []string
	for _, r := range a.Resources {
		got = append(got, fmt.Sprintf("%s %s %s", r.Role, r.Reason, r.Path))
	}
	want := []string{
		"original referenced_outside referenced/Elsewhere/Pictures/Away.jpg",
		"raw  referenced/Elsewhere" + filepath.ToSlash(raw),
		"live referenced_outside referenced/Elsewhere/Pictures/Away.mov",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	readAll(t, l, a)
}

func TestEmptyFilesAreTakenWithAWarning(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Edited: true}}})
	l := open(t, dir)
	for _, r := range only(t, scan(t, l)).Resources {
		if err := os.Truncate(filepath.Join(dir, r.Path), 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range only(t, scan(t, l)).Resources {
		want := photos.SizeMismatch
		if r.Role == photos.RoleAdjustment { // of which the database knows no size
			want = ""
		}
		if !r.Present() || r.Size != 0 || r.Warning != want {
			t.Errorf("got %+v, want an empty file with warning %q", r, want)
		}
	}
}

// TestExpectedFingerprintsBelongToTheirResources: the rows' own first, then
// those of the asset.
func TestExpectedFingerprintsBelongToTheirResources(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Live: true, Edited: true, RAW: true}, {Video: true, Edited: true}}})
	before := map[string]string{}
	l := open(t, dir)
	for _, a := range scan(t, l) {
		for _, r := range a.Resources {
			before[r.Path] = r.Fingerprint
		}
	}
	change(t, dir, "UPDATE ZINTERNALRESOURCE SET ZFINGERPRINT = NULL")
	for _, a := range scan(t, l) {
		for _, r := range a.Resources {
			want := ""
			if r.Role == photos.RoleOriginal || r.Role == photos.RoleEdited && a.Metadata.Kind == photos.Photo {
				want = before[r.Path]
			}
			if r.Fingerprint != want {
				t.Errorf("%s of a %s: fingerprint %q, want %q", r.Role, a.Metadata.Kind, r.Fingerprint, want)
			}
			if r.Role != photos.RoleAdjustment && before[r.Path] == "" {
				t.Errorf("%s had no fingerprint to begin with", r.Path)
			}
		}
	}
}
