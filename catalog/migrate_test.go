package catalog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lightfast/catalog"
	"lightfast/internal/sqlite"
)

// TestFiguresOfAnOlderCatalogAreCarriedOver: the sums of a run that a newer
// program goes on with are those of all its rows, not of the ones since.
func TestFiguresOfAnOlderCatalogAreCarriedOver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.db")
	db, err := sqlite.Open(file, sqlite.Options{})
	check(t, err)
	run := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"0001.sql", "0002_restore_verify.sql", "0003_pause.sql"} {
		run(string(must(os.ReadFile(filepath.Join("migrations", name)))))
	}
	run(`PRAGMA user_version = 3`)
	run(`INSERT INTO repository VALUES (1, 'r', '/there')`)
	run(`INSERT INTO library VALUES (1, 1, 'lib', '/here', '', '20260101T000000Z-1'), (2, 1, 'begun', '/not yet', '', '')`)
	for i, row := range []string{
		`{"id":"a","resources":[{"role":"original","sha256":"00","size":7},{"role":"live","reason":"lost"}]}`,
		`{"id":"b","resources":[{"role":"original","sha256":"00","since":"2026-01-01T00:00:00Z"},{"role":"adjustment","inline":"","sha256":"00"}]}`,
		`{"id":"c","resources":[]}`,
		`no JSON`,
	} {
		run(`INSERT INTO asset VALUES (?, 1, ?, 0, 0, 5, x'00', 1, 9, 9, 9, 10, '')`, i+1, fmt.Sprint(i))
		run(`INSERT INTO doc VALUES (?, x'', ?)`, i+1, []byte(row))
	}
	check(t, db.Close())

	c := open(t, file)
	got := must(c.Totals(t.Context(), 5, 1, func(reason string) bool { return reason == "lost" }))
	want := catalog.Totals{Assets: 4, Unchanged: 3, Incomplete: 1, Resources: 4, StoredResources: 3, Kept: 1, Bytes: 40,
		Absent: map[string]int64{"lost": 1},
		Roles: map[string]catalog.Tally{
			"original":   {Stored: 2, Kept: 1, Absent: map[string]int64{}},
			"live":       {Absent: map[string]int64{"lost": 1}},
			"adjustment": {Stored: 1, Absent: map[string]int64{}},
		}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for source, want := range map[string]catalog.LibraryID{`{"path":"/here"}`: 1, `{"path":"/not yet"}`: 0} {
		if l := must(c.LibraryAt(t.Context(), 1, source)); l.ID != want {
			t.Errorf("LibraryAt(%s) = %+v, want library %d", source, l, want)
		}
	}
}
