package applelibrary

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"lightfast/internal/sqlite"
)

// mediaFolders hold files that belong to assets, or are orphans. Derivatives
// are left out: Photos makes them again.
var mediaFolders = []string{
	"originals",
	"resources/renders",
	"resources/cloudsharing/data", // Photos 5 to 7
	"scopes/cloudsharing/data",    // Photos 8 and later
	"scopes/syndication/originals",
	"scopes/syndication/resources/renders",
	"scopes/momentshared/originals",
	"scopes/momentshared/resources/renders",
	"Masters", // of Photos 4 and earlier: what a migration left behind
}

// file is a regular file of the bundle.
type file struct {
	path        string // inside the bundle
	size, mtime int64
}

// disk is what lies in the media folders. It is listed once per scan, each
// folder once, into a scratch database: that is bounded in memory whatever
// the size of the library, finds the siblings that no row mentions, matches
// names whatever their case, and what no asset takes is an orphan.
type disk struct {
	db      *sql.DB
	stem    func(name string) string
	find    *sql.Stmt
	given   map[string]int64 // files by path that were asked for and not explained yet
	taken   []uint64         // a bit per file; in memory, because each would cost a write
	skipped []string         // links, a few of them
}

func listDisk(ctx context.Context, root *os.Root, dir string, in layout) (_ *disk, err error) {
	d := &disk{stem: in.stem, given: map[string]int64{}}
	if d.db, err = sqlite.Open(filepath.Join(dir, "files.sqlite"), sqlite.Options{Scratch: true}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.db.Close()
		}
	}()
	// Rows of one stem lie together, and those of one folder share their
	// first letter: inserting touches a narrow part of the tree at a time,
	// which has room in the cache.
	if _, err := d.db.ExecContext(ctx, "PRAGMA cache_size = -32768; CREATE TABLE files (stem TEXT, path TEXT, size INTEGER, mtime INTEGER, id INTEGER, PRIMARY KEY (stem, path)) WITHOUT ROWID"); err != nil {
		return nil, err
	}
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	insert, err := tx.PrepareContext(ctx, "INSERT INTO files VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return nil, err
	}
	n := int64(0)
	for _, folder := range in.folders {
		err := d.list(ctx, root, folder, func(f file) error {
			// Without ctx: with one, the driver starts a goroutine for each.
			_, err := insert.Exec(d.stem(f.path), f.path, f.size, f.mtime, n)
			n++
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", folder, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	d.taken = make([]uint64, n/64+1)
	d.find, err = d.db.PrepareContext(ctx, "SELECT stem, path, size, mtime, id FROM files WHERE stem IN (SELECT value FROM json_each(?))")
	return d, err
}

func (d *disk) close() error { return d.db.Close() }

// list calls f for every regular file below folder.
func (d *disk) list(ctx context.Context, root *os.Root, folder string, f func(file) error) error {
	info, err := root.Lstat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		d.skip(folder)
		return nil
	}
	at, err := root.Open(folder)
	if err != nil {
		return err
	}
	defer at.Close()
	for {
		entries, err := at.ReadDir(1024)
		for _, e := range entries {
			if err := d.entry(ctx, root, path.Join(folder, e.Name()), e, f); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		} else if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (d *disk) entry(ctx context.Context, root *os.Root, name string, e fs.DirEntry, f func(file) error) error {
	if base := e.Name(); base == ".DS_Store" || strings.HasPrefix(base, "._") || !e.IsDir() && bookkeeping(name) {
		return nil
	}
	if e.IsDir() {
		return d.list(ctx, root, name, f)
	}
	info, err := e.Info()
	switch {
	case errors.Is(err, fs.ErrNotExist): // gone since
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		d.skip(name)
		return nil
	case !info.Mode().IsRegular():
		return nil
	}
	return f(file{path: name, size: info.Size(), mtime: info.ModTime().UnixNano()})
}

// bookkeeping tells Photos' own files among those of shared albums, which lie
// in a folder for the album in one for its owner.
func bookkeeping(name string) bool {
	_, under, ok := strings.Cut(name, "/cloudsharing/data/")
	return ok && (strings.Count(under, "/") < 2 || strings.HasSuffix(under, ".plist"))
}

// skip notes a link. Photos makes none, and one may lead anywhere.
func (d *disk) skip(name string) {
	if len(d.skipped) < 10 {
		d.skipped = append(d.skipped, name)
	}
}

// files returns the files of each stem.
func (d *disk) files(ctx context.Context, stems []string) (map[string][]file, error) {
	list, err := json.Marshal(stems)
	if err != nil {
		return nil, err
	}
	rows, err := d.find.QueryContext(ctx, string(list))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[string][]file, len(stems))
	for rows.Next() {
		var (
			stem string
			f    file
			id   int64
		)
		if err := rows.Scan(&stem, &f.path, &f.size, &f.mtime, &id); err != nil {
			return nil, err
		}
		found[stem] = append(found[stem], f)
		d.given[f.path] = id
	}
	return found, rows.Err()
}

// explained takes files that were given off the list of orphans. Another
// asset may have them as well.
func (d *disk) explained(names []string) {
	for _, name := range names {
		if id, ok := d.given[name]; ok {
			d.taken[id/64] |= 1 << (id % 64)
		}
	}
	clear(d.given)
}

// orphans gives the files that are left, in a fixed order, page by page.
func (d *disk) orphans(ctx context.Context, give func(file) error) error {
	var stem, path string
	for {
		left, more, err := d.after(ctx, &stem, &path)
		if err != nil {
			return err
		}
		for _, f := range left {
			if err := give(f); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
	}
}

// after returns what is left of the next page, and moves stem and path to its
// end.
func (d *disk) after(ctx context.Context, stem, path *string) (left []file, more bool, err error) {
	rows, err := d.db.QueryContext(ctx, "SELECT stem, path, size, mtime, id FROM files WHERE (stem, path) > (?, ?) ORDER BY stem, path LIMIT 5000", *stem, *path)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			f  file
			id int64
		)
		if err := rows.Scan(stem, &f.path, &f.size, &f.mtime, &id); err != nil {
			return nil, false, err
		}
		more, *path = true, f.path
		if d.taken[id/64]&(1<<(id%64)) == 0 {
			left = append(left, f)
		}
	}
	return left, more, rows.Err()
}

// stem is what the files of one asset have in common: the UUID at the start
// of their names, or the name up to "_N" and the extension.
func stem(name string) string {
	name = path.Base(name)
	if len(name) >= 36 && name[8] == '-' && name[13] == '-' && name[18] == '-' && name[23] == '-' {
		return strings.ToUpper(name[:36])
	}
	name = strings.TrimSuffix(name, path.Ext(name))
	if n := len(name); n > 2 && name[n-2] == '_' && name[n-1] >= '0' && name[n-1] <= '9' {
		name = name[:n-2]
	}
	return strings.ToUpper(name)
}
