package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lightfast/internal/sqlite"
	"lightfast/photos/photostest"
)

// realPlace has a copy of a real library.
func realPlace(t *testing.T, name string) *place {
	t.Helper()
	real := filepath.Join("..", "..", "shared", "libraries", name+".photoslibrary")
	if _, err := os.Stat(real); err != nil {
		t.Skip("no real libraries here: ", err)
	}
	p := newPlace(t)
	p.source = filepath.Join(filepath.Dir(p.source), name+".photoslibrary")
	if err := os.CopyFS(p.source, os.DirFS(real)); err != nil {
		t.Fatal(err)
	}
	return p
}

func isDatabase(content string) bool { return strings.HasPrefix(content, "SQLite format 3\x00") }

// split parts the files of a bundle into databases and others, without what
// lies beside a database and without locks.
func split(files map[string]string) (databases, others map[string]string) {
	databases, others = map[string]string{}, map[string]string{}
	for name, content := range files {
		beside := strings.HasSuffix(name, ".lock")
		for _, suffix := range []string{"-wal", "-shm", "-journal"} {
			of, ok := strings.CutSuffix(name, suffix)
			beside = beside || ok && isDatabase(files[of])
		}
		switch {
		case isDatabase(content):
			databases[name] = content
		case !beside:
			others[name] = content
		}
	}
	return databases, others
}

