package xmp_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lightfast/internal/xmp"
	"lightfast/photos"
)

var update = flag.Bool("update", false, "rewrite golden files")

const awkward = "Grüße aus Þingvellir 📷\n\"two\" <lines> & 'quotes' ]]> \t–"

// whole has all that a sidecar can say.
func whole() photos.Metadata {
	return photos.Metadata{
		UUID: "0A1B2C3D-0000-4000-8000-00000000002A", OriginalFilename: "IMG_0042.HEIC", Kind: photos.Photo,
		Date: "2024-05-17T23:30:00.25-09:30", Modified: "2026-01-02T03:04:05Z", Favorite: true,
		Title: awkward, Description: "Eine Bemerkung: größer & <schöner>\nals zuvor",
		Keywords: []string{"Berge & Täler", "Nature|Animal|Pet", "<kw>"},
		Albums:   []string{"Trips/Iceland", "Best|of"},
		Persons:  []string{"Ann \"A\" <Smith>", "Jörg"},
		Faces: []photos.Face{
			{Name: "Ann \"A\" <Smith>", X: 0.25, Y: 0.5, W: 0.1, H: 0.2},
			{X: 0.5, Y: 0.125, W: 0.05, H: 0.0625},
			{Name: "Jörg", X: 0.75, Y: 0.25, W: 0.125, H: 0.25},
		},
		Width: 4032, Height: 3024,
		Place: &photos.Place{Latitude: -33.856784, Longitude: -151.215297, Name: "Opera & House", Street: "Macquarie St", City: "Sydney",
			State: "New South Wales", Country: "Australia", CountryCode: "AU"},
		Camera: &photos.Camera{Make: "Apple", Model: "iPhone 15 Pro", Lens: "back camera 6.765mm f/1.78", ISO: 64, Aperture: 1.7799999713897705,
			Exposure: 0.008, FocalLength: 6.764999866},
	}
}

