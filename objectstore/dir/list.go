package dir

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lightfast/objectstore"
)

// List implements objectstore.Store. It holds the names of the directories on
// the way to the present key, not of those beside it.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		if err := s.list(ctx, prefix, yield); err != nil && err != errStop {
			yield(objectstore.Info{}, fail("list", prefix, err))
		}
	}
}

var errStop = errors.New("stop")

func (s *Store) list(ctx context.Context, prefix string, yield func(objectstore.Info, error) bool) error {
	if err := objectstore.CheckPrefix(prefix); err != nil {
		return &objectstore.Error{Class: objectstore.Invalid, Op: "list", Key: prefix, Err: err}
	}
	r, err := s.openRoot()
	if err != nil {
		return err
	}
	defer r.Close()
	return walk(ctx, r, path.Clean(prefix), func(at string, info fs.FileInfo) error {
		if strings.HasPrefix(info.Name(), tempPrefix) {
			return nil
		}
		i := infoOf(path.Join(at, info.Name()), info)
		if !yield(objectstore.Info{Key: i.Key, Size: i.Size, Modified: i.Modified}, nil) {
			return errStop
		}
		return nil
	})
}

// walk calls do for each regular file below the directory at, in byte order of
// whole paths. What vanishes meanwhile, and a directory that was never there,
// are passed over. Symbolic links are not followed.
func walk(ctx context.Context, r *os.Root, at string, do func(at string, info fs.FileInfo) error) error {
	d, err := r.OpenFile(at, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	} else if err != nil {
		return err
	}
	entries, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		return err
	}
	// In keys a directory's name goes on with "/", which sorts after "-" and ".".
	whole := func(e fs.DirEntry) string {
		if e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(whole(a), whole(b)) })
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case e.IsDir():
			err = walk(ctx, r, path.Join(at, e.Name()), do)
		case e.Type().IsRegular():
			var info fs.FileInfo
			if info, err = r.Lstat(path.Join(at, e.Name())); err == nil {
				err = do(at, info)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
