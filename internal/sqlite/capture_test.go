package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lightfast/internal/sqlite"
)

// asFound copies a database that somebody has open, with what lies beside it,
// to a folder of its own, as a crash would leave it.
func asFound(t *testing.T, path string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for _, suffix := range []string{"", "-wal", "-journal"} {
		b, err := os.ReadFile(path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "db"+suffix), b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// capture returns the bytes of a capture, which must be all that there is of
// it and as long as Measure said.
func capture(t *testing.T, root *os.Root) []byte {
	t.Helper()
	dir := t.TempDir()
	size, _, err := sqlite.Measure(t.Context(), root, "db")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Capture(t.Context(), root, "db", filepath.Join(dir, "copy")); err != nil {
		t.Fatal(err)
	}
	if found, _ := os.ReadDir(dir); len(found) != 1 {
		t.Errorf("%v beside the copy", found)
	}
	b, err := os.ReadFile(filepath.Join(dir, "copy"))
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != size {
		t.Errorf("the copy has %d bytes, Measure said %d", len(b), size)
	}
	return b
}

// bySQLite is what SQLite itself makes of main, WAL and journal.
func bySQLite(t *testing.T, files map[string][]byte) ([]byte, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	for suffix, b := range files {
		if err := os.WriteFile(path+suffix, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqlite.Open(path, sqlite.Options{Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	var busy, log, done int
	err = db.QueryRowContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done)
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func filesOf(t *testing.T, root *os.Root) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, suffix := range []string{"", "-wal", "-journal"} {
		if b, err := root.ReadFile("db" + suffix); err == nil {
			files[suffix] = b
		}
	}
	return files
}

// busyDatabase has pages in its file and in its WAL, some of them twice, some
// of a transaction that did not end.
func busyDatabase(t *testing.T) *os.Root {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db := open(t, path, sqlite.Options{})
	db.SetMaxOpenConns(1)
	exec(t, db, "PRAGMA wal_autocheckpoint = 0")
	exec(t, db, "PRAGMA cache_size = 5")
	exec(t, db, "CREATE TABLE t(x)")
	fill(t, db, 300)
	exec(t, db, "PRAGMA wal_checkpoint(TRUNCATE)")
	exec(t, db, "UPDATE t SET x = hex(randomblob(100)) WHERE rowid % 3 = 0")
	exec(t, db, "DELETE FROM t WHERE rowid > 200")
	exec(t, db, "VACUUM") // the database shrinks
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("UPDATE t SET x = hex(randomblob(90))"); err != nil { // spills into the WAL
		t.Fatal(err)
	}
	return asFound(t, path)
}

func fill(t *testing.T, db *sql.DB, n int) {
	t.Helper()
	exec(t, db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < ?) INSERT INTO t SELECT hex(randomblob(200)) FROM n", n)
}

func TestCaptureFoldsTheWALAsSQLiteDoes(t *testing.T) {
	root := busyDatabase(t)
	files := filesOf(t, root)
	want, err := bySQLite(t, files)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(want, files[""]) || len(want) >= len(files[""]) {
		t.Fatal("the WAL changes nothing: the test proves nothing")
	}
	if got := capture(t, root); !bytes.Equal(got, want) {
		t.Errorf("%d bytes, SQLite makes %d others", len(got), len(want))
	}
	if again := capture(t, root); !bytes.Equal(again, want) {
		t.Error("a second capture has other bytes")
	}
}

// FuzzFold holds our reading of a WAL against that of SQLite, whatever is in
// it.
func FuzzFold(f *testing.F) {
	f.Add(uint32(0), byte(0), uint32(1<<31))
	f.Add(uint32(5), byte(1), uint32(1<<31))     // version
	f.Add(uint32(3), byte(1), uint32(1<<31))     // order of bytes
	f.Add(uint32(17), byte(0xff), uint32(1<<31)) // salt
	f.Add(uint32(32+4+4120), byte(0xff), uint32(1<<31))
	f.Add(uint32(0), byte(0), uint32(3*4120+7))
	var files map[string][]byte
	f.Fuzz(func(t *testing.T, at uint32, flip byte, cut uint32) {
		if files == nil {
			files = filesOf(t, busyDatabase(t))
		}
		log := bytes.Clone(files["-wal"])
		log[int(at)%len(log)] ^= flip
		log = log[:min(len(log), int(cut))]
		dir := t.TempDir()
		for suffix, b := range map[string][]byte{"": files[""], "-wal": log} {
			if err := os.WriteFile(filepath.Join(dir, "db"+suffix), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		want, failed := bySQLite(t, map[string][]byte{"": files[""], "-wal": log})
		to := filepath.Join(t.TempDir(), "copy")
		_, err = sqlite.Capture(t.Context(), root, "db", to)
		if failed != nil {
			if err == nil {
				t.Errorf("Capture succeeds where SQLite says: %v", failed)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, want) {
			t.Errorf("byte %d ^ %#x, cut at %d: %d bytes, %v; SQLite makes %d others", at, flip, cut, len(got), err, len(want))
		}
	})
}

// journaled opens a database as programs without a WAL have it.
func journaled(t *testing.T, path string) *sql.DB {
	t.Helper()
	db := open(t, path, sqlite.Options{})
	db.SetMaxOpenConns(1)
	exec(t, db, "PRAGMA journal_mode = DELETE")
	exec(t, db, "PRAGMA cache_size = 5")
	exec(t, db, "CREATE TABLE t(x)")
	fill(t, db, 300)
	return db
}

func TestCaptureRollsBackWhatACrashLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := journaled(t, path)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, q := range []string{"UPDATE t SET x = 'other'", "INSERT INTO t SELECT hex(randomblob(300)) FROM t"} {
		if _, err := tx.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	root := asFound(t, path)
	if files := filesOf(t, root); len(files["-journal"]) == 0 || bytes.Equal(files[""], before) {
		t.Fatal("nothing to roll back: the test proves nothing")
	}
	if got := capture(t, root); !bytes.Equal(got, before) {
		t.Error("the copy is not what the last commit left")
	}
}

func TestCaptureOfADatabaseAtRestIsItsBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := journaled(t, path)
	exec(t, db, "PRAGMA journal_mode = PERSIST") // a journal that is not hot stays
	exec(t, db, "DELETE FROM t WHERE rowid < 100")
	root := asFound(t, path)
	if _, err := root.Lstat("db-journal"); err != nil {
		t.Fatal(err)
	}
	want, err := root.ReadFile("db")
	if err != nil {
		t.Fatal(err)
	}
	if got := capture(t, root); !bytes.Equal(got, want) {
		t.Error("the copy has other bytes")
	}
}

// TestCaptureOfALiveDatabaseIsOneState: each transaction of the writer makes
// all rows equal, so that a torn copy shows. Nothing new lies beside it.
func TestCaptureOfALiveDatabaseIsOneState(t *testing.T) {
	for _, mode := range []string{"WAL", "DELETE", "TRUNCATE", "PERSIST"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "db")
			db := journaled(t, path)
			exec(t, db, "UPDATE t SET x = '0'")
			exec(t, db, "PRAGMA journal_mode = "+mode)
			exec(t, db, "PRAGMA wal_autocheckpoint = 20")
			exec(t, db, "PRAGMA synchronous = OFF")
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			defer wg.Wait()
			defer stop()
			wrote := make(chan struct{}, 1)
			// Without a WAL a reader needs a gap between transactions; these are
			// too short for a copy, so that SQLite has to be asked.
			gap := time.NewTicker(10 * time.Millisecond)
			defer gap.Stop()
			wg.Go(func() {
				for n := 1; ctx.Err() == nil; n++ {
					if mode != "WAL" {
						select {
						case <-gap.C:
						case <-ctx.Done():
						}
					}
					if _, err := db.ExecContext(ctx, "UPDATE t SET x = ?", strings.Repeat(fmt.Sprint(n), 20)); err != nil && ctx.Err() == nil {
						t.Errorf("writer: %v", err)
						return
					}
					select {
					case wrote <- struct{}{}:
					default:
					}
				}
			})
			for i := range 5 {
				<-wrote
				to := filepath.Join(t.TempDir(), "copy")
				if _, err := sqlite.Capture(t.Context(), root, "db", to); err != nil {
					t.Fatalf("capture %d: %v", i, err)
				}
				got := open(t, to, sqlite.Options{Copy: true})
				var states, rows int
				var check string
				if err := got.QueryRowContext(t.Context(), "SELECT count(DISTINCT x), count(*) FROM t").Scan(&states, &rows); err != nil || states != 1 || rows != 300 {
					t.Errorf("capture %d: %d states in %d rows, %v", i, states, rows, err)
				}
				if err := got.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
					t.Errorf("capture %d: integrity_check: %q, %v", i, check, err)
				}
				got.Close()
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if name := e.Name(); mode != "WAL" && (strings.HasSuffix(name, "-wal") || strings.HasSuffix(name, "-shm")) {
					t.Errorf("%s was made", name)
				}
			}
		})
	}
}

func TestCaptureOpensNothingButFiles(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600), os.Mkdir(filepath.Join(dir, "folder"), 0o700), os.Symlink("/etc/passwd", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	to := filepath.Join(t.TempDir(), "copy")
	for name, want := range map[string]error{"pipe": sqlite.ErrNoFile, "folder": sqlite.ErrNoFile, "link": sqlite.ErrNoFile, "missing": fs.ErrNotExist} {
		if _, err := sqlite.Capture(t.Context(), root, name, to); !errors.Is(err, want) {
			t.Errorf("Capture(%s) = %v, want %v", name, err, want)
		}
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Capture(%s) leaves a copy", name)
		}
	}
}