// rowsOf checks a copy of a database with its WAL, and returns the count and
// the hash of the rows of each table.
func rowsOf(t *testing.T, path string) map[string]string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := errors.Join(err, os.WriteFile(to+suffix, b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqlite.Open(to, sqlite.Options{Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if found := texts(t, db, "PRAGMA integrity_check"); !slices.Equal(found, []string{"ok"}) {
		t.Errorf("%s: integrity_check: %q", path, found)
	}
	rows := map[string]string{}
	for _, table := range texts(t, db, "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'") {
		rows[table] = hashOf(t, db, table)
	}
	return rows
}

func texts(t *testing.T, db *sql.DB, query string) (list []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func hashOf(t *testing.T, db *sql.DB, table string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT * FROM "`+table+`"`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	h, n := sha256.New(), 0
	for ; rows.Next(); n++ {
		values, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			to[i] = &values[i]
		}
		if err := rows.Scan(to...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(h, "%#v\n", values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d rows, %x", n, h.Sum(nil))
}

// sameBundle compares a restored bundle with its source.
func sameBundle(t *testing.T, source, restored string) {
	t.Helper()
	databases, others := split(tree(t, source))
	gotDatabases, got := split(tree(t, restored))
	if diff := cmp.Diff(slices.Sorted(maps.Keys(others)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("files (-source +restored):\n%s", diff)
	}
	for name, content := range others {
		if got[name] != content {
			t.Errorf("%s differs", name)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(databases)), slices.Sorted(maps.Keys(gotDatabases))); diff != "" || len(databases) == 0 {
		t.Fatalf("databases (-source +restored):\n%s", diff)
	}
	for name := range databases {
		if diff := cmp.Diff(rowsOf(t, filepath.Join(source, name)), rowsOf(t, filepath.Join(restored, name))); diff != "" {
			t.Errorf("%s: tables (-source +restored):\n%s", name, diff)
		}
	}
	for name := range tree(t, restored) {
		if strings.HasSuffix(name, "-wal") || strings.HasSuffix(name, "-shm") || strings.HasSuffix(name, ".lock") {
			t.Errorf("%s was restored", name)
		}
	}
}

// look is names, sizes and times of all that is in a folder.
func look(t *testing.T, dir string) map[string]string {
	t.Helper()
	nodes := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			nodes[path] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return nodes
}

// restoreTo restores the newest snapshot of a library into a new folder.
func (p *place) restoreTo(library, snapshot string) (dir string) {
	p.t.Helper()
	dir = filepath.Join(p.t.TempDir(), "restored")
	ev, code := p.run("restore", "--from", p.dest, "--library", library, "--snapshot", snapshot, "--to", dir, "--layout", "library")
	if code != 0 && code != 3 {
		p.t.Fatalf("restore ended with %d: %v", code, ev["error"])
	}
	return dir
}

func TestRealLibrariesComeBackInEachMode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		codes [3]int // of PhotosOnly, LibraryOnly, PhotosAndLibrary
	}{
		{"Test-Lock-10_15_1", [3]int{0, 0, 0}}, // its rows are in the WAL only
		{"Test-15.4.1", [3]int{3, 0, 3}},
		{"ExternalAdjustments-14.4.1", [3]int{0, 0, 0}},
		{"Derived-broken-13", [3]int{3, 0, 3}},
		{"Test-10.14.6", [3]int{3, 0, 3}},
		{"Test-Lock-10_12", [3]int{4, 0, 4}}, // its database says nothing
	} {
		for i, mode := range []string{"PhotosOnly", "LibraryOnly", "PhotosAndLibrary"} {
			t.Run(tt.name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				p := realPlace(t, tt.name)
				before := look(t, p.source)
				ev, code := p.run("backup", "--source", p.source, "--to", p.dest, "--photos-handling", mode)
				if code != tt.codes[i] {
					t.Fatalf("backup ended with %d, want %d: %v", code, tt.codes[i], ev["error"])
				}
				if diff := cmp.Diff(before, look(t, p.source)); diff != "" {
					t.Errorf("the library has changed (-before +after):\n%s", diff)
				}
				if code == 4 {
					return
				}
				restored := p.restoreTo("", "latest")
				if mode == "PhotosOnly" {
					source := tree(t, p.source)
					for name, content := range tree(t, restored) {
						if was, ok := source[name]; ok && was != content {
							t.Errorf("%s differs", name)
						}
					}
					return
				}
				sameBundle(t, p.source, restored)
				if res := p.backup(code, "--photos-handling", mode); number(t, res, "bytes", "sent") != 0 || number(t, res, "assets", "stored") != 0 {
					t.Errorf("of the unchanged library %v were sent, %v stored", res["bytes"], res["assets"])
				}
			})
		}
	}
}

// TestBundleOfALiveLibraryIsOneState: each transaction makes a counter equal
// in all assets, so that a torn copy shows.
func TestBundleOfALiveLibraryIsOneState(t *testing.T) {
	t.Parallel()
	p := photosPlace(t, 300)
	path := filepath.Join(p.source, "database", "Photos.sqlite")
	db, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range []string{"PRAGMA wal_autocheckpoint = 50", "PRAGMA synchronous = OFF", "UPDATE ZASSET SET ZWIDTH = 1"} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	names := namesIn(t, p.source)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		for n := 2; ctx.Err() == nil; n++ {
			if _, err := db.ExecContext(ctx, "UPDATE ZASSET SET ZWIDTH = ?", n); err != nil && ctx.Err() == nil {
				t.Errorf("writer: %v", err)
				return
			}
		}
	})
	for i := range 3 {
		res := p.backup(0, "--photos-handling", "LibraryOnly")
		restored := p.restoreTo("", res["snapshot"].(string))
		to := filepath.Join(restored, "database", "Photos.sqlite")
		rowsOf(t, to)
		got, err := sqlite.Open(to, sqlite.Options{Copy: true})
		if err != nil {
			t.Fatal(err)
		}
		if states := texts(t, got, "SELECT DISTINCT ZWIDTH FROM ZASSET"); len(states) != 1 || states[0] == "1" {
			t.Errorf("backup %d holds states %v, want one", i, states)
		}
		if n := texts(t, got, "SELECT count(*) FROM ZASSET"); n[0] != "300" {
			t.Errorf("backup %d has %s assets, want 300", i, n[0])
		}
		got.Close()
	}
	stop()
	wg.Wait()
	if diff := cmp.Diff(names, namesIn(t, p.source)); diff != "" {
		t.Errorf("names in the library (-before +after):\n%s", diff)
	}
}

// sizes sums what is in a folder, but for what a bundle's snapshot leaves out.
func sizes(files map[string]string) (n int64) {
	databases, others := split(files)
	for _, m := range []map[string]string{databases, others} {
		for _, content := range m {
			n += int64(len(content))
		}
	}
	return n
}

func TestAnotherModeLosesNothingAndSendsNothingTwice(t *testing.T) {
	t.Parallel()
	p := photosPlace(t, 40)
	whole := sizes(tree(t, p.source))
	first := p.backup(0)
	media := number(t, first, "bytes", "source")
	rest := whole - media + 4096 // recipes of edits lie in pages: there is no blob of them yet
	bundle := p.backup(0, "--photos-handling", "LibraryOnly")
	if sent := number(t, bundle, "bytes", "sent"); sent > rest {
		t.Errorf("LibraryOnly sent %d bytes, want no more than the %d that are new", sent, rest)
	}
	if bundle["library"] != first["library"].(string)+"-bundle" {
		t.Errorf("library %v, then %v", first["library"], bundle["library"])
	}
	evicted := libraryIDs(t, p.source)[0]
	lost := p.originalOf(first["library"].(string), string(evicted))
	content := tree(t, p.source)[lost]
	if err := photostest.Evict(p.source, evicted); err != nil {
		t.Fatal(err)
	}
	both := p.backup(0, "--photos-handling", "PhotosAndLibrary")
	changed, err := os.Stat(filepath.Join(p.source, "database", "Photos.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	if sent := number(t, both, "bytes", "sent"); sent > changed.Size() {
		t.Errorf("PhotosAndLibrary sent %d bytes, want no more than the %d of the database that changed", sent, changed.Size())
	}
	if both["library"] != first["library"] || number(t, both, "resources", "kept") != 1 || number(t, both, "orphans") == 0 || both["handling"] != "PhotosAndLibrary" {
		t.Errorf("PhotosAndLibrary: %v; want the library of PhotosOnly, with what is evicted now kept", both)
	}
	again := p.backup(0, "--photos-handling", "PhotosOnly")
	if number(t, again, "bytes", "sent") != 0 || number(t, again, "assets", "total") != 40 || number(t, again, "orphans") != 0 {
		t.Errorf("PhotosOnly again: %v", again)
	}
	// Each snapshot still has what it had.
	restored := tree(t, p.restoreTo(both["library"].(string), both["snapshot"].(string)))
	if restored[lost] != content {
		t.Error("what was evicted has not come back")
	}
	delete(restored, lost)
	want := tree(t, p.source)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(restored))); diff != "" {
		t.Errorf("PhotosAndLibrary (-source +restored):\n%s", diff)
	}
	if got := sizes(tree(t, p.restoreTo(bundle["library"].(string), "latest"))); got != whole {
		t.Errorf("LibraryOnly brings back %d bytes, want %d", got, whole)
	}
}

// originalOf is the path of an asset's original in the newest snapshot.
func (p *place) originalOf(library, id string) string {
	p.t.Helper()
	ev, code := p.run("ls", "--from", p.dest, "--library", library)
	if code != 0 {
		p.t.Fatalf("ls ended with %d", code)
	}
	for _, a := range ev["asset"] {
		for _, r := range a["resources"].([]any) {
			if m := r.(map[string]any); a["id"] == id && m["role"] == "original" {
				return m["path"].(string)
			}
		}
	}
	p.t.Fatalf("%s has no original", id)
	return ""
}

// longLibrary has so much to back up that a test can act while that goes on.
func longLibrary(t *testing.T) *place {
	p := newPlace(t)
	p.source += ".photoslibrary"
	if err := photostest.BuildLibrary(p.source, photostest.LibrarySpec{Seed: 1, Assets: []photostest.AssetSpec{{Count: 1500, Size: 20_000}}}); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOtherModeAfterAKilledRunGetsWhatItAskedFor(t *testing.T) {
	t.Parallel()
	p := longLibrary(t)
	b := p.begin("backup", "--source", p.source, "--to", p.dest)
	b.storing()
	b.cmd.Process.Kill()
	b.end()
	res := p.backup(0, "--photos-handling", "PhotosAndLibrary")
	if res["resumed"] != true || res["handling"] != "PhotosAndLibrary" || number(t, res, "orphans") == 0 {
		t.Errorf("result %v, want the killed run finished, then one of PhotosAndLibrary", res)
	}
	sameBundle(t, p.source, p.restoreTo("", "latest"))
}

func TestBundleAndPhotosAreBackedUpSideBySide(t *testing.T) {
	t.Parallel()
	p := longLibrary(t)
	first := p.begin("backup", "--source", p.source, "--to", p.dest, "--init")
	first.storing()
	second := p.begin("backup", "--source", p.source, "--to", p.dest, "--photos-handling", "LibraryOnly")
	results := map[string]int64{}
	for _, b := range []*background{second, first} {
		res := b.until("done", func(e map[string]any) bool { return e["event"] == "result" })
		results[res["library"].(string)] = number(t, res, "assets", "total")
		if code := b.end(); code != 0 {
			t.Errorf("it ended with %d, want 0", code)
		}
	}
	if len(results) != 2 {
		t.Errorf("results %v, want one of each library", results)
	}
	for library, total := range results {
		if total < 1500 {
			t.Errorf("%s has %d assets, want at least 1500", library, total)
		}
		if strings.HasSuffix(library, "-bundle") {
			sameBundle(t, p.source, p.restoreTo(library, "latest"))
		}
	}
}

// TestKilledBundleGoesOnAndLeavesNoCopies: a copy of a database must not
// outlive its reader, however that ends.
func TestKilledBundleGoesOnAndLeavesNoCopies(t *testing.T) {
	t.Parallel()
	p := longLibrary(t)
	args := []string{"backup", "--source", p.source, "--to", p.dest, "--photos-handling", "LibraryOnly"}
	b := p.begin(args...)
	b.storing()
	b.cmd.Process.Kill()
	b.end()
	res := p.backup(0, args[5:]...)
	if res["resumed"] != true || number(t, res, "assets", "failed")+number(t, res, "assets", "incomplete") != 0 {
		t.Errorf("result %v", res)
	}
	sameBundle(t, p.source, p.restoreTo("", "latest"))
	if left, err := os.ReadDir(filepath.Join(p.state, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

func TestTimeOfARestoredDatabaseIsThatOfItsLastWrite(t *testing.T) {
	t.Parallel()
	p := realPlace(t, "Test-Lock-10_15_1")
	at := time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(p.source, "database", "Photos.sqlite-wal"), at, at); err != nil {
		t.Fatal(err)
	}
	old := at.Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(p.source, "database", "Photos.sqlite"), old, old); err != nil {
		t.Fatal(err)
	}
	p.backup(0, "--photos-handling", "LibraryOnly")
	info, err := os.Stat(filepath.Join(p.restoreTo("", "latest"), "database", "Photos.sqlite"))
	if err != nil || !info.ModTime().Equal(at) {
		t.Errorf("its time is %v, %v, want %v, that of its WAL", info.ModTime(), err, at)
	}
}
