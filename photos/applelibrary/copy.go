package applelibrary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"lightfast/internal/sqlite"
)

var (
	errBusy   = errors.New("database changed during every attempt to copy it")
	errNoFile = errors.New("not a regular file")
)

// copyAttempts bounds how often a copy is begun anew. Only a writer that
// empties its WAL during each of them gets that far.
const copyAttempts = 5

// copyDatabase copies the database name and its WAL from root to a new file,
// as one consistent state, and returns the stamp of that state. It never
// copies -shm, which SQLite makes anew.
func copyDatabase(ctx context.Context, root *os.Root, name, to string) (stamp, error) {
	for attempt := range copyAttempts {
		before, err := readStamp(root, name)
		if err != nil {
			return stamp{}, err
		}
		if err := copyFile(ctx, root, name, to); err != nil {
			return stamp{}, err
		}
		// Strictly after the main file: see sameState.
		if before.wal.size > 0 {
			err = copyFile(ctx, root, name+"-wal", to+"-wal")
		}
		after, err2 := readStamp(root, name)
		if err == nil && err2 == nil && sameState(before, after) {
			return before, nil
		}
		if err := errors.Join(err, err2); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return stamp{}, err // a WAL that goes away is a writer that closes; anything else is no race
		}
		if err := removeCopy(to); err != nil {
			return stamp{}, err
		}
		select {
		case <-time.After(20 * time.Millisecond << attempt):
		case <-ctx.Done():
			return stamp{}, ctx.Err()
		}
	}
	return backupLive(ctx, root, name, to)
}

// backupLive asks SQLite itself, which then takes part in the locking of the
// writer. That needs the writer's -shm file: without one SQLite would make it,
// inside the bundle, so this is never done.
func backupLive(ctx context.Context, root *os.Root, name, to string) (stamp, error) {
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := root.Lstat(name + suffix); err != nil {
			return stamp{}, errBusy
		}
	}
	before, err := readStamp(root, name)
	if err != nil {
		return stamp{}, err
	}
	if err := sqlite.Backup(ctx, filepath.Join(root.Name(), filepath.FromSlash(name)), to); err != nil {
		return stamp{}, fmt.Errorf("%w: %w", errBusy, err)
	}
	return before, nil
}

// sameState reports whether what was copied between the two stamps, the main
// file first, the WAL after it, is one state of the database.
//
// A WAL only grows until it is reset, and a reset changes the salts in its
// header. Without a reset, whatever a checkpoint wrote into the main file
// meanwhile is in the WAL that was copied afterwards, whose frames win; and a
// frame torn at its end fails its checksum, so that the copy ends with the
// last whole commit. So commits and checkpoints do no harm, only resets do.
func sameState(before, after stamp) bool {
	if before.wal.size == 0 {
		return before == after
	}
	return before.wal.head == after.wal.head && after.wal.size >= before.wal.size
}

// stamp tells states of a database apart without reading it.
type stamp struct{ main, wal fileStamp }

type fileStamp struct {
	size, mtime int64
	head        [100]byte // header: change counter of the main file, salts of the WAL
}

func readStamp(root *os.Root, name string) (s stamp, err error) {
	if s.main, err = readFileStamp(root, name); err != nil {
		return stamp{}, err
	}
	if s.wal, err = readFileStamp(root, name+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return stamp{}, err
	}
	clear(s.wal.head[32:]) // behind the header comes the first frame
	return s, nil
}

func readFileStamp(root *os.Root, name string) (s fileStamp, err error) {
	f, info, err := openRegular(root, name)
	if err != nil {
		return s, err
	}
	defer f.Close()
	s.size, s.mtime = info.Size(), info.ModTime().UnixNano()
	if _, err := f.ReadAt(s.head[:], 0); err != nil && err != io.EOF {
		return s, err
	}
	return s, nil
}

// openRegular opens a file of the bundle. Nothing but a regular file is ever
// opened: a pipe would block for ever.
func openRegular(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	if info, err := root.Stat(name); err != nil {
		return nil, nil, err
	} else if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("open %s: %w", name, errNoFile)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func copyFile(ctx context.Context, root *os.Root, name, to string) error {
	from, _, err := openRegular(root, name)
	if err != nil {
		return err
	}
	defer from.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	for err == nil && ctx.Err() == nil {
		_, err = io.CopyN(w, from, 64<<20)
	}
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, ctx.Err(), w.Close())
}

func removeCopy(to string) error {
	for _, p := range []string{to, to + "-wal", to + "-shm"} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
