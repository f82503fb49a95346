// Package folder is a photo library that is a plain folder of files.
//
// Every regular file is an asset, whatever its kind, but for the litter of
// operating systems (.DS_Store, Thumbs.db, ._*), which is counted. An .aae or
// .xmp file is a sidecar of the photo or video beside it that has the same
// stem (IMG_1.aae of IMG_1.HEIC) or that it is named for (IMG_1.HEIC.xmp).
// Nothing else is paired: the two files of a Live Photo are two assets here,
// because in a folder nothing but their names says that they belong together.
//
// Symlinks are never followed; FIFOs, sockets and devices are never opened. What
// cannot be read is an asset whose resource is unavailable, so that it counts
// as a hole: an unreadable directory has its path and "/" as id.
//
// Files are found by directory handles, not by whole paths, so that neither
// the depth of a tree nor the length of a path has a limit. In memory are a
// part of one directory, the names of the sidecars in it, and the names of
// the directories still to be read.
package folder

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"lightfast/photos"
)

// Options of a folder. The zero value is useful.
type Options struct {
	// Name is what the folder is called, and then its identity, so that it may
	// move to another path or host. Without one it is named for its base name
	// and identified by HostID and path.
	Name   string
	HostID string

	// Exclude are absolute paths of files and folders that are left out, such
	// as a state directory or a destination inside the folder.
	Exclude []string

	Log *slog.Logger // nil for none
}

// Folder is a photos.Source.
type Folder struct {
	path     string // absolute and clean
	root     *os.Root
	identity photos.Identity
	exclude  []string
	log      *slog.Logger

	mu       sync.Mutex
	warnings []string // guarded by mu; of the last finished scan
}

var _ photos.Source = (*Folder)(nil)

// Open opens the folder at path. It fails with *photos.SourceError. The caller
// closes it; until then it holds on to the folder, even if that is renamed.
func Open(path string, o Options) (*Folder, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, &photos.SourceError{Path: path, Why: "no current directory", Err: err}
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, photos.FolderError(abs, err)
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Folder{path: abs, root: root, identity: identify(abs, o), exclude: inside(abs, o.Exclude), log: log}, nil
}

// inside returns those of paths that lie in root, relative to it, whichever
// symlinks they were written with.
func inside(root string, paths []string) (relative []string) {
	for _, p := range paths {
		for _, resolve := range []func(string) (string, error){filepath.Abs, filepath.EvalSymlinks} {
			r, rootErr := resolve(root)
			p, pathErr := resolve(p)
			if rootErr != nil || pathErr != nil {
				continue
			}
			if rel, err := filepath.Rel(r, p); err == nil && filepath.IsLocal(rel) {
				relative = append(relative, rel)
			}
		}
	}
	return relative
}

func identify(abs string, o Options) photos.Identity {
	name, what := o.Name, "name\x00"+o.Name
	if name == "" {
		name, what = filepath.Base(abs), "path\x00"+o.HostID+"\x00"+abs
	}
	h := sha256.Sum256([]byte("lightfast folder\x00" + what))
	return photos.Identity{
		ID:      fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16]),
		Kind:    "folder",
		Version: "1",
		Name:    strings.ToValidUTF8(name, "\ufffd"),
	}
}

// Identity answers for the folder that was opened, as long as it is at its
// path.
func (f *Folder) Identity(ctx context.Context) (photos.Identity, error) {
	if err := ctx.Err(); err != nil {
		return photos.Identity{}, err
	}
	if err := photos.InPlace(f.root, f.path); err != nil {
		return photos.Identity{}, err
	}
	return f.identity, nil
}

// Open reads the file as it is now. Whoever needs it to be what the scan saw
// compares Size of the reader.
func (f *Folder) Open(ctx context.Context, r photos.Resource) (photos.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path := cmp.Or(string(r.PathRaw), r.Path)
	if !r.Present() || path == "" {
		return nil, fmt.Errorf("open %q: the resource is absent: %w", path, fs.ErrNotExist)
	}
	return photos.OpenFile(f.root, path)
}

// Warnings are those of the last scan that came to its end.
func (f *Folder) Warnings() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.warnings)
}

// Close lets go of the folder. Open readers stay valid, but cannot tell any
// more whether they changed.
func (f *Folder) Close() error { return f.root.Close() }
