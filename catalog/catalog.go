// Package catalog is the memory of one host, in SQLite: the assets that a
// scan saw, the plan of a run, what the repository holds, and large objects
// on their way.
//
// It is the truth about what is done: a row is written when the store has
// acknowledged, in one transaction with the plan, and a call that writes
// returns when that is committed. It can be rebuilt from a repository, so its
// loss costs reading, never data. Documents are opaque to it.
//
// Writers are grouped: whoever waits now is committed together. Several
// processes may have one catalog open.
package catalog

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"lightfast/internal/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Catalog is safe for many goroutines.
type Catalog struct {
	path   string
	db     *sql.DB
	writes chan *write
	done   sync.WaitGroup
	close  sync.Once
	closed chan struct{}
}

type write struct {
	ctx  context.Context
	f    func(*sql.Tx) error
	done chan error
}

// ErrNewer means that a newer program has migrated the catalog.
var ErrNewer = errors.New("catalog was made by a newer version of lightfast")

// Open opens or creates the catalog at path. One that is damaged is set aside
// as path.damaged: the next run learns anew from the repository.
func Open(ctx context.Context, path string) (*Catalog, error) {
	c, err := open(ctx, path)
	if !sqlite.IsDamaged(err) {
		return c, err
	}
	for _, part := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+part, path+".damaged"+part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("set a damaged catalog aside: %w", err)
		}
	}
	return open(ctx, path)
}

func open(ctx context.Context, path string) (*Catalog, error) {
	db, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", path, err)
	}
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(fmt.Errorf("open catalog %s: %w", path, err), db.Close())
	}
	c := &Catalog{path: path, db: db, writes: make(chan *write), closed: make(chan struct{})}
	c.done.Go(c.committer)
	return c, nil
}

// Close waits for writes under way.
func (c *Catalog) Close() error {
	c.close.Do(func() { close(c.closed) })
	c.done.Wait()
	return c.db.Close()
}

// migrate applies what `PRAGMA user_version` says is missing, each file in a
// transaction of its own. Another process may do so at the same moment: BEGIN
// IMMEDIATE makes it wait, and the version is read inside.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for n, name := range files {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		if err := migrateOne(ctx, conn, n+1, string(text)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(files) {
		return ErrNewer
	}
	return nil
}

func migrateOne(ctx context.Context, conn *sql.Conn, n int, text string) error {
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	var version int
	err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	if err == nil && version < n {
		_, err = conn.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA user_version = %d", text, n))
	}
	if err != nil {
		_, rollback := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return errors.Join(err, rollback)
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

// one looks a row up by its key, which takes microseconds: to be able to give
// up in the middle would cost a goroutine each, and that as much again.
func (c *Catalog) one(ctx context.Context, query string, args ...any) *sql.Row {
	return c.db.QueryRowContext(context.WithoutCancel(ctx), query, args...)
}

// maxGroup bounds how long one commit keeps the first of its writers waiting.
const maxGroup = 256

// write runs f in a transaction that it may share with others, and returns
// when that is committed. f may run again after a rollback.
func (c *Catalog) write(ctx context.Context, f func(*sql.Tx) error) error {
	w := &write{ctx: ctx, f: f, done: make(chan error, 1)}
	select {
	case c.writes <- w:
		return <-w.done
	case <-c.closed:
		return errors.New("catalog is closed")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Catalog) committer() {
	for {
		select {
		case w := <-c.writes:
			c.commit(w)
		case <-c.closed:
			return
		}
	}
}

// commit writes first, and whoever else waits until it is written, in one
// transaction: no timer, no fixed size. A lone writer pays for its own commit,
// thirty share one.
func (c *Catalog) commit(first *write) {
	group, err := c.transact(first, c.writes)
	if err != nil && len(group) > 1 {
		// One of them spoilt it for all: let each stand for itself.
		for _, w := range group {
			_, err := c.transact(w, nil)
			w.done <- err
		}
		return
	}
	for _, w := range group {
		w.done <- err
	}
}

// transact returns whom it took into the transaction: first, and those of
// others that came before its end.
func (c *Catalog) transact(first *write, others <-chan *write) (group []*write, err error) {
	group = []*write{first}
	ctx := context.Background() // a caller that gives up must not undo the others
	tx, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		return group, err
	}
	for n := 0; n < len(group); n++ {
		if err := group[n].f(tx); err != nil {
			return group, errors.Join(err, tx.Rollback())
		}
		for more := true; more && len(group) < maxGroup; {
			select {
			case w := <-others:
				group = append(group, w)
			default:
				more = false
			}
		}
	}
	return group, tx.Commit()
}

// Sync makes everything committed so far survive a power cut.
func (c *Catalog) Sync(context.Context) error { return sqlite.Sync(c.path) }
