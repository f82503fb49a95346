package wire

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"lightfast/activities"
	"lightfast/internal/spool"
	"lightfast/internal/state"
	"lightfast/photos"
)

// helperName is the program that talks to Photos, beside our own.
const helperName = "photokit-helper"

// newFetching opens the spool, so that what a dead process left there goes
// also where nothing can be fetched any more.
func newFetching(d *state.Dir, o Options) (activities.Fetching, error) {
	dir, err := d.Spool()
	if err != nil {
		return activities.Fetching{}, err
	}
	o.Spool.Log = o.Log
	s, err := spool.Open(dir, o.Spool)
	if err != nil {
		return activities.Fetching{}, err
	}
	readers := max(o.Readers, 1)
	return activities.Fetching{
		Spool: s, Readers: readers,
		Open: func(_ context.Context, spec activities.SourceSpec) (photos.Fetcher, error) {
			if KindOf(spec) == "folder" || spec.Handling == activities.LibraryOnly {
				return nil, nil // a folder and a bundle as a tree are what is on the disk
			}
			if o.Fetcher != nil {
				return o.Fetcher(readers, o.Log)
			}
			return nil, nil
		},
	}, nil
}

// Helper finds the program that talks to Photos: by LIGHTFAST_PHOTOKIT_HELPER,
// else beside this one. It is "" where there is none, as on any other system.
func Helper() (string, error) {
	if path := os.Getenv("LIGHTFAST_PHOTOKIT_HELPER"); path != "" {
		_, err := os.Stat(path)
		return path, err
	}
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), helperName)
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return "", err
	}
	return path, nil
}
