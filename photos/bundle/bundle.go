// Package bundle is a Photos library as the tree of files that it is, whatever
// they are to Photos: what a restore makes of it is a library that Photos can
// open.
//
// [Bundle] is that tree alone: every regular file is an asset of kind other
// with one resource of role library. [Whole] joins it to a source that knows
// assets: what these do not name comes as orphans, so that nothing is stored
// twice.
//
// An SQLite database, by its first bytes and a size of whole sectors, is one
// file: a copy in one consistent state with its WAL folded in and what a crash
// left half done rolled back. So it can be read while Photos writes it, and
// its -wal, -shm and -journal are left out. What is left out besides: *.lock
// files, which say who has the library open now, folders without files, which
// Photos makes anew, links, and what is neither file nor folder, which is
// never opened. All but the companions of databases are counted in Warnings.
// What cannot be read is an asset whose resource is unavailable, an unreadable
// folder one whose id ends in "/".
//
// Nothing is ever written into the bundle. In memory are a part of one folder
// and the names of the folders still to be read.
package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"lightfast/internal/sqlite"
	"lightfast/photos"
)

// Options of a bundle.
type Options struct {
	// Library says who the library is. Required.
	Library func(ctx context.Context) (photos.Identity, error)
	// TempDir is where copies of databases lie, "" for the system's. It needs
	// room for the largest.
	TempDir string
	Log     *slog.Logger // nil for none
}

// Bundle is a photos.Source.
type Bundle struct {
	path    string // absolute and clean
	root    *os.Root
	library func(ctx context.Context) (photos.Identity, error)
	temp    string        // removed by Close
	large   chan struct{} // holds one while the copy of a large database exists
	log     *slog.Logger

	mu       sync.Mutex
	warnings []string // guarded by mu; of the last finished scan
}

var _ photos.Source = (*Bundle)(nil)

// Open opens the bundle at path. It fails with *photos.SourceError where there
// is none. The caller closes it.
func Open(path string, o Options) (*Bundle, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, &photos.SourceError{Path: path, Why: "no current directory", Err: err}
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, photos.FolderError(abs, err)
	}
	b := &Bundle{path: abs, root: root, library: o.Library, large: make(chan struct{}, 1), log: o.Log}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if err := b.check(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	if b.temp, err = os.MkdirTemp(o.TempDir, "lightfast-bundle-"); err != nil {
		return nil, errors.Join(fmt.Errorf("copies of databases: %w", err), root.Close())
	}
	return b, nil
}

// check tells an empty mount point from a library.
func (b *Bundle) check() error {
	top, err := fs.ReadDir(b.root.FS(), ".")
	if err != nil {
		return photos.FolderError(b.path, err)
	}
	if !slices.ContainsFunc(top, func(e fs.DirEntry) bool { return e.IsDir() && strings.EqualFold(e.Name(), "database") }) {
		return &photos.SourceError{Path: b.path, Why: "not a Photos library: no database folder", Do: "name the folder that ends in .photoslibrary"}
	}
	return nil
}

// Identity is that of the library with a mark: its snapshots hold files where
// those of the library hold assets, and must never be taken for one another.
func (b *Bundle) Identity(ctx context.Context) (photos.Identity, error) {
	if err := ctx.Err(); err != nil {
		return photos.Identity{}, err
	}
	if err := photos.InPlace(b.root, b.path); err != nil {
		return photos.Identity{}, err
	}
	id, err := b.library(ctx)
	id.ID += "-bundle"
	id.Name += " (bundle)"
	return id, err
}

// Open reads a file as it is now, or a copy of a database as it is now, which
// is gone with its reader and does not change. A large database waits until
// the reader of another one is closed.
func (b *Bundle) Open(ctx context.Context, r photos.Resource) (photos.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name := cmp.Or(string(r.PathRaw), r.Path)
	if !r.Present() || name == "" {
		return nil, fmt.Errorf("open %q: the resource is absent: %w", name, fs.ErrNotExist)
	}
	info, err := b.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if is, err := b.isDatabase(name, info); err != nil {
		return nil, err
	} else if is {
		return b.openCopy(ctx, name)
	}
	return photos.OpenFile(b.root, name)
}

// sector is the smallest page of an SQLite database. It spares the opening of
// most files: of those that are no database one in 512 has such a size.
const sector = 512

func (b *Bundle) isDatabase(name string, info fs.FileInfo) (bool, error) {
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size()%sector != 0 {
		return false, nil
	}
	return sqlite.IsDatabase(b.root, name)
}

// largeDatabase is where copies begin to be made one at a time. Smaller ones
// go in passing: waiting for a long upload would hold up the small files.
const largeDatabase = 8 << 20

func (b *Bundle) openCopy(ctx context.Context, name string) (_ photos.Reader, err error) {
	size, _, err := sqlite.Measure(ctx, b.root, name)
	if err != nil {
		return nil, err
	}
	release := func() {}
	if size > largeDatabase {
		select {
		case b.large <- struct{}{}:
			release = sync.OnceFunc(func() { <-b.large })
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() {
		if err != nil {
			release()
		}
	}()
	dir, err := os.MkdirTemp(b.temp, "")
	if err != nil {
		return nil, err
	}
	to := filepath.Join(dir, "copy.sqlite")
	f, err := b.copyTo(ctx, name, to)
	// Without a name the copy goes with this process, however that ends.
	if removed := os.RemoveAll(dir); err != nil {
		return nil, errors.Join(err, removed)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &copied{io.NewSectionReader(f, 0, info.Size()), f, release}, nil
}

func (b *Bundle) copyTo(ctx context.Context, name, to string) (*os.File, error) {
	_, err := sqlite.Capture(ctx, b.root, name, to)
	if errors.Is(err, sqlite.ErrBusy) {
		return nil, fmt.Errorf("copy %s: %w: %w", name, photos.ErrChanged, err)
	} else if err != nil {
		return nil, err
	}
	return os.Open(to)
}

// copied reads the copy of a database, a state that the library had.
type copied struct {
	*io.SectionReader
	f       *os.File
	release func()
}

func (c *copied) Unchanged() error { return nil }

func (c *copied) Close() error {
	defer c.release()
	return c.f.Close()
}

// Warnings are those of the last scan that came to its end.
func (b *Bundle) Warnings() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.warnings)
}

// Close lets go of the bundle. Open readers stay valid, but those of files
// cannot tell any more whether they changed.
func (b *Bundle) Close() error { return errors.Join(b.root.Close(), os.RemoveAll(b.temp)) }
