package wire

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"lightfast/activities"
	"lightfast/internal/exit"
	"lightfast/internal/sqlite"
	"lightfast/internal/state"
	"lightfast/photos"
	"lightfast/photos/applelibrary"
	"lightfast/photos/bundle"
	"lightfast/photos/folder"
)

// OpenSource opens a library of the kind that it is, or that it is said to be.
func OpenSource(ctx context.Context, s activities.SourceSpec, d *state.Dir, exclude []string, log *slog.Logger) (photos.Source, error) {
	if KindOf(s) == "folder" {
		if s.Handling != "" {
			return nil, &exit.Error{Code: exit.Usage, What: "usage", Err: fmt.Errorf("--photos-handling is for Photos libraries; %s is a folder", s.Path),
				Do: "leave it out: of a folder every file is backed up"}
		}
		return source(folder.Open(s.Path, folder.Options{Name: s.Name, HostID: d.Host.ID, Exclude: append(exclude, d.Path), Log: log}))
	}
	return withTemp(d, func(temp string) (photos.Source, error) { return openPhotos(ctx, s, d, temp, log) })
}

func openPhotos(ctx context.Context, s activities.SourceSpec, d *state.Dir, temp string, log *slog.Logger) (photos.Source, error) {
	library := func(ctx context.Context) (*applelibrary.Library, error) {
		return applelibrary.Open(ctx, s.Path, applelibrary.Options{TempDir: temp, Log: log})
	}
	if s.Handling == "" || s.Handling == activities.PhotosOnly {
		return source(library(ctx))
	}
	tree, err := bundle.Open(s.Path, bundle.Options{TempDir: temp, Log: log, Library: func(ctx context.Context) (photos.Identity, error) {
		l, err := library(ctx)
		if err != nil {
			return unknownLibrary(s.Path, d.Host.ID, err)
		}
		id, err := l.Identity(ctx)
		return id, errors.Join(err, l.Close())
	}})
	if err != nil || s.Handling == activities.LibraryOnly {
		return source(tree, err)
	}
	l, err := library(ctx)
	if err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	return bundle.Join(l, tree), nil
}

// source makes no interface of what failed to open: that would not be nil.
func source[S photos.Source](s S, err error) (photos.Source, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// unknownLibrary names a library by host and path whose own database does not
// say who it is: damaged, or of a program that we do not know. As a tree of
// files it can be backed up all the same. What only the system refused for now
// (no permission, a busy database) must not give the library another name.
func unknownLibrary(path, host string, err error) (photos.Identity, error) {
	errno, system := errors.AsType[syscall.Errno](err)
	_, understood := errors.AsType[*photos.SourceError](err)
	if !understood || system && errno != syscall.ENOENT || errors.Is(err, sqlite.ErrBusy) {
		return photos.Identity{}, err
	}
	h := sha256.Sum256([]byte("lightfast bundle\x00" + host + "\x00" + path))
	return photos.Identity{
		ID:      fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16]),
		Kind:    "photos",
		Version: "unknown",
		Name:    strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)),
	}, nil
}

// KindOf tells a Photos library from a folder of photos: by what it is said to
// be, by its name, or by what is in it.
func KindOf(s activities.SourceSpec) string {
	if s.Kind != "" {
		return s.Kind
	}
	for _, ext := range []string{".photoslibrary", ".photolibrary", ".aplibrary"} {
		if strings.EqualFold(filepath.Ext(s.Path), ext) {
			return "photos"
		}
	}
	for _, db := range []string{"Photos.sqlite", "photos.db"} {
		if _, err := os.Stat(filepath.Join(s.Path, "database", db)); err == nil {
			return "photos"
		}
	}
	return "folder"
}
