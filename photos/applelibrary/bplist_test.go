package applelibrary

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"howett.net/plist"

	"lightfast/photos"
)

// archiveOf makes the archive of a place as Apple does.
func archiveOf(t testing.TB, p photos.Place) []byte {
	t.Helper()
	objects := []any{"$null"}
	add := func(o any) plist.UID {
		objects = append(objects, o)
		return plist.UID(len(objects) - 1)
	}
	postal := add(map[string]any{
		"_street": add(p.Street), "_city": add(p.City), "_state": add(p.State), "_subLocality": add(p.District), "_subAdministrativeArea": add(p.County),
		"_postalCode": add(p.PostalCode), "_country": add(p.Country), "_ISOCountryCode": add(p.CountryCode),
	})
	area := add(map[string]any{"name": add(p.Name), "placeType": add(8), "area": 12.5})
	areas := add(map[string]any{"NS.objects": []plist.UID{area, postal}})
	root := add(map[string]any{"postalAddress": postal, "addressString": add(p.Address), "mapItem": add(map[string]any{"sortedPlaceInfos": areas}), "isHome": false})
	data, err := plist.Marshal(map[string]any{"$archiver": "NSKeyedArchiver", "$top": map[string]any{"root": root}, "$objects": objects}, plist.BinaryFormat)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// FuzzPlaceRoundTrip: what another program's encoder wrote is read as it was.
func FuzzPlaceRoundTrip(f *testing.F) {
	f.Add("St James's Park", "Horse Guards Road", "ロンドン", "GB")
	f.Add("", "🧨", "a\x00b", "\u2028")
	f.Fuzz(func(t *testing.T, name, street, city, code string) {
		for _, s := range []string{name, street, city, code} {
			if !utf8.ValidString(s) {
				t.Skip("the encoder takes UTF-8 alone")
			}
		}
		want := photos.Place{Name: name, Street: street, City: city, CountryCode: code, District: name + city, County: street + code, State: code + name, Country: city + street,
			PostalCode: code, Address: name + street}
		var got photos.Place
		if err := decodePlace(archiveOf(t, want), &got); err != nil {
			t.Fatal(err)
		}
		if want.Name == "" {
			want.Name = want.Address
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("place (-want +got):\n%s", diff)
		}
	})
}

// TestListsThatUnfoldAreReadInNoTime: in a hundred kilobytes there is room for
// arrays that share their elements, and would unfold to gigabytes.
func TestListsThatUnfoldAreReadInNoTime(t *testing.T) {
	const depth, wide = 1000, 100
	var data bytes.Buffer
	data.WriteString("bplist00")
	offsets := []uint32{uint32(data.Len())}
	// The top: $objects → 3, $top → 3.
	data.Write([]byte{0xD2, 0, 1, 0, 2, 0, 3, 0, 3})
	for _, key := range []string{"$objects", "$top"} {
		offsets = append(offsets, uint32(data.Len()))
		data.WriteByte(0x50 | byte(len(key)))
		data.WriteString(key)
	}
	for i := range depth { // each array is the next one, many times
		offsets = append(offsets, uint32(data.Len()))
		data.Write([]byte{0xAF, 0x10, wide})
		for range wide {
			data.Write(binary.BigEndian.AppendUint16(nil, uint16(min(4+i, depth+2))))
		}
	}
	table := data.Len()
	for _, o := range offsets {
		data.Write(binary.BigEndian.AppendUint32(nil, o))
	}
	trailer := make([]byte, 32)
	trailer[6], trailer[7] = 4, 2
	binary.BigEndian.PutUint64(trailer[8:], uint64(len(offsets)))
	binary.BigEndian.PutUint64(trailer[24:], uint64(table))
	data.Write(trailer)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	var p photos.Place
	if err := decodePlace(data.Bytes(), &p); err != nil || p != (photos.Place{}) {
		t.Errorf("decodePlace = %+v, %v", p, err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 || time.Since(start) > time.Second {
		t.Errorf("%d bytes of memory, %s", n, time.Since(start))
	}
}
