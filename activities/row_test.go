package activities

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lightfast/catalog"
	"lightfast/manifest"
	"lightfast/photos"
)

var rowTime = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

const (
	today   = "2026-11-23T02:00:00Z"
	earlier = "2026-01-01T00:00:00Z"
)

// file is a present resource; its time of change follows from its content.
func file(role photos.Role, path, content string) photos.Resource {
	return photos.Resource{Role: role, Name: path, Path: path, Size: int64(len(content)), ModTime: int64(len(content)) + 1}
}

func absent(role photos.Role, path string, why photos.Reason) photos.Resource {
	return photos.Resource{Role: role, Name: path, Path: path, Size: -1, Reason: why}
}

// kept is what the page has of a file that was stored with this content.
func kept(r photos.Resource, content string) manifest.Resource {
	return stored(r, content2(content))
}

func content2(s string) content { return content{sum: sha256.Sum256([]byte(s)), size: int64(len(s))} }

func with(r manifest.Resource, warning, since string) manifest.Resource {
	r.Warning, r.Since = warning, since
	return r
}

func TestRow(t *testing.T) {
	a := file(photos.RoleOriginal, "a.jpg", "abc")
	newer := file(photos.RoleOriginal, "a.jpg", "abcdef")
	empty := file(photos.RoleOriginal, "a.jpg", "")
	marked := a // what fails its fingerprint
	marked.Fingerprint = "f"
	good := kept(marked, "abc")
	good.Warning = ""
	bad := with(kept(marked, "xyz"), string(photos.FingerprintMismatch), "")
	renamed := a
	renamed.Name = "Holiday.jpg"
	b1, b2 := file(photos.RoleOther, "1", "one"), file(photos.RoleOther, "2", "two")
	for _, tt := range []struct {
		name   string
		now    []photos.Resource
		old    []manifest.Resource
		fresh  map[int]manifest.Resource
		unread map[int]photos.Reason
		want   []manifest.Resource
	}{
		{name: "new and read", now: []photos.Resource{a}, fresh: map[int]manifest.Resource{0: kept(a, "abc")},
			want: []manifest.Resource{kept(a, "abc")}},
		{name: "new and not read yet", now: []photos.Resource{a},
			want: []manifest.Resource{{Role: "original", Name: "a.jpg", Path: "a.jpg", Size: 3, Reason: "unavailable"}}},
		{name: "never here", now: []photos.Resource{absent(photos.RoleOriginal, "a.jpg", photos.ICloudOnly)},
			want: []manifest.Resource{{Role: "original", Name: "a.jpg", Path: "a.jpg", Size: -1, Reason: "icloud_only"}}},
		{name: "unchanged", now: []photos.Resource{a}, old: []manifest.Resource{kept(a, "abc")},
			want: []manifest.Resource{kept(a, "abc")}},
		{name: "unchanged under another name", now: []photos.Resource{renamed}, old: []manifest.Resource{kept(a, "abc")},
			want: []manifest.Resource{func() manifest.Resource { m := kept(a, "abc"); m.Name = "Holiday.jpg"; return m }()}},
		{name: "changed, as it was until it is read", now: []photos.Resource{newer}, old: []manifest.Resource{kept(a, "abc")},
			want: []manifest.Resource{kept(a, "abc")}},
		{name: "changed and read", now: []photos.Resource{newer}, old: []manifest.Resource{kept(a, "abc")},
			fresh: map[int]manifest.Resource{0: kept(newer, "abcdef")}, want: []manifest.Resource{kept(newer, "abcdef")}},
		{name: "gone to the cloud", now: []photos.Resource{absent(photos.RoleOriginal, "a.jpg", photos.ICloudOnly)},
			old: []manifest.Resource{kept(a, "abc")}, want: []manifest.Resource{with(kept(a, "abc"), "icloud_only", today)}},
		{name: "since the first absence, for the present reason", now: []photos.Resource{absent(photos.RoleOriginal, "a.jpg", photos.Lost)},
			old: []manifest.Resource{with(kept(a, "abc"), "icloud_only", earlier)}, want: []manifest.Resource{with(kept(a, "abc"), "lost", earlier)}},
		{name: "absent under no path", now: []photos.Resource{{Role: photos.RoleOriginal, Name: "?", Size: -1, Reason: photos.Lost}},
			old: []manifest.Resource{kept(a, "abc")}, want: []manifest.Resource{with(kept(a, "abc"), "lost", today)}},
		{name: "back again and read", now: []photos.Resource{a}, old: []manifest.Resource{with(kept(a, "abc"), "lost", earlier)},
			fresh: map[int]manifest.Resource{0: kept(a, "abc")}, want: []manifest.Resource{kept(a, "abc")}},
		{name: "could not be read", now: []photos.Resource{newer}, old: []manifest.Resource{kept(a, "abc")},
			unread: map[int]photos.Reason{0: photos.Unavailable}, want: []manifest.Resource{with(kept(a, "abc"), "unavailable", today)}},
		{name: "shrunk to nothing", now: []photos.Resource{empty}, old: []manifest.Resource{kept(a, "abc")},
			fresh: map[int]manifest.Resource{0: kept(empty, "")},
			want:  []manifest.Resource{kept(empty, ""), with(kept(a, "abc"), "size_mismatch", today)}},
		{name: "still shrunk to nothing", now: []photos.Resource{empty},
			old:  []manifest.Resource{kept(empty, ""), with(kept(a, "abc"), "size_mismatch", earlier)},
			want: []manifest.Resource{kept(empty, ""), with(kept(a, "abc"), "size_mismatch", earlier)}},
		{name: "healed", now: []photos.Resource{newer},
			old:   []manifest.Resource{kept(empty, ""), with(kept(a, "abc"), "size_mismatch", earlier)},
			fresh: map[int]manifest.Resource{0: kept(newer, "abcdef")}, want: []manifest.Resource{kept(newer, "abcdef")}},
		{name: "fails the fingerprint that the stored one passed", now: []photos.Resource{marked}, old: []manifest.Resource{good},
			fresh: map[int]manifest.Resource{0: bad}, want: []manifest.Resource{bad, with(good, "fingerprint_mismatch", today)}},
		{name: "always failed its fingerprint", now: []photos.Resource{marked}, old: []manifest.Resource{with(kept(marked, "abd"), "fingerprint_mismatch", "")},
			fresh: map[int]manifest.Resource{0: bad}, want: []manifest.Resource{bad}},
		{name: "several of one role, by path", now: []photos.Resource{absent(photos.RoleOther, "2", photos.Lost), b1},
			old: []manifest.Resource{kept(b1, "one"), kept(b2, "two")}, want: []manifest.Resource{with(kept(b2, "two"), "lost", today), kept(b1, "one")}},
		{name: "a new one takes nothing from the others", now: []photos.Resource{absent(photos.RoleOther, "3", photos.Lost), b1, b2},
			old:  []manifest.Resource{kept(b1, "one"), kept(b2, "two")},
			want: []manifest.Resource{{Role: "other", Name: "3", Path: "3", Size: -1, Reason: "lost"}, kept(b1, "one"), kept(b2, "two")}},
		{name: "rendered anew under another path, unreadable", now: []photos.Resource{file(photos.RoleEdited, "r/2.heic", "new")},
			old: []manifest.Resource{kept(file(photos.RoleEdited, "r/1.heic", "old"), "old")}, unread: map[int]photos.Reason{0: photos.Unavailable},
			want: []manifest.Resource{with(kept(file(photos.RoleEdited, "r/1.heic", "old"), "old"), "unavailable", today)}},
		{name: "a role that the asset no longer has", now: []photos.Resource{a},
			old: []manifest.Resource{kept(a, "abc"), kept(b1, "one")}, want: []manifest.Resource{kept(a, "abc")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := row{asset: photos.Asset{ID: "x", Resources: tt.now}, old: manifest.Asset{Resources: tt.old}, fresh: tt.fresh, unread: tt.unread, now: rowTime}
			got := r.build()
			if diff := cmp.Diff(tt.want, got.Resources); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
		})
	}
}

