package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

var (
	// ErrBusy means that a database changed during every attempt to copy it.
	ErrBusy = errors.New("database changed during every attempt to copy it")
	// ErrNoFile means that something else than a regular file has its name.
	ErrNoFile = errors.New("not a regular file")
)

// captureAttempts bounds how often a copy is begun anew. Only a writer that
// empties its WAL during each of them, or one without a WAL that never rests,
// gets that far.
const captureAttempts = 5

// Capture copies the database name of root, which another program may be
// writing, to the new file to, as one consistent state: its WAL folded in,
// what a crash left half done rolled back, no file beside it. It returns the
// stamp of that state. What is unchanged is captured to the same bytes.
//
// It reads files and never lets SQLite near them, so nothing appears beside
// the original. Only where that fails for good does it ask SQLite (see
// backupLive). It fails with fs.ErrNotExist, ErrNoFile and ErrBusy, and
// leaves nothing then.
func Capture(ctx context.Context, root *os.Root, name, to string) (s Stamp, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, removeCopy(to))
		}
	}()
	for attempt := range captureAttempts {
		s, ok, err := copyState(ctx, root, name, to)
		if err != nil {
			return s, err
		}
		if ok {
			return s, s.settle(ctx, to)
		}
		if err := removeCopy(to); err != nil {
			return s, err
		}
		select {
		case <-time.After(20 * time.Millisecond << attempt):
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
	return backupLive(ctx, root, name, to)
}

// copyState copies a database and what lies beside it, but for -shm, which
// SQLite makes anew. ok is false where that is no state it ever had.
func copyState(ctx context.Context, root *os.Root, name, to string) (before Stamp, ok bool, err error) {
	if before, err = ReadStamp(root, name); err != nil {
		return before, false, err
	}
	settled := before.settled(time.Now())
	if err := copyFile(ctx, root, name, to); err != nil {
		return before, false, err
	}
	// Strictly after the main file: see sameState.
	if before.wal.size > 0 {
		err = copyFile(ctx, root, name+"-wal", to+"-wal")
	}
	if before.hot() {
		err = errors.Join(err, copyFile(ctx, root, name+"-journal", to+"-journal"))
	}
	after, err2 := ReadStamp(root, name)
	if err := errors.Join(err, err2); errors.Is(err, fs.ErrNotExist) {
		return before, false, nil // a writer that closes or commits
	} else if err != nil {
		return before, false, err
	}
	return before, sameState(before, after, settled), nil
}

// settle makes one file of what was copied.
func (s Stamp) settle(ctx context.Context, to string) error {
	if s.hot() {
		if err := rollBack(ctx, to); err != nil {
			return err
		}
	} else if s.wal.size > 0 {
		if err := foldFile(ctx, to); err != nil {
			return err
		}
	}
	return removeBeside(to)
}

func foldFile(ctx context.Context, to string) error {
	log, err := os.Open(to + "-wal")
	if err != nil {
		return err
	}
	defer log.Close()
	w, err := readWAL(ctx, log)
	if err != nil {
		return err
	}
	if _, err := log.Seek(0, io.SeekStart); err != nil {
		return err
	}
	db, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(w.fold(ctx, log, db), db.Close())
}

// rollBack has SQLite do to the copy what it would do to the original: it
// undoes what the journal says, applies the WAL if there is one, and leaves
// one file.
func rollBack(ctx context.Context, to string) error {
	db, err := Open(to, Options{Copy: true})
	if err != nil {
		return err
	}
	var n int
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&n)
	if IsDamaged(err) {
		err = nil // rolled back it is all the same
	}
	return errors.Join(err, db.Close())
}

