// Package sqlite opens SQLite databases: those that Lightfast owns, private
// copies of somebody else's, and, never changing them, the originals of such
// copies. It is the only place where SQLite, and with it cgo, comes in.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// Options say whose database it is. The zero value is one of ours: created if
// missing, in WAL mode, durable at checkpoints, foreign keys enforced, with
// transactions that take the write lock when they begin.
type Options struct {
	// Copy is a private copy of a database that another program wrote. It must
	// exist; its WAL is applied, its schema and settings are left alone.
	Copy bool

	// ReadOnly never writes to the file. On a database in WAL mode SQLite
	// still makes a -shm and a -wal file if there are none.
	ReadOnly bool

	// Scratch is a database that nobody needs after a crash.
	Scratch bool
}

// Open opens the database at path, which may hold any character. Close what
// it returns. The file is not touched before the first statement.
func Open(path string, o Options) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	q := url.Values{
		"_busy_timeout": {"10000"},
		// Preparing was half of what a small write cost: the same few
		// statements come again and again.
		"_stmt_cache_size": {"64"},
	}
	switch {
	case o.ReadOnly:
		q.Set("mode", "ro")
	case o.Copy:
		q.Set("mode", "rw")
	case o.Scratch:
		q.Set("_journal_mode", "OFF")
		q.Set("_synchronous", "OFF")
	default:
		q.Set("_journal_mode", "WAL")
		q.Set("_synchronous", "NORMAL")
		q.Set("_foreign_keys", "on")
		q.Set("_txlock", "immediate")
	}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: q.Encode()}
	db := sql.OpenDB(connector(file.String()))
	db.SetMaxIdleConns(idleConns)
	if o.Scratch {
		db.SetMaxOpenConns(1) // without a journal, one writer and no reader beside it
	}
	return db, nil
}

// idleConns stay open. Of database/sql's own two, many who ask at once use one
// connection each, and close what is more: to open one again, read the schema
// and prepare its statements costs more than ten look-ups.
const idleConns = 16

// connector opens connections to the database that it names.
type connector string

// A checkpoint writes each page once, however often the WAL has it, and waits
// for the disk twice: after 64 MiB instead of SQLite's 4, random inserts of a
// large scan cost a third.
var sqliteDriver = &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
	_, err := c.Exec("PRAGMA wal_autocheckpoint = 16384", nil)
	return err
}}

func (c connector) Connect(context.Context) (driver.Conn, error) { return sqliteDriver.Open(string(c)) }
func (c connector) Driver() driver.Driver                        { return sqliteDriver }

// Sync makes what is committed to the database at path survive a power cut:
// in WAL mode with synchronous=NORMAL a commit is in the file, and waits for
// the next checkpoint to be on the disk.
func Sync(path string) error {
	wal, err := os.OpenFile(path+"-wal", os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) { // nothing since the last checkpoint
		return nil
	} else if err != nil {
		return err
	}
	return errors.Join(wal.Sync(), wal.Close())
}

// Backup writes the state of the database at from, as its last commit left
// it, to a new database at to, while other processes may be writing to from.
func Backup(ctx context.Context, from, to string) error {
	src, err := Open(from, Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := Open(to, Options{})
	if err != nil {
		return err
	}
	err = withConn(ctx, src, func(s *sqlite3.SQLiteConn) error {
		return withConn(ctx, dst, func(d *sqlite3.SQLiteConn) error { return backup(ctx, d, s) })
	})
	return errors.Join(err, dst.Close())
}

func backup(ctx context.Context, dst, src *sqlite3.SQLiteConn) error {
	b, err := dst.Backup("main", src, "main")
	if err != nil {
		return err
	}
	// All pages in one step: a step ends its read transaction, and the next
	// one would begin anew if somebody had written in between.
	done, err := b.Step(-1)
	if err == nil && !done {
		err = errors.New("database is busy")
	}
	return errors.Join(err, b.Finish(), ctx.Err())
}

func withConn(ctx context.Context, db *sql.DB, f func(*sqlite3.SQLiteConn) error) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Raw(func(c any) error { return f(c.(*sqlite3.SQLiteConn)) })
}

// QuickCheck returns what SQLite finds wrong with the database, if anything.
func QuickCheck(ctx context.Context, db *sql.DB) error {
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return errors.New(strings.ReplaceAll(found, "\n", "; "))
	}
	return nil
}

// Schema is which tables a database has, and which columns they have. Names
// are in upper case: SQL does not tell cases apart.
type Schema map[string]map[string]bool

// Tables reads the schema.
func Tables(ctx context.Context, db *sql.DB) (Schema, error) {
	rows, err := db.QueryContext(ctx, `SELECT upper(m.name), upper(c.name)
		FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	s := Schema{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, err
		}
		if s[table] == nil {
			s[table] = map[string]bool{}
		}
		s[table][column] = true
	}
	return s, rows.Err()
}

// IsDamaged reports whether a database failed because its file is no database
// or not a whole one.
func IsDamaged(err error) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	return ok && (e.Code == sqlite3.ErrCorrupt || e.Code == sqlite3.ErrNotADB)
}
