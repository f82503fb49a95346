package bundle_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"lightfast/internal/sqlite"
	"lightfast/photos"
	"lightfast/photos/applelibrary"
	"lightfast/photos/bundle"
	"lightfast/photos/photostest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

func open(t *testing.T, path string) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Open(path, bundle.Options{TempDir: t.TempDir(), Library: func(context.Context) (photos.Identity, error) {
		return photos.Identity{ID: "7B1D", Kind: "photos", Name: "Built"}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openWhole(t *testing.T, path string) photos.Source {
	t.Helper()
	l, err := applelibrary.Open(t.Context(), path, applelibrary.Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return bundle.Join(l, open(t, path))
}

// build makes a library with what a bundle has beside its assets: a database
// whose last rows are in its WAL only, caches, locks, and a file that is
// larger than its databases.
func build(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "Built.photoslibrary")
	if err := photostest.BuildLibrary(dir, photostest.Mix(20, 1)); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "resources/proxies/large.bin", string(random(3<<20)))
	write(t, dir, "private/state.plist", "<plist/>")
	write(t, dir, "private/-wal", "of no database")
	write(t, dir, "private/notes-wal", "of no database either")
	write(t, dir, "private/notes", "SQLite format 3\x00 is how they begin")
	write(t, dir, "database/Photos.sqlite.lock", "<plist/>")
	live := filepath.Join(t.TempDir(), "search.db")
	db := database(t, live)
	fill(t, db, 100)
	for _, suffix := range []string{"", "-wal", "-shm"} { // as a crash leaves it
		b, err := os.ReadFile(live + suffix)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "private/deep/search.db"+suffix, string(b))
	}
	return dir
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func database(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	return db
}

// fill adds n rows, of which each transaction makes an equal one more.
func fill(t *testing.T, db *sql.DB, n int) {
	t.Helper()
	for _, q := range []string{"CREATE TABLE IF NOT EXISTS t(x)",
		fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %d) INSERT INTO t SELECT hex(randomblob(200)) FROM n", n)} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
}

// onDisk is a file with what a restore has: of a database, what SQLite itself
// makes of a copy of it and its WAL.
func onDisk(t *testing.T) func(path string, r photos.Resource) string {
	return func(path string, r photos.Resource) string {
		name := filepath.Join(path, filepath.FromSlash(r.Path))
		if _, err := os.Stat(name + "-wal"); err != nil {
			return name
		}
		to := filepath.Join(t.TempDir(), "db")
		for _, suffix := range []string{"", "-wal"} {
			b, err := os.ReadFile(name + suffix)
			if err := errors.Join(err, os.WriteFile(to+suffix, b, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		db, err := sqlite.Open(to, sqlite.Options{Copy: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil && !sqlite.IsDamaged(err) {
			t.Fatal(err)
		}
		db.Close()
		return to
	}
}

func TestConformance(t *testing.T) {
	photostest.Run(t, photostest.Fixture{
		Make: build,
		Open: func(t *testing.T, path string) photos.Source { return open(t, path) },
		File: onDisk(t),
	})
}

func TestConformanceOfTheWhole(t *testing.T) {
	photostest.Run(t, photostest.Fixture{Make: build, Open: openWhole, File: onDisk(t)})
}

func scan(t *testing.T, s photos.Source) map[string]photos.Asset {
	t.Helper()
	found := map[string]photos.Asset{}
	for a, err := range s.Scan(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range a.Resources {
			if was, twice := found[r.Path]; twice && r.Present() {
				t.Errorf("%s is a resource of %s and of %s", r.Path, was.ID, a.ID)
			}
			found[r.Path] = a
		}
	}
	return found
}

// tree lists the regular files of a bundle that a restore has to bring back.
func tree(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		switch {
		case err != nil || !d.Type().IsRegular(), strings.HasSuffix(rel, ".lock"),
			strings.HasPrefix(rel, "private/deep/search.db-"), strings.HasPrefix(rel, "database/Photos.sqlite-"):
			return err
		}
		names = append(names, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func TestEveryFileIsAnAssetOnce(t *testing.T) {
	dir := build(t)
	want := tree(t, dir)
	for mode, s := range map[string]photos.Source{"LibraryOnly": open(t, dir), "PhotosAndLibrary": openWhole(t, dir)} {
		defer s.Close()
		var got []string
		ofLibrary := 0
		for path, a := range scan(t, s) {
			got = append(got, path)
			r := a.Resources[0]
			if r.Role != photos.RoleLibrary {
				continue
			}
			ofLibrary++
			if len(a.Resources) != 1 || a.Metadata.Kind != photos.Other || r.Name != filepath.Base(path) || a.Orphan != (mode == "PhotosAndLibrary") {
				t.Errorf("%s: %+v", mode, a)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: paths (-want +got):\n%s", mode, diff)
		}
		if all := ofLibrary == len(got); all != (mode == "LibraryOnly") || ofLibrary < 5 {
			t.Errorf("%s: %d of %d files are the library's", mode, ofLibrary, len(got))
		}
	}
}

func TestIdentityIsTheLibrarysWithAMark(t *testing.T) {
	dir := build(t)
	b := open(t, dir)
	defer b.Close()
	id, err := b.Identity(t.Context())
	if want := (photos.Identity{ID: "7B1D-bundle", Kind: "photos", Name: "Built (bundle)"}); err != nil || id != want {
		t.Errorf("Identity = %+v, %v, want %+v", id, err, want)
	}
	whole := openWhole(t, dir)
	defer whole.Close()
	l, err := applelibrary.Open(t.Context(), dir, applelibrary.Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want, err := l.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if id, err := whole.Identity(t.Context()); err != nil || id != want {
		t.Errorf("with its assets it is %+v, %v, want %+v", id, err, want)
	}
}

func TestWhatIsLeftOutIsCounted(t *testing.T) {
	dir := build(t)
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, "secret", "not ours")
	if err := errors.Join(os.Symlink(outside, filepath.Join(dir, "private", "folder")), os.Symlink("state.plist", filepath.Join(dir, "private", "file")),
		syscall.Mkfifo(filepath.Join(dir, "private", "pipe"), 0o600), os.MkdirAll(filepath.Join(dir, "external", "empty"), 0o755)); err != nil {
		t.Fatal(err)
	}
	b := open(t, dir)
	defer b.Close()
	for path := range scan(t, b) {
		if strings.Contains(path, "secret") || filepath.Base(path) == "pipe" || filepath.Base(path) == "file" {
			t.Errorf("%s was taken in", path)
		}
	}
	said := strings.Join(b.Warnings(), "\n")
	for _, want := range []string{"left out 2 links", "left out 1 FIFOs", "left out 1 lock files and 2 empty folders"} {
		if !strings.Contains(said, want) {
			t.Errorf("warnings %q do not say %q", said, want)
		}
	}
}

func TestNoLibraryIsRefused(t *testing.T) {
	for name, path := range map[string]string{"missing": filepath.Join(t.TempDir(), "x"), "empty mount point": t.TempDir()} {
		b, err := bundle.Open(path, bundle.Options{})
		if _, ok := errors.AsType[*photos.SourceError](err); !ok {
			t.Errorf("%s: %v, %v, want a *SourceError", name, b, err)
		}
	}
}

func TestEjectedVolumeIsNotAnEmptyBundle(t *testing.T) {
	dir := build(t)
	b := open(t, dir)
	defer b.Close()
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range b.Scan(t.Context()) {
		last = err
	}
	if _, ok := errors.AsType[*photos.SourceError](last); !ok {
		t.Errorf("Scan ends with %v, want a *SourceError", last)
	}
}

func TestStrangeNamesAreKept(t *testing.T) {
	dir := build(t)
	names := []string{"private/new\nline", "private/emoji 🦊", "private/bad\xff", "private/raw:x"}
	for _, name := range names {
		write(t, dir, name, name)
	}
	for mode, s := range map[string]photos.Source{"LibraryOnly": open(t, dir), "PhotosAndLibrary": openWhole(t, dir)} {
		defer s.Close()
		for a, err := range s.Scan(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			r := a.Resources[0]
			name := r.Path
			if r.PathRaw != nil {
				name = string(r.PathRaw)
			}
			if !slices.Contains(names, name) {
				continue
			}
			if got := content(t, s, r); string(got) != name {
				t.Errorf("%s: %q has content %q", mode, name, got)
			}
		}
	}
}

func content(t *testing.T, s photos.Source, r photos.Resource) []byte {
	t.Helper()
	rd, err := s.Open(t.Context(), r)
	if err != nil {
		t.Fatalf("Open(%q): %v", r.Path, err)
	}
	defer rd.Close()
	b, err := io.ReadAll(rd)
	if err != nil {
		t.Fatalf("read %q: %v", r.Path, err)
	}
	return b
}

// TestTokenChangesWithTheWAL: rows that are only in the WAL are no change of
// the database's file.
func TestTokenChangesWithTheWAL(t *testing.T) {
	dir := build(t)
	path := filepath.Join(dir, "private", "live.db")
	db := database(t, path)
	fill(t, db, 10)
	b := open(t, dir)
	defer b.Close()
	look := func() photos.Resource { return scan(t, b)["private/live.db"].Resources[0] }
	before := look()
	if again := look(); again.Token() != before.Token() {
		t.Errorf("token is %s, then %s, of the same database", before.Token(), again.Token())
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db, 10)
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, file) {
		t.Fatal("the database's file has changed: the test proves nothing")
	}
	after := look()
	if after.Token() == before.Token() {
		t.Errorf("token is %s before and after a commit", after.Token())
	}
	if got := content(t, b, after); int64(len(got)) != after.Size {
		t.Errorf("Open gives %d bytes, the scan said %d", len(got), after.Size)
	}
}

// TestLargeDatabasesAreCopiedOneAtATime: the second waits for the reader of
// the first; neither leaves anything behind.
func TestLargeDatabasesAreCopiedOneAtATime(t *testing.T) {
	dir := build(t)
	for _, name := range []string{"a.db", "b.db"} {
		db := database(t, filepath.Join(dir, "private", name))
		fill(t, db, 22_000)
	}
	temp := t.TempDir()
	b, err := bundle.Open(dir, bundle.Options{TempDir: temp})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	found := scan(t, b)
	first, err := b.Open(t.Context(), found["private/a.db"].Resources[0])
	if err != nil {
		t.Fatal(err)
	}
	if first.Size() <= 8<<20 {
		t.Fatalf("it has %d bytes: the test proves nothing", first.Size())
	}
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error)
	go func() {
		_, err := b.Open(ctx, found["private/b.db"].Resources[0])
		waited <- err
	}()
	if small := content(t, b, found["private/deep/search.db"].Resources[0]); len(small) == 0 {
		t.Error("a small database is empty")
	}
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("the second large one was opened beside the first: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	content(t, b, found["private/b.db"].Resources[0])
	var left []string
	filepath.WalkDir(temp, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left = append(left, path)
		}
		return err
	})
	if left != nil {
		t.Errorf("%v is left", left)
	}
}

func TestDamagedDatabaseIsStoredAsItIs(t *testing.T) {
	dir := build(t)
	noise := string(append([]byte("SQLite format 3\x00"), random(512*100-16)...))
	write(t, dir, "database/Photos.sqlite", noise)
	b := open(t, dir)
	defer b.Close()
	if got := content(t, b, scan(t, b)["database/Photos.sqlite"].Resources[0]); string(got) != noise {
		t.Error("its content is another")
	}
}

// TestWhatCannotBeReadIsAHole: a log that only a newer SQLite reads must not
// be dropped in silence.
func TestWhatCannotBeReadIsAHole(t *testing.T) {
	dir := build(t)
	log := filepath.Join(dir, "private", "deep", "search.db-wal")
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	b[7]++ // version
	var s0, s1 uint32
	for i := 0; i < 24; i += 8 {
		word := func(at int) uint32 {
			return uint32(b[at]) | uint32(b[at+1])<<8 | uint32(b[at+2])<<16 | uint32(b[at+3])<<24
		}
		s0 += word(i) + s1
		s1 += word(i+4) + s0
	}
	for i, s := range []uint32{s0, s1} {
		copy(b[24+4*i:], []byte{byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)})
	}
	if err := os.WriteFile(log, b, 0o644); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	defer s.Close()
	r := scan(t, s)["private/deep/search.db"].Resources[0]
	if r.Reason != photos.Unavailable || !strings.Contains(strings.Join(s.Warnings(), "\n"), `cannot be read: "private/deep/search.db"`) {
		t.Errorf("it is %+v, warnings %q", r, s.Warnings())
	}
}
