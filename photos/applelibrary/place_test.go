package applelibrary

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"howett.net/plist"

	"lightfast/internal/sqlite"
	"lightfast/photos"
)

// places are the archives of a real library.
func places(t testing.TB, name string) (found [][]byte) {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "libraries", name+".photoslibrary")
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Skip("no real libraries here: ", err)
	}
	defer root.Close()
	to := filepath.Join(t.TempDir(), "copy.sqlite")
	if _, err := sqlite.Capture(t.Context(), root, "database/Photos.sqlite", to); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(to, sqlite.Options{Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT ZREVERSELOCATIONDATA FROM ZADDITIONALASSETATTRIBUTES WHERE ZREVERSELOCATIONDATA IS NOT NULL ORDER BY Z_PK")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			t.Fatal(err)
		}
		found = append(found, data)
	}
	return found
}

func TestPlaceIsDecoded(t *testing.T) {
	london := photos.Place{Name: "St James's Park", Address: "St James's Park, The Cake House, Horse Guards Road, London, SW1A 2BJ, England",
		Street: "The Cake House, Horse Guards Road", District: "City of Westminster", City: "London", County: "London", State: "England",
		PostalCode: "SW1A 2BJ", Country: "United Kingdom", CountryCode: "GB"}
	n := 0
	for _, data := range places(t, "Test-15.4.1") {
		var p photos.Place
		if err := decodePlace(data, &p); err != nil {
			t.Error(err)
		}
		if p.City == "London" {
			if diff := cmp.Diff(london, p); diff != "" {
				t.Errorf("place (-want +got):\n%s", diff)
			}
			n++
		}
	}
	if n == 0 {
		t.Error("no place in London")
	}
}

// TestPlaceThatRefersToItselfIsBounded: the references of an archive may form
// any graph.
func TestPlaceThatRefersToItselfIsBounded(t *testing.T) {
	self := map[string]any{"postalAddress": plist.UID(1), "mapItem": plist.UID(1), "sortedPlaceInfos": plist.UID(1), "NS.objects": []plist.UID{1, 1}, "name": plist.UID(1 << 40)}
	data, err := plist.Marshal(map[string]any{"$top": map[string]any{"root": plist.UID(1)}, "$objects": []any{"$null", self}}, plist.BinaryFormat)
	if err != nil {
		t.Fatal(err)
	}
	var p photos.Place
	if err := decodePlace(data, &p); err != nil || p != (photos.Place{}) {
		t.Errorf("decodePlace = %+v, %v", p, err)
	}
}

// FuzzPlace: foreign bytes are an error or a place, soon, and never a panic.
func FuzzPlace(f *testing.F) {
	for _, data := range places(f, "Test-15.4.1") {
		f.Add(data)
	}
	f.Add([]byte("bplist00"))
	f.Add([]byte("<plist><dict><key>$objects</key><array/></dict></plist>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		var p photos.Place
		err := decodePlace(data, &p)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%d bytes take %s", len(data), took)
		}
		if err != nil && p != (photos.Place{}) {
			t.Errorf("decodePlace fails with %v and gives %+v", err, p)
		}
	})
}