// TestNothingStoredIsForgotten lets a library live: files come, change, go
// and come back, readable or not, and every row follows from the one before.
func TestNothingStoredIsForgotten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roles := []photos.Role{photos.RoleOriginal, photos.RoleOther, photos.RoleOther, photos.RoleSidecar}
		old := manifest.Asset{}
		for range rapid.IntRange(1, 8).Draw(t, "runs") {
			r := row{asset: photos.Asset{ID: "x"}, meta: json.RawMessage("{}"), old: old, fresh: map[int]manifest.Resource{}, unread: map[int]photos.Reason{}, now: rowTime}
			for i, role := range roles {
				res := absent(role, fmt.Sprint(i), photos.Lost)
				content := rapid.SampledFrom([]string{"", "a", "b", "long"}).Draw(t, "content")
				switch rapid.IntRange(0, 4).Draw(t, "fate") {
				case 0: // the library says nothing of it
					if role == photos.RoleOther {
						break // the role is still there
					}
					continue
				case 1:
					res.Path, res.Name = "", ""
				case 2:
					res = file(role, fmt.Sprint(i), content)
					r.unread[len(r.asset.Resources)] = photos.Unavailable
				case 3, 4:
					res = file(role, fmt.Sprint(i), content)
					r.fresh[len(r.asset.Resources)] = kept(res, content)
				}
				r.asset.Resources = append(r.asset.Resources, res)
			}
			next := r.build()
			line, err := manifest.EncodeAsset(next)
			if err != nil {
				t.Fatalf("no row: %v", err)
			}
			checkRow(t, r, next)
			if old, err = manifest.DecodeAsset(line); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func checkRow(t *rapid.T, r row, next manifest.Asset) {
	files := func(rs []manifest.Resource, role string) int { // two contents of one file count once
		paths := map[string]bool{}
		for _, m := range rs {
			if m.Role == role && m.Stored() {
				paths[m.Path] = true
			}
		}
		return len(paths)
	}
	has := func(rs []manifest.Resource, want manifest.Resource) bool {
		return slices.ContainsFunc(rs, func(m manifest.Resource) bool {
			return m.Stored() && m.Role == want.Role && *m.SHA256 == *want.SHA256
		})
	}
	for _, role := range []string{"original", "other", "sidecar"} {
		listed := 0
		replaced := 0 // by good bytes, read now
		for i, res := range r.asset.Resources {
			if string(res.Role) != role {
				continue
			}
			listed++
			if m, ok := r.fresh[i]; ok {
				if !has(next.Resources, m) {
					t.Errorf("%s: what was read is not in the row", role)
				}
				if m.Size > 0 {
					replaced++
				}
			}
		}
		before, after := files(r.old.Resources, role), files(next.Resources, role)
		if after < min(before, listed) {
			t.Errorf("%s: %d stored of %d before, %d listed", role, after, before, listed)
		}
		if listed == 0 || replaced > 0 {
			continue
		}
		// Only emptied, absent and unreadable files: whatever had bytes stays.
		for _, m := range r.old.Resources {
			if m.Role == role && m.Stored() && m.Size > 0 && !has(next.Resources, m) {
				t.Errorf("%s: %d bytes are forgotten", role, m.Size)
			}
		}
	}
}

func TestAnActivityIsPlannedForWhatCanBeRead(t *testing.T) {
	a, b := file(photos.RoleOriginal, "a", "abc"), file(photos.RoleOther, "b", "four")
	gone := absent(photos.RoleOriginal, "a", photos.ICloudOnly)
	for _, tt := range []struct {
		name string
		now  []photos.Resource
		old  []manifest.Resource
		look bool
		size int64
		must bool
	}{
		{"new", []photos.Resource{a, b}, nil, false, 7, true},
		{"unchanged", []photos.Resource{a, b}, []manifest.Resource{kept(a, "abc"), kept(b, "four")}, false, 0, false},
		{"one of two changed", []photos.Resource{file(photos.RoleOriginal, "a", "abcde"), b}, []manifest.Resource{kept(a, "abc"), kept(b, "four")}, false, 5, true},
		{"media token changed or failed last time", []photos.Resource{a}, []manifest.Resource{kept(a, "abc")}, true, 0, true},
		{"nothing is present", []photos.Resource{gone}, nil, true, 0, false},
		{"gone now", []photos.Resource{gone}, []manifest.Resource{kept(a, "abc")}, false, 0, false},
		{"back again", []photos.Resource{a}, []manifest.Resource{with(kept(a, "abc"), "icloud_only", earlier)}, false, 3, true},
		{"same size and time at another path", []photos.Resource{file(photos.RoleOther, "c", "five")}, []manifest.Resource{kept(b, "four")}, false, 4, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			size, must := toRead(photos.Asset{Resources: tt.now}, manifest.Asset{Resources: tt.old}, tt.look)
			if size != tt.size || must != tt.must {
				t.Errorf("toRead = %d, %t, want %d, %t", size, must, tt.size, tt.must)
			}
		})
	}
}

