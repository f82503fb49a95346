package applelibrary_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lightfast/photos"
	"lightfast/photos/photostest"
)

// TestFacesOfARealLibraryAreWhereTheyAreShown holds what is in the rows, from
// the bottom left, against what comes out.
func TestFacesOfARealLibraryAreWhereTheyAreShown(t *testing.T) {
	found := scan(t, open(t, library(t, "Test-15.4.1")))
	for _, tt := range []struct {
		name string // of the picture
		want []photos.Face
	}{
		{"Pumpkins3.jpg", []photos.Face{ // 1365 by 2048
			{Name: "Suzy", X: 0.349105, Y: 0.384590, W: 0.095902, H: 0.063919},
			{X: 0.526539, Y: 0.279120, W: 0.099186, H: 0.066108},
			{Name: "Katie", X: 0.627485, Y: 0.507074, W: 0.083769, H: 0.055832},
		}},
		{"Pumkins1.jpg", []photos.Face{ // 2048 by 1365
			{Name: "Suzy", X: 0.317091, Y: 0.336882, W: 0.066193, H: 0.099314},
			{Name: "Katie", X: 0.715980, Y: 0.422327, W: 0.060216, H: 0.090346},
		}},
		{"Pumkins2.jpg", []photos.Face{{Name: "Katie", X: 0.590748, Y: 0.282129, W: 0.223279, H: 0.148816}}},
		{"wedding.jpg", []photos.Face{{Name: "Maria", X: 0.411510, Y: 0.423024, W: 0.332425, H: 0.382853}}}, // 1526 by 1325
	} {
		var got []photos.Face
		for _, a := range found {
			if a.Metadata.OriginalFilename == tt.name && !a.Metadata.Trashed {
				got = a.Metadata.Faces
			}
		}
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateApprox(0, 1e-5)); diff != "" {
			t.Errorf("faces of %s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestCamerasOfARealLibraryAreRead(t *testing.T) {
	want := photos.Camera{Make: "Canon", Model: "Canon EOS 5D Mark IV", Lens: "EF24-105mm f/4L IS USM", ISO: 100, Aperture: 6.3, Exposure: 0.00625, FocalLength: 45}
	for _, a := range scan(t, open(t, library(t, "Test-15.4.1"))) {
		if a.Metadata.OriginalFilename == "Pumkins2.jpg" {
			if diff := cmp.Diff(&want, a.Metadata.Camera); diff != "" {
				t.Errorf("camera (-want +got):\n%s", diff)
			}
			return
		}
	}
	t.Error("the picture is not there")
}

func TestFilmsHaveADuration(t *testing.T) {
	var got []float64
	for _, a := range scan(t, open(t, library(t, "Test-Cloud-10.15.6"))) {
		if d := a.Metadata.Duration; d != 0 {
			got = append(got, d)
			if a.Metadata.Kind != photos.Video {
				t.Errorf("%s is a %s of %g s", a.ID, a.Metadata.Kind, d)
			}
		}
	}
	slices.Sort(got)
	want := []float64{0.23333333333333334, 0.333, 0.833, 2.8633333333333333, 3.537, 5.3467573696145125, 12.6, 12.6}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("durations (-want +got):\n%s", diff)
	}
}

func TestAlbumsAreToldApartAndKeepTheirOrder(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Count: 3, Albums: []string{"A/Trip", "B/Trip"}}}})
	change(t, dir, "UPDATE ZGENERICALBUM SET ZUUID = 'U' || Z_PK", "UPDATE Z_30ASSETS SET Z_FOK_3ASSETS = -Z_FOK_3ASSETS WHERE Z_30ALBUMS = (SELECT min(Z_PK) FROM ZGENERICALBUM WHERE ZTITLE = 'Trip')")
	orders := map[string][]int64{}
	for _, a := range scan(t, open(t, dir)) {
		m := a.Metadata
		if len(m.AlbumItems) != 2 || m.AlbumItems[0].UUID >= m.AlbumItems[1].UUID {
			t.Fatalf("album items = %+v", m.AlbumItems)
		}
		var paths []string
		for _, item := range m.AlbumItems {
			paths = append(paths, item.Path)
			orders[item.Path] = append(orders[item.Path], item.Order)
		}
		slices.Sort(paths)
		if diff := cmp.Diff(m.Albums, paths); diff != "" {
			t.Errorf("albums and their items differ:\n%s", diff)
		}
	}
	for _, list := range orders {
		slices.Sort(list)
	}
	if diff := cmp.Diff(map[string][]int64{"A/Trip": {-3072, -2048, -1024}, "B/Trip": {1024, 2048, 3072}}, orders); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
}

