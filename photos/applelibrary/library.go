// Package applelibrary reads the libraries of Photos 2 and later (macOS 10.12
// to 26; 10.13 and later seen) from the file system and SQLite alone, on any
// operating system.
//
// It never creates or changes anything inside the bundle: the database is read
// from a private copy, and only regular files below the bundle (and files that
// the library itself refers to outside of it) are opened. Tables and columns
// are found by looking at the schema, never by a table of versions, so that an
// unknown model is read as far as it can be.
//
// What it knows of Apple's format was measured on real libraries; where that
// knowledge is a guess, a comment says so.
package applelibrary

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"lightfast/internal/sqlite"
	"lightfast/photos"
)

// Options of Open.
type Options struct {
	// TempDir is where the private copy of the database lies, "" for the
	// system's. It needs room for the database, not for photos.
	TempDir string
	// Log hears what no user has to act on. Nil is silence.
	Log *slog.Logger
}

// Library is an open Photos library.
type Library struct {
	path string
	root *os.Root
	temp string // removed by Close
	log  *slog.Logger

	mu       sync.Mutex // guards what follows
	view     *view
	warnings []string
}

var _ photos.Source = (*Library)(nil)

// Open opens the library at path. It fails with *photos.SourceError where
// there is none, or none that can be read. Close what it returns.
func Open(ctx context.Context, path string, o Options) (*Library, error) {
	root, err := openBundle(path)
	if err != nil {
		return nil, err
	}
	l := &Library{path: path, root: root, log: o.Log}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.temp, err = os.MkdirTemp(o.TempDir, "lightfast-library-"); err != nil {
		root.Close()
		return nil, fmt.Errorf("copy of the library database: %w", err)
	}
	if l.view, err = l.newView(ctx); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Close removes the private copy. No scan may be running.
func (l *Library) Close() error {
	if l.view != nil {
		l.view.db.Close()
	}
	l.root.Close()
	return os.RemoveAll(l.temp)
}

// Identity returns the UUID of the library's database.
func (l *Library) Identity(ctx context.Context) (photos.Identity, error) {
	if err := ctx.Err(); err != nil {
		return photos.Identity{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	id, version := l.view.gen.identity()
	return photos.Identity{
		ID:      id,
		Kind:    "photos",
		Version: version,
		Name:    strings.TrimSuffix(filepath.Base(l.path), filepath.Ext(l.path)),
	}, nil
}

// Warnings of the last finished scan.
func (l *Library) Warnings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.warnings)
}

// acquire returns a copy of the database as it is now: the last one, if the
// database has not been written since. Release it.
func (l *Library) acquire(ctx context.Context) (*view, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now, err := sqlite.ReadStamp(l.root, l.view.name); err != nil || now != l.view.stamp {
		v, err := l.newView(ctx)
		if err != nil {
			return nil, err
		}
		if l.view.users == 0 {
			l.view.remove()
		}
		l.view = v
	}
	l.view.users++
	return l.view, nil
}

func (l *Library) release(v *view) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v.users--; v.users == 0 && v != l.view {
		v.remove()
	}
}
