package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"lightfast/internal/sqlite"
)

func open(t *testing.T, path string, o sqlite.Options) *sql.DB {
	t.Helper()
	db, err := sqlite.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func count(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOpenTakesAnyPath(t *testing.T) {
	for _, name := range []string{"plain", "a b", "what?mode=ro", "50%", "%41", "#1", "é\n", "a&_query_only=1"} {
		path := filepath.Join(t.TempDir(), name)
		db := open(t, path, sqlite.Options{})
		exec(t, db, "CREATE TABLE t(x)")
		exec(t, db, "INSERT INTO t VALUES (1)")
		if _, err := os.Stat(path); err != nil {
			t.Errorf("Open(%q) made another file: %v", name, err)
		}
		if n := count(t, open(t, path, sqlite.Options{ReadOnly: true})); n != 1 {
			t.Errorf("Open(%q, read-only) sees %d rows, want 1", name, n)
		}
	}
}

func TestOurOwnDatabaseIsInWALModeWithForeignKeys(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"), sqlite.Options{})
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "1", "foreign_keys": "1", "busy_timeout": "10000"} {
		var got string
		if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q (%v), want %q", pragma, got, err, want)
		}
	}
}

func TestReadOnlyAndCopyNeverCreate(t *testing.T) {
	for _, o := range []sqlite.Options{{ReadOnly: true}, {Copy: true}} {
		path := filepath.Join(t.TempDir(), "db")
		if err := open(t, path, o).PingContext(t.Context()); err == nil {
			t.Errorf("Open(missing, %+v) succeeds", o)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("Open(missing, %+v) made a file", o)
		}
	}
	path := filepath.Join(t.TempDir(), "db")
	exec(t, open(t, path, sqlite.Options{}), "CREATE TABLE t(x)")
	if _, err := open(t, path, sqlite.Options{ReadOnly: true}).ExecContext(t.Context(), "INSERT INTO t VALUES (1)"); err == nil {
		t.Error("a read-only database takes an insert")
	}
}

func TestBackupTakesWhatIsOnlyInTheWAL(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	db := open(t, from, sqlite.Options{})
	exec(t, db, "CREATE TABLE t(x)")
	exec(t, db, "INSERT INTO t VALUES (1), (2)")
	if err := sqlite.Backup(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if n := count(t, open(t, to, sqlite.Options{Copy: true})); n != 2 {
		t.Errorf("the backup has %d rows, want 2", n)
	}
}

func TestQuickCheckFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := open(t, path, sqlite.Options{})
	exec(t, db, "CREATE TABLE t(x)")
	exec(t, db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 2000) INSERT INTO t SELECT hex(randomblob(50)) FROM n")
	if err := sqlite.QuickCheck(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	db.Close()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 20_000), 20_000); err != nil {
		t.Fatal(err)
	}
	if err := sqlite.QuickCheck(t.Context(), open(t, path, sqlite.Options{Copy: true})); err == nil {
		t.Error("QuickCheck(damaged) = nil")
	}
}

func TestTablesKnowsColumns(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"), sqlite.Options{})
	exec(t, db, "CREATE TABLE Foo(Bar, baz)")
	s, err := sqlite.Tables(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if !s["FOO"]["BAR"] || !s["FOO"]["BAZ"] || s["FOO"]["X"] || s["T"] != nil {
		t.Errorf("Tables = %v", s)
	}
}
