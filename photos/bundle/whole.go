package bundle

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"unicode/utf8"

	"lightfast/internal/sqlite"
	"lightfast/photos"
)

// Whole is a Photos library with all files of its bundle: the assets of the
// library, then, as orphans, the files that none of them names.
type Whole struct {
	photos.Source // the library
	bundle        *Bundle
}

var _ photos.Source = (*Whole)(nil)

// Join joins a library to its bundle. Closing what it returns closes both.
func Join(library photos.Source, b *Bundle) *Whole { return &Whole{library, b} }

// orphanPrefix keeps the ids of files apart from those of assets.
const orphanPrefix = "library:"

// Scan yields the assets of the library and then the rest of the bundle. What
// the assets name is kept in a file meanwhile, not in memory.
func (w *Whole) Scan(ctx context.Context) iter.Seq2[photos.Asset, error] {
	return func(yield func(photos.Asset, error) bool) {
		n, err := newNamed(ctx, w.bundle.temp)
		if err != nil {
			yield(photos.Asset{}, err)
			return
		}
		defer n.close()
		for a, err := range w.Source.Scan(ctx) {
			if err == nil {
				err = n.add(ctx, a)
			}
			if err != nil {
				yield(photos.Asset{}, err)
				return
			}
			if !yield(a, nil) {
				return
			}
		}
		if err := n.index(ctx); err != nil {
			yield(photos.Asset{}, err)
			return
		}
		w.bundle.scan(ctx, func(a photos.Asset, err error) bool {
			if err == nil {
				a.ID, a.Orphan = orphanPrefix+a.ID, true
			}
			return yield(a, err)
		}, func(paths []string) (map[string]bool, error) { return n.among(ctx, paths) })
	}
}

// Open opens files of the bundle, and leaves the rest to the library.
func (w *Whole) Open(ctx context.Context, r photos.Resource) (photos.Reader, error) {
	if r.Role == photos.RoleLibrary {
		return w.bundle.Open(ctx, r)
	}
	return w.Source.Open(ctx, r)
}

// Warnings of both.
func (w *Whole) Warnings() []string { return append(w.Source.Warnings(), w.bundle.Warnings()...) }

// Close closes both.
func (w *Whole) Close() error { return errors.Join(w.Source.Close(), w.bundle.Close()) }

// named is the set of the paths that assets name: filled, then indexed, then
// asked.
type named struct {
	dir  string
	db   *sql.DB
	fill *sql.Tx
	put  *sql.Stmt
}

func newNamed(ctx context.Context, temp string) (_ *named, err error) {
	n := &named{}
	if n.dir, err = os.MkdirTemp(temp, "named-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	if n.db, err = sqlite.Open(filepath.Join(n.dir, "named.sqlite"), sqlite.Options{Scratch: true}); err != nil {
		return nil, err
	}
	if n.fill, err = n.db.BeginTx(ctx, nil); err != nil {
		return nil, err
	}
	if _, err := n.fill.ExecContext(ctx, "CREATE TABLE named (path TEXT)"); err != nil {
		return nil, err
	}
	n.put, err = n.fill.PrepareContext(ctx, "INSERT INTO named VALUES (?)")
	return n, err
}

func (n *named) add(ctx context.Context, a photos.Asset) error {
	for _, r := range a.Resources {
		path := cmp.Or(string(r.PathRaw), r.Path)
		if !r.Present() || path == "" {
			continue
		}
		if _, err := n.put.ExecContext(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

// index is made at the end: to sort once is far cheaper than to insert each
// path at its place.
func (n *named) index(ctx context.Context) error {
	if err := n.fill.Commit(); err != nil {
		return err
	}
	n.fill = nil
	_, err := n.db.ExecContext(ctx, "CREATE INDEX paths ON named (path)")
	return err
}

// among returns which of paths are named. It asks for all at once, which costs
// a tenth, but for those that JSON cannot say.
func (n *named) among(ctx context.Context, paths []string) (map[string]bool, error) {
	found := map[string]bool{}
	var texts []string
	for _, p := range paths {
		if utf8.ValidString(p) {
			texts = append(texts, p)
		} else if err := n.find(ctx, found, "SELECT path FROM named WHERE path = ?", p); err != nil {
			return nil, err
		}
	}
	list, err := json.Marshal(texts)
	if err != nil {
		return nil, err
	}
	return found, n.find(ctx, found, "SELECT path FROM named WHERE path IN (SELECT value FROM json_each(?))", string(list))
}

func (n *named) find(ctx context.Context, found map[string]bool, query, arg string) error {
	rows, err := n.db.QueryContext(ctx, query, arg)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var path string
		if err := rows.Scan(&path); err != nil {
			return err
		}
		found[path] = true
	}
	return rows.Err()
}

func (n *named) close() {
	if n.fill != nil {
		n.fill.Rollback()
	}
	if n.db != nil {
		n.db.Close()
	}
	os.RemoveAll(n.dir)
}
