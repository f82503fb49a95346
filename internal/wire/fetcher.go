package wire

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize"

	"lightfast/activities"
	"lightfast/internal/exit"
	"lightfast/internal/spool"
	"lightfast/internal/state"
	"lightfast/photos"
	"lightfast/photos/photokit"
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
			helper, err := FindHelper()
			if helper == "" || err != nil {
				return nil, err
			}
			return photokit.New(photokit.Options{Helper: helper, Readers: readers, Log: o.Log}), nil
		},
	}, nil
}

// FindHelper returns the path of the program that talks to Photos: what
// LIGHTFAST_PHOTOKIT_HELPER says, else the one beside our own. It is "" where
// there is none, as on any other system than a Mac.
func FindHelper() (string, error) {
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

// SpoolOptions reads sizes as the flags --spool and --keep-free have them, ""
// for the usual.
func SpoolOptions(budget, floor string) (o spool.Options, err error) {
	for _, f := range []struct {
		flag, value string
		least       uint64
		to          *int64
	}{{"--spool", budget, 1 << 20, &o.Budget}, {"--keep-free", floor, 1, &o.Floor}} {
		if f.value == "" {
			continue
		}
		n, err := humanize.ParseBytes(f.value)
		if err != nil || n < f.least || n > 1<<50 {
			return o, &exit.Error{Code: exit.Usage, What: "usage", Err: fmt.Errorf("%s %q is no size of at least %s", f.flag, f.value, humanize.IBytes(f.least)), Do: "write it like 2GiB"}
		}
		*f.to = int64(n)
	}
	return o, nil
}