func TestGolden(t *testing.T) {
	for name, tt := range map[string]struct {
		m photos.Metadata
		f xmp.File
	}{
		"whole":  {whole(), xmp.File{Name: "IMG_0042.HEIC"}},
		"turned": {whole(), xmp.File{Name: "IMG_0042.HEIC", Orientation: 6}},
		"little": {photos.Metadata{UUID: "U", Date: "2024-05-17T00:00:00Z"}, xmp.File{Name: "no extension"}},
		"broken": {photos.Metadata{Title: "\x00\xff\x1b[1m\ufffe\r\n", Keywords: []string{"", "\xc3"}, Albums: []string{"</x>/a"}, Date: "yesterday",
			Place: &photos.Place{Latitude: 1e300, City: "x"}, Faces: []photos.Face{{X: 2, Y: 0.5, W: 0.1, H: 0.1}, {X: 0.5, Y: 0.5}},
			Camera: &photos.Camera{ISO: -1, Aperture: -1, Exposure: 1e300, FocalLength: 1e-300}}, xmp.File{Name: "\xff.<jpg>"}},
	} {
		file := filepath.Join("testdata", name+".golden")
		got := xmp.Sidecar(tt.m, tt.f)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if !bytes.Equal(got, xmp.Sidecar(tt.m, tt.f)) {
			t.Errorf("%s: a second time it is another", name)
		}
		if err := wellFormed(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingToSayIsNoSidecar(t *testing.T) {
	m := photos.Metadata{OriginalFilename: "a.jpg", Kind: photos.Photo, Modified: "2026-01-02T03:04:05Z"} // as a folder has it
	if got := xmp.Sidecar(m, xmp.File{Name: "a.jpg"}); got != nil {
		t.Errorf("Sidecar = %s, want none", got)
	}
}

// TestRegionsAreOfTheStoredPixels: a face in the top left corner, wider than
// high, as the picture is shown, is where a viewer finds it after it has
// turned the pixels by their orientation (TIFF 6.0, tag 274).
func TestRegionsAreOfTheStoredPixels(t *testing.T) {
	m := photos.Metadata{Width: 300, Height: 400, Faces: []photos.Face{{X: 0.1, Y: 0.2, W: 0.04, H: 0.03}}}
	upright, lying := `stDim:w="300" stDim:h="400"`, `stDim:w="400" stDim:h="300"`
	for orientation, want := range map[int][2]string{
		0: {upright, `stArea:x="0.100000" stArea:y="0.200000" stArea:w="0.040000" stArea:h="0.030000"`},
		1: {upright, `stArea:x="0.100000" stArea:y="0.200000" stArea:w="0.040000" stArea:h="0.030000"`},
		2: {upright, `stArea:x="0.900000" stArea:y="0.200000" stArea:w="0.040000" stArea:h="0.030000"`},
		3: {upright, `stArea:x="0.900000" stArea:y="0.800000" stArea:w="0.040000" stArea:h="0.030000"`},
		4: {upright, `stArea:x="0.100000" stArea:y="0.800000" stArea:w="0.040000" stArea:h="0.030000"`},
		5: {lying, `stArea:x="0.200000" stArea:y="0.100000" stArea:w="0.030000" stArea:h="0.040000"`},
		6: {lying, `stArea:x="0.200000" stArea:y="0.900000" stArea:w="0.030000" stArea:h="0.040000"`},
		7: {lying, `stArea:x="0.800000" stArea:y="0.900000" stArea:w="0.030000" stArea:h="0.040000"`},
		8: {lying, `stArea:x="0.800000" stArea:y="0.100000" stArea:w="0.030000" stArea:h="0.040000"`},
	} {
		got := string(xmp.Sidecar(m, xmp.File{Orientation: orientation}))
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("orientation %d: no %s in\n%s", orientation, w, got)
			}
		}
	}
}

func wellFormed(doc []byte) error {
	for d := xml.NewDecoder(bytes.NewReader(doc)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// FuzzSidecar: whatever a page holds becomes XML that says it.
func FuzzSidecar(f *testing.F) {
	f.Add(awkward, "a|b", "Trips/Iceland", "2024-05-17T23:30:00-09:30", "IMG.HEIC", -33.9, 151.2, 0.25, 6)
	f.Add("\xff\x00", "]]>", "//", "x", "\x00.\xff", 90.0, -180.0, 1e-9, 0)
	f.Fuzz(func(t *testing.T, title, keyword, album, date, name string, latitude, longitude, number float64, orientation int) {
		m := photos.Metadata{UUID: keyword, OriginalFilename: name, Title: title, Description: album, Keywords: []string{keyword, title}, Albums: []string{album},
			Persons: []string{name}, Date: date, Modified: date, Width: orientation, Height: 1,
			Faces:  []photos.Face{{Name: title, X: number, Y: 1 - number, W: number, H: number}},
			Place:  &photos.Place{Latitude: latitude, Longitude: longitude, Street: name, City: title, State: keyword, Country: album, CountryCode: date},
			Camera: &photos.Camera{Make: title, Model: keyword, Lens: album, ISO: orientation, Aperture: number, Exposure: number, FocalLength: number}}
		doc := xmp.Sidecar(m, xmp.File{Name: name, Orientation: orientation})
		if doc == nil {
			return
		}
		if err := wellFormed(doc); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		var back struct {
			Title []string `xml:"RDF>Description>title>Alt>li"`
			Flat  []string `xml:"RDF>Description>subject>Bag>li"`
		}
		if err := xml.Unmarshal(doc, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([][]string{texts(title), texts(keyword, title)}, [][]string{back.Title, back.Flat}); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
	})
}

// texts are what an XML document can hold of some strings (XML 1.0, section
// 2.2), the empty left out.
func texts(all ...string) (held []string) {
	for _, s := range all {
		if s != "" {
			held = append(held, strings.Map(func(r rune) rune {
				if r >= ' ' && r != 0xfffe && r != 0xffff || strings.ContainsRune("\t\n\r", r) {
					return r
				}
				return '\ufffd'
			}, s))
		}
	}
	return held
}
