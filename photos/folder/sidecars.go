package folder

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"lightfast/photos"
)

// chunk is how many entries of a directory are in memory at once.
const chunk = 1024

// sidecars finds out which file of a directory owns which sidecars. The memory
// it takes grows with the number of sidecars in the directory, not with that
// of other files.
func sidecars(ctx context.Context, dir *os.File) (owned map[string][]string, err error) {
	named := map[string][]string{} // sidecars by stem
	err = inChunks(ctx, dir, dir.Readdirnames, func(name string) {
		if isSidecar(name) && !isLitter(name) {
			named[stem(name)] = append(named[stem(name)], name)
		}
	})
	if err != nil || len(named) == 0 {
		return nil, err
	}

	owners := map[string]string{} // by stem of their sidecars
	err = inChunks(ctx, dir, dir.ReadDir, func(e fs.DirEntry) {
		name := e.Name()
		if !e.Type().IsRegular() || isSidecar(name) || isLitter(name) {
			return
		}
		for _, s := range []string{name, stem(name)} {
			if _, ok := named[s]; ok && (owners[s] == "" || compareOwners(s, name, owners[s]) < 0) {
				owners[s] = name
			}
		}
	})
	if err != nil {
		return nil, err
	}

	owned = make(map[string][]string, len(owners))
	for s, owner := range owners {
		owned[owner] = append(owned[owner], named[s]...)
	}
	for _, names := range owned {
		slices.Sort(names)
	}
	return owned, nil
}

// compareOwners orders files that could all own the sidecars of a stem: the
// one that they are named for, then a photo, then a video, then by name.
func compareOwners(stem, a, b string) int {
	rank := func(name string) int {
		switch {
		case name == stem:
			return 0
		case kindOf(name) == photos.Photo:
			return 1
		case kindOf(name) == photos.Video:
			return 2
		}
		return 3
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
}

// inChunks calls do for everything that read finds in dir from its start.
func inChunks[T any](ctx context.Context, dir *os.File, read func(int) ([]T, error), do func(T)) error {
	if _, err := dir.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for {
		some, err := read(chunk)
		for _, one := range some {
			do(one)
		}
		if errors.Is(err, io.EOF) {
			return ctx.Err()
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
}
