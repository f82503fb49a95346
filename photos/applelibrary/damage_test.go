package applelibrary_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lightfast/internal/sqlite"
	"lightfast/photos"
	"lightfast/photos/applelibrary"
	"lightfast/photos/photostest"
)

// FuzzDamagedDatabase reads libraries of both kinds of which one column has
// the same odd value in every row, and some bytes of the database are others:
// nothing panics, what can be read is sound, and what cannot is the library's
// fault in one line.
func FuzzDamagedDatabase(f *testing.F) {
	var templates []string
	for _, legacy := range []bool{false, true} {
		spec := photostest.Mix(12, 1)
		spec.Photos4 = legacy
		spec.Assets = append(spec.Assets, photostest.AssetSpec{Live: true, Edited: true, Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.ICloudOnly}},
			photostest.AssetSpec{Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.ReferencedOutside}})
		dir := filepath.Join(f.TempDir(), "Built.photoslibrary")
		if err := photostest.BuildLibrary(dir, spec); err != nil {
			f.Fatal(err)
		}
		templates = append(templates, dir)
	}
	for _, legacy := range []bool{false, true} {
		f.Add(legacy, uint(0), "", uint(0), []byte{})                      // sound
		f.Add(legacy, uint(1), "../../../etc/passwd", uint(0), []byte{})   // a row
		f.Add(legacy, uint(40), "-1", uint(0), []byte{})                   // a number
		f.Add(legacy, uint(0), "", uint(0), []byte("SQLite format 4"))     // the header
		f.Add(legacy, uint(0), "", uint(40_000), []byte("\xff\xff\xff"))   // a page
		f.Add(legacy, uint(0), "", uint(100), []byte("\x05\x00\x00\x00A")) // the schema
	}
	f.Fuzz(func(t *testing.T, legacy bool, column uint, value string, at uint, patch []byte) {
		dir := filepath.Join(t.TempDir(), "Damaged.photoslibrary")
		template, name := templates[0], "Photos.sqlite"
		if legacy {
			template, name = templates[1], "photos.db"
		}
		if err := os.CopyFS(dir, os.DirFS(template)); err != nil {
			t.Fatal(err)
		}
		name = filepath.Join(dir, "database", name)
		alter(t, name, column, value)
		overwrite(t, name, at, patch)
		l, err := applelibrary.Open(t.Context(), dir, applelibrary.Options{TempDir: t.TempDir()})
		if err != nil {
			isTheLibrarys(t, err)
			return
		}
		defer l.Close()
		for a, err := range l.Scan(t.Context()) {
			if err != nil {
				isTheLibrarys(t, err)
				continue
			}
			isSound(t, a)
		}
	})
}

// alter sets one of all columns, counted from 1, to a value in every row.
func alter(t *testing.T, name string, column uint, value string) {
	t.Helper()
	if column == 0 {
		return
	}
	db, err := sqlite.Open(name, sqlite.Options{Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	schema, err := sqlite.Tables(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	var all [][2]string
	for table, columns := range schema {
		for c := range columns {
			all = append(all, [2]string{table, c})
		}
	}
	slices.SortFunc(all, func(x, y [2]string) int { return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1])) })
	which := all[column%uint(len(all))]
	var v any = value
	if n, err := strconv.ParseFloat(value, 64); err == nil {
		v = n
	} else if value == "" {
		v = nil
	} else if len(value)%2 == 0 {
		v = []byte(value)
	}
	// What SQLite does not take is no damage that there can be.
	_, _ = db.ExecContext(t.Context(), fmt.Sprintf("UPDATE OR IGNORE %s SET %s = ?", which[0], which[1]), v)
}

func overwrite(t *testing.T, name string, at uint, patch []byte) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt(patch, int64(at%uint(info.Size())))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func isTheLibrarys(t *testing.T, err error) {
	t.Helper()
	se, ok := errors.AsType[*photos.SourceError](err)
	if ok && (se.Do == "" || strings.Contains(se.Why, "\n")) || !ok && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v (%T), want a source error that says what to do", err, err)
	}
}

func isSound(t *testing.T, a photos.Asset) {
	t.Helper()
	if _, err := json.Marshal(a); err != nil || a.ID == "" || len(a.Resources) == 0 {
		t.Errorf("%+v: %v", a, err)
	}
	for _, r := range a.Resources {
		if r.Present() && (r.Size < 0 || strings.HasPrefix(r.Path, "..") || strings.HasPrefix(r.Path, "/")) {
			t.Errorf("%s: %+v", a.ID, r)
		}
	}
}