func TestPlaceInThePlan(t *testing.T) {
	item := func(added, size int64, favorite bool) *catalog.Item {
		return planItem(photos.Asset{Added: added, Metadata: photos.Metadata{Favorite: favorite}}, size)
	}
	favourite, newer, older := item(1, 5, true), item(2, smallAsset, false), item(1, 5, false)
	film, longFilm := item(9, smallAsset+1, true), item(1, 1<<40, false)
	for _, it := range []*catalog.Item{favourite, newer, older} {
		if it.Lane != Small {
			t.Errorf("%+v is not in lane small", it)
		}
	}
	if film.Lane != Large || longFilm.Lane != Large {
		t.Errorf("films are in lanes %s and %s", film.Lane, longFilm.Lane)
	}
	if !(favourite.Rank > newer.Rank && newer.Rank > older.Rank && longFilm.Rank > film.Rank) {
		t.Errorf("order: favourite %d, newer %d, older %d; long film %d, film %d", favourite.Rank, newer.Rank, older.Rank, longFilm.Rank, film.Rank)
	}
}

// TestSummaryIsWholeRunes: Temporal refuses what is no UTF-8.
func TestSummaryIsWholeRunes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		if b, err := json.Marshal(summary(name)); err != nil || len(summary(name)) > 123 {
			t.Errorf("summary(%q) = %s, %v", name, b, err)
		} else if slices.Contains([]rune(summary(name)), '�') && !slices.Contains([]rune(name), '�') {
			t.Errorf("summary(%q) cuts a rune", name)
		}
	})
}
