package activities

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"lightfast/internal/exit"
	"lightfast/manifest"
	"lightfast/objectstore"
)

// Snapshots yields the heads of a repository, or of one library if named, by
// library and then by time. A head that cannot be read is an error of its
// own, with the others after it.
func Snapshots(ctx context.Context, s objectstore.Store, library string) iter.Seq2[manifest.Head, error] {
	prefix := manifest.SnapshotPrefix
	if library != "" {
		prefix += manifest.LibraryKey(library) + "/"
	}
	return heads(ctx, s, prefix, func(key string) bool {
		_, _, ok := manifest.ParseHeadKey(key)
		return ok
	})
}

// interims yields the heads of runs that had not ended.
func interims(ctx context.Context, s objectstore.Store) iter.Seq2[manifest.Head, error] {
	return heads(ctx, s, manifest.SnapshotPrefix, func(key string) bool {
		_, _, _, ok := manifest.ParseInterimKey(key)
		return ok
	})
}

func heads(ctx context.Context, s objectstore.Store, prefix string, want func(key string) bool) iter.Seq2[manifest.Head, error] {
	return func(yield func(manifest.Head, error) bool) {
		for info, err := range s.List(ctx, prefix) {
			if err != nil {
				yield(manifest.Head{}, err)
				return
			}
			if !want(info.Key) {
				continue
			}
			h, err := ReadHead(ctx, s, info.Key)
			if err != nil {
				err = fmt.Errorf("%s: %w", info.Key, err)
			}
			if !yield(h, err) {
				return
			}
		}
	}
}

// FindSnapshot returns the head that a person means: by id or the beginning
// of one, or "latest" of the only library or of the one named (by id or name).
func FindSnapshot(ctx context.Context, s objectstore.Store, dest, library, snapshot string) (manifest.Head, error) {
	if _, err := ReadConfig(ctx, s); errors.Is(err, objectstore.NotFound) {
		return manifest.Head{}, &exit.Error{Code: exit.NoRepo, What: "no repository at " + dest, Do: "check the address"}
	} else if err != nil {
		return manifest.Head{}, RepositoryEnd(dest, err)
	}
	found, err := findHead(ctx, s, dest, library, snapshot, Snapshots(ctx, s, ""))
	if exit.CodeOf(err) == exit.Failed {
		// A first backup that never ended can be restored as far as it got.
		if interim, err := findHead(ctx, s, dest, library, snapshot, interims(ctx, s)); err == nil {
			return interim, nil
		}
	}
	return found, err
}

func findHead(ctx context.Context, s objectstore.Store, dest, library, snapshot string, heads iter.Seq2[manifest.Head, error]) (manifest.Head, error) {
	var found manifest.Head
	libraries := map[string]string{}
	var unread error
	for h, err := range heads {
		if objectstore.ClassOf(err) != "" {
			return found, RepositoryEnd(dest, err)
		}
		if err != nil { // one damaged head must not hide the others
			unread = err
			continue
		}
		if library != "" && library != h.Library.ID && library != h.Library.Name {
			continue
		}
		libraries[h.Library.ID] = h.Library.Name
		if (snapshot == "latest" || strings.HasPrefix(h.ID, snapshot)) && newer(h, found) {
			found = h
		}
	}
	switch {
	case snapshot == "latest" && len(libraries) > 1:
		return found, &exit.Error{Code: exit.Usage, What: fmt.Sprintf("%d libraries are backed up to %s", len(libraries), dest), Do: "name one with --library"}
	case found.ID == "" && unread != nil:
		return found, RepositoryEnd(dest, unread)
	case found.ID == "":
		return found, &exit.Error{Code: exit.Failed, What: "no snapshot " + snapshot + " at " + dest, Do: "`lightfast snapshots` lists what is there"}
	}
	return found, nil
}

// newer: by time, and of the heads of one run the one that has more.
func newer(a, b manifest.Head) bool {
	return a.Time.After(b.Time) || a.Time.Equal(b.Time) && a.Totals.Stored >= b.Totals.Stored
}

// ReadPage yields the assets of a page, proven by its hash before the first.
func ReadPage(ctx context.Context, s objectstore.Store, ref manifest.PageRef) iter.Seq2[manifest.Asset, error] {
	return func(yield func(manifest.Asset, error) bool) {
		body, err := s.Get(ctx, manifest.PageKey(ref.SHA256), 0, -1)
		if err != nil {
			yield(manifest.Asset{}, err)
			return
		}
		defer body.Close()
		for a, err := range manifest.ReadPage(body, ref.SHA256) {
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}
