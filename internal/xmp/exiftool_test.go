package xmp_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lightfast/internal/xmp"
)

// exiftool returns what a reader that is not ours finds in a sidecar, and
// fails if it finds a fault.
func exiftool(t *testing.T, doc []byte) map[string]any {
	t.Helper()
	tool, err := exec.LookPath("exiftool")
	if err != nil {
		t.Skip("there is no exiftool (Debian: libimage-exiftool-perl)")
	}
	name := filepath.Join(t.TempDir(), "IMG_0042.HEIC.xmp")
	if err := os.WriteFile(name, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), tool, "-json", "-struct", "-n", "-G1", "-validate", "-XMP:all", "-Validate", "-Warning", "-Error", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []map[string]any
	if err := json.Unmarshal(out, &found); err != nil || len(found) != 1 {
		t.Fatalf("%v in %s", err, out)
	}
	if fault := found[0]["ExifTool:Validate"]; fault != "0 0 0" {
		t.Errorf("exiftool finds faults: %v, %v", fault, found[0]["ExifTool:Warning"])
	}
	maps.DeleteFunc(found[0], func(tag string, _ any) bool { return !strings.HasPrefix(tag, "XMP-") })
	return found[0]
}

func TestExiftoolReadsWhatWasSaid(t *testing.T) {
	face := func(name string, x, y, w, h float64) map[string]any {
		r := map[string]any{"Type": "Face", "Area": map[string]any{"X": x, "Y": y, "W": w, "H": h, "Unit": "normalized"}}
		if name != "" {
			r["Name"] = name
		}
		return r
	}
	want := map[string]any{
		"XMP-x:XMPToolkit":                  "Lightfast",
		"XMP-dc:Title":                      awkward,
		"XMP-dc:Description":                "Eine Bemerkung: größer & <schöner>\nals zuvor",
		"XMP-dc:Subject":                    []any{"Berge & Täler", "Nature|Animal|Pet", "<kw>"},
		"XMP-lr:HierarchicalSubject":        []any{"Berge & Täler", "Nature|Animal|Pet", "<kw>", "Albums|Trips|Iceland", "Albums|Best_of"},
		"XMP-iptcExt:PersonInImage":         []any{"Ann \"A\" <Smith>", "Jörg"},
		"XMP-xmp:Rating":                    5.0,
		"XMP-xmp:CreateDate":                "2024:05:17 23:30:00.25-09:30",
		"XMP-exif:DateTimeOriginal":         "2024:05:17 23:30:00.25-09:30",
		"XMP-photoshop:DateCreated":         "2024:05:17 23:30:00.25-09:30",
		"XMP-xmp:ModifyDate":                "2026:01:02 03:04:05Z",
		"XMP-exif:GPSLatitude":              -33.856784,
		"XMP-exif:GPSLongitude":             -151.215297,
		"XMP-iptcCore:Location":             "Opera & House",
		"XMP-photoshop:City":                "Sydney",
		"XMP-photoshop:State":               "New South Wales",
		"XMP-photoshop:Country":             "Australia",
		"XMP-iptcCore:CountryCode":          "AU",
		"XMP-tiff:Make":                     "Apple",
		"XMP-tiff:Model":                    "iPhone 15 Pro",
		"XMP-aux:Lens":                      "back camera 6.765mm f/1.78",
		"XMP-exif:ISO":                      []any{64.0},
		"XMP-exif:FNumber":                  1.78,
		"XMP-exif:ExposureTime":             0.008,
		"XMP-exif:FocalLength":              6.765,
		"XMP-xmpMM:OriginalDocumentID":      "uuid:0A1B2C3D-0000-4000-8000-00000000002A",
		"XMP-xmpMM:PreservedFileName":       "IMG_0042.HEIC",
		"XMP-photoshop:SidecarForExtension": "HEIC",
		"XMP-mwg-rs:RegionInfo": map[string]any{
			"AppliedToDimensions": map[string]any{"W": 4032.0, "H": 3024.0, "Unit": "pixel"},
			"RegionList":          []any{face("Ann \"A\" <Smith>", 0.25, 0.5, 0.1, 0.2), face("", 0.5, 0.125, 0.05, 0.0625), face("Jörg", 0.75, 0.25, 0.125, 0.25)},
		},
	}
	got := exiftool(t, xmp.Sidecar(whole(), xmp.File{Name: "IMG_0042.HEIC"}))
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("exiftool (-want +got):\n%s", diff)
	}
}

func TestExiftoolReadsEveryCoordinate(t *testing.T) {
	for _, at := range [][2]float64{{0, 0}, {90, 180}, {-90, -180}, {-0.000001, 0.000001}, {59.99999999999, -179.99999999999}, {64.1466, -21.9426}} {
		m := whole()
		m.Place.Latitude, m.Place.Longitude = at[0], at[1]
		got := exiftool(t, xmp.Sidecar(m, xmp.File{}))
		if diff := cmp.Diff(at[:], []float64{got["XMP-exif:GPSLatitude"].(float64), got["XMP-exif:GPSLongitude"].(float64)}, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", at, diff)
		}
	}
}