// backupLive asks SQLite itself, which then takes part in the locking of the
// writer. That needs the writer's -shm file, or a database that uses none:
// else SQLite would make one beside the original, so this is never done.
func backupLive(ctx context.Context, root *os.Root, name, to string) (Stamp, error) {
	s, err := ReadStamp(root, name)
	if err != nil {
		return s, err
	}
	_, noWAL := root.Lstat(name + "-wal")
	_, noShm := root.Lstat(name + "-shm")
	// Versions 1 in the header: a rollback journal, no WAL.
	journaled := noWAL != nil && s.main.head[18] == 1 && s.main.head[19] == 1
	if !journaled && (noWAL != nil || noShm != nil) {
		return s, ErrBusy
	}
	if err := Backup(ctx, filepath.Join(root.Name(), filepath.FromSlash(name)), to); err != nil {
		return s, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return s, removeBeside(to)
}

// sameState reports whether what was copied between the two stamps, the main
// file first, the WAL after it, is one state of the database.
//
// A WAL only grows until it is reset, and a reset changes the salts in its
// header. Without a reset, whatever a checkpoint wrote into the main file
// meanwhile is in the WAL that was copied afterwards, whose frames win; and a
// frame torn at its end fails its checksum, so that the copy ends with the
// last whole commit. So commits and checkpoints do no harm, only resets do.
// Without a WAL nothing may have changed, the journal included.
func sameState(before, after Stamp, settled bool) bool {
	if before.wal.size == 0 || before.hot() || after.hot() {
		return settled && before == after
	}
	return before.wal.head == after.wal.head && after.wal.size >= before.wal.size
}

// Measure says, without a copy, what Capture would make of a database now:
// its size, and when the database or what lies beside it was last written, in
// Unix nanoseconds.
func Measure(ctx context.Context, root *os.Root, name string) (size, modTime int64, err error) {
	s, err := ReadStamp(root, name)
	if err != nil {
		return 0, 0, err
	}
	size, modTime = s.main.size, s.main.mtime
	if s.hot() {
		// Initial pages, and their size.
		size = int64(binary.BigEndian.Uint32(s.journal.head[16:])) * int64(binary.BigEndian.Uint32(s.journal.head[24:]))
		modTime = max(modTime, s.journal.mtime)
	}
	if s.wal.size > 0 {
		f, _, err := openRegular(root, name+"-wal")
		if err != nil {
			return 0, 0, err
		}
		defer f.Close()
		w, err := readWAL(ctx, f)
		if err != nil {
			return 0, 0, err
		}
		if w.frames > 0 {
			size = w.pages * w.pageSize
		}
		modTime = max(modTime, s.wal.mtime)
	}
	return size, modTime, nil
}

// IsDatabase reports whether a regular file of root is an SQLite database, by
// its first bytes.
func IsDatabase(root *os.Root, name string) (bool, error) {
	s, err := readFileStamp(root, name)
	return err == nil && string(s.head[:len(header)]) == header, err
}

const header = "SQLite format 3\x00"

// Stamp tells states of a database apart without reading it.
type Stamp struct{ main, wal, journal fileStamp }

type fileStamp struct {
	size, mtime int64
	head        [100]byte // header: change counter of the main file, salts of the WAL
}

// ReadStamp looks at a database and at what lies beside it.
func ReadStamp(root *os.Root, name string) (s Stamp, err error) {
	if s.main, err = readFileStamp(root, name); err != nil {
		return Stamp{}, err
	}
	if s.wal, err = readFileStamp(root, name+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Stamp{}, err
	}
	clear(s.wal.head[walHeader:]) // behind the header comes the first frame
	if s.journal, err = readFileStamp(root, name+"-journal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Stamp{}, err
	}
	return s, nil
}

// hot reports whether there is a journal of a transaction that did not end. One
// that did is deleted, cut to nothing, or has its header overwritten.
func (s Stamp) hot() bool {
	return string(s.journal.head[:8]) == "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
}

// settled reports whether a write from now on must change a time: file systems
// count in ticks of up to 10 ms. A time to come is that of another clock.
func (s Stamp) settled(now time.Time) bool {
	age := now.UnixNano() - max(s.main.mtime, s.journal.mtime)
	return age < 0 || age > int64(20*time.Millisecond)
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

// openRegular opens a file below root. Nothing but a regular file is ever
// opened, and no link followed: a pipe would block for ever.
func openRegular(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	if info, err := root.Lstat(name); err != nil {
		return nil, nil, err
	} else if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("open %s: %w", name, ErrNoFile)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
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

func removeCopy(to string) error { return errors.Join(remove(to), removeBeside(to)) }

func removeBeside(to string) error {
	return errors.Join(remove(to+"-wal"), remove(to+"-shm"), remove(to+"-journal"))
}

func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
