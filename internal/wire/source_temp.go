package wire

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
	"github.com/google/uuid"

	"lightfast/internal/state"
	"lightfast/photos"
)

// withTemp opens a source that has a folder of its own for copies of
// databases. The folder goes when the source is closed, or, when its process
// was killed, as soon as another one opens a source: of several GB nobody
// would want one for each kill.
func withTemp(d *state.Dir, open func(temp string) (photos.Source, error)) (photos.Source, error) {
	all, err := d.Temp()
	if err != nil {
		return nil, err
	}
	sweepTemp(all)
	t, err := lockTemp(all)
	if err != nil {
		return nil, fmt.Errorf("folder for copies of databases: %w", err)
	}
	if err = os.Mkdir(t.dir, 0o700); err == nil {
		t.Source, err = open(t.dir)
	}
	if err != nil {
		return nil, errors.Join(err, t.remove())
	}
	return t, nil
}

// lockTemp draws names until it holds the lock of one: a sweep may take a lock
// that is not held yet for that of a dead process.
func lockTemp(all string) (*tempSource, error) {
	for {
		name := filepath.Join(all, uuid.NewString())
		lock := flock.New(name+lockSuffix, flock.SetPermissions(0o600))
		ok, err := lock.TryLock()
		if err != nil {
			return nil, err
		}
		if _, err := os.Lstat(lock.Path()); ok && err == nil {
			return &tempSource{dir: name, lock: lock}, nil
		}
		lock.Close()
	}
}

const lockSuffix = ".lock"

// tempSource is a source with its folder.
type tempSource struct {
	photos.Source
	dir  string
	lock *flock.Flock // the kernel drops it when the process dies
}

func (t *tempSource) Close() error { return errors.Join(t.Source.Close(), t.remove()) }

func (t *tempSource) remove() error {
	return errors.Join(os.RemoveAll(t.dir), os.Remove(t.lock.Path()), t.lock.Unlock())
}

// sweepTemp removes the folders of dead processes. What fails is tried again
// by the next one.
func sweepTemp(all string) {
	locks, err := filepath.Glob(filepath.Join(all, "*"+lockSuffix))
	if err != nil {
		return
	}
	for _, path := range locks {
		lock := flock.New(path, flock.SetPermissions(0o600))
		if ok, err := lock.TryLock(); err != nil || !ok {
			continue
		}
		(&tempSource{dir: strings.TrimSuffix(path, lockSuffix), lock: lock}).remove()
	}
}
