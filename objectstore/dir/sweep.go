package dir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"lightfast/objectstore"
)

// Sweep implements objectstore.Sweeper.
func (s *Store) Sweep(ctx context.Context, keep []objectstore.Upload) error {
	return fail("sweep", s.root, s.sweep(ctx, keep))
}

func (s *Store) sweep(ctx context.Context, keep []objectstore.Upload) error {
	r, err := s.openRoot()
	if err != nil {
		return err
	}
	defer r.Close()
	kept := map[string]bool{}
	for _, u := range keep {
		kept[tempPrefix+u.ID] = true
	}
	return walk(ctx, r, ".", func(at string, info fs.FileInfo) error {
		data, isJournal := strings.CutSuffix(info.Name(), journalSuffix)
		name, mine := strings.CutPrefix(data, s.prefix)
		if !mine || !random.MatchString(name) || kept[data] {
			return nil
		}
		if isJournal {
			return s.sweepJournal(r, path.Join(at, data))
		}
		return s.sweepData(r, path.Join(at, data))
	})
}

// sweepData removes a temporary file, and the journal beside it, unless
// somebody holds it.
func (s *Store) sweepData(r *os.Root, name string) error {
	f, err := r.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil // alive, or a file system that cannot tell
	}
	s.log.Info("temporary file of a dead process removed", "name", name)
	err = r.Remove(name)
	if e := r.Remove(name + journalSuffix); e != nil && !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

// sweepJournal removes a journal whose data has got its final name. Data comes
// before its journal at the beginning, so the journal of a new upload is never
// without.
func (s *Store) sweepJournal(r *os.Root, data string) error {
	if _, err := r.Lstat(data); !errors.Is(err, fs.ErrNotExist) {
		return err // nil: the data's own turn decides
	}
	return r.Remove(data + journalSuffix)
}