// TestEveryTypeHasItsName goes through the columns that say what kind of
// picture or film an asset is.
func TestEveryTypeHasItsName(t *testing.T) {
	for set, want := range map[string][]string{
		"ZKINDSUBTYPE = 1":                              {"panorama"},
		"ZKINDSUBTYPE = 2":                              {"live"},
		"ZKINDSUBTYPE = 10":                             {"screenshot"},
		"ZKINDSUBTYPE = 100, ZKIND = 1":                 nil,
		"ZKINDSUBTYPE = 101, ZKIND = 1":                 {"slow_motion"},
		"ZKINDSUBTYPE = 102, ZKIND = 1":                 {"time_lapse"},
		"ZKINDSUBTYPE = 103, ZKIND = 1":                 {"screen_recording"},
		"ZHDRTYPE = 3":                                  {"hdr"},
		"ZHDRTYPE = 4":                                  nil,
		"ZHDRTYPE = 5, ZKIND = 1":                       nil,
		"ZHDRTYPE = 6":                                  {"panorama"},
		"ZDEPTHTYPE = 1":                                {"portrait"},
		"ZAVALANCHEUUID = 'B', ZAVALANCHEPICKTYPE = 2":  {"burst"},
		"ZAVALANCHEUUID = 'B', ZAVALANCHEPICKTYPE = 52": {"burst"},
	} {
		dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{}}})
		change(t, dir, "UPDATE ZASSET SET "+set)
		if got := only(t, scan(t, open(t, dir))).Metadata.Types; !slices.Equal(got, want) {
			t.Errorf("types of an asset with %s = %q, want %q", set, got, want)
		}
	}
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{}}})
	change(t, dir, "UPDATE ZADDITIONALASSETATTRIBUTES SET ZCAMERACAPTUREDEVICE = 1")
	if got := only(t, scan(t, open(t, dir))).Metadata.Types; !slices.Equal(got, []string{"selfie"}) {
		t.Errorf("types of a selfie = %q", got)
	}
}

func TestOrientationIsThatOfTheOriginal(t *testing.T) {
	for stored, want := range map[int]int{0: 0, 1: 1, 6: 6, 8: 8, 9: 0, -1: 0} {
		dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{}}})
		change(t, dir, fmt.Sprint("UPDATE ZADDITIONALASSETATTRIBUTES SET ZORIGINALORIENTATION = ", stored))
		if got := only(t, scan(t, open(t, dir))).Metadata.Orientation; got != want {
			t.Errorf("orientation of %d = %d, want %d", stored, got, want)
		}
	}
}

// TestOddNumbersAreLeftOut: JSON has no infinities, and a face is in its
// picture.
func TestOddNumbersAreLeftOut(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Persons: []string{"Suzy"}}}})
	for _, set := range []string{"ZCENTERX = 9e999", "ZCENTERY = -7", "ZSIZE = -1", "ZSIZE = 'big'", "ZSIZE = NULL", "ZSIZE = 9e999", "ZCENTERX = x'FF00'"} {
		change(t, dir, "UPDATE ZDETECTEDFACE SET ZCENTERX = 0.5, ZCENTERY = 0.5, ZSIZE = 0.1", "UPDATE ZDETECTEDFACE SET "+set,
			"UPDATE ZASSET SET ZDURATION = -1", "UPDATE ZEXTENDEDATTRIBUTES SET ZAPERTURE = 9e999, ZSHUTTERSPEED = 'fast', ZFOCALLENGTH = -4, ZISO = -1")
		m := only(t, scan(t, open(t, dir))).Metadata
		for _, f := range m.Faces {
			if !(f.X >= 0 && f.X <= 1 && f.Y >= 0 && f.Y <= 1 && f.W > 0 && f.H > 0) || math.IsInf(f.W, 0) {
				t.Errorf("%s: face %+v", set, f)
			}
		}
		if !slices.Equal(m.Persons, []string{"Suzy"}) {
			t.Errorf("%s: persons = %q", set, m.Persons)
		}
		if m.Duration != 0 || m.Camera.Aperture != 0 || m.Camera.Exposure != 0 || m.Camera.FocalLength != 0 || m.Camera.ISO != 0 {
			t.Errorf("%s: %g s, camera %+v", set, m.Duration, m.Camera)
		}
	}
}
