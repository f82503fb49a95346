package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"lightfast/internal/sqlite"
	"lightfast/photos"
)

// Scan walks the bundle. MediaToken is always "": what is to store changes
// exactly with the files, and Resource.Token tells that.
func (b *Bundle) Scan(ctx context.Context) iter.Seq2[photos.Asset, error] {
	return func(yield func(photos.Asset, error) bool) {
		b.scan(ctx, yield, func([]string) (map[string]bool, error) { return nil, nil })
	}
}

// scan yields all files but those that taken finds among some paths.
func (b *Bundle) scan(ctx context.Context, yield func(photos.Asset, error) bool, taken func(paths []string) (map[string]bool, error)) {
	w := &walk{b: b, ctx: ctx, yield: yield, taken: taken, todo: []string{"."}}
	err := w.run()
	if err == nil {
		err = photos.InPlace(b.root, b.path)
	}
	switch {
	case errors.Is(err, errStopped):
	case err != nil:
		yield(photos.Asset{}, err)
	default:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.warnings = w.report()
	}
}

// errStopped means that whoever ranges over the scan has seen enough.
var errStopped = errors.New("stopped")

// walk is one scan. It is a list of folders instead of a recursion, so that a
// deep tree costs no stack.
type walk struct {
	b     *Bundle
	ctx   context.Context // of one scan, which this struct does not outlive
	yield func(photos.Asset, error) bool
	taken func(paths []string) (map[string]bool, error)
	todo  []string // folders to read, the next one last

	links, special, locks, empty int
	unreadable                   []string // some of them
	more                         int      // and how many are not named
}

// maxNamed is how many a person is told by name; a million are no help.
const maxNamed = 100

func (w *walk) report() (lines []string) {
	for _, name := range w.unreadable {
		lines = append(lines, fmt.Sprintf("cannot be read: %q", name))
	}
	if w.more > 0 {
		lines = append(lines, fmt.Sprintf("cannot be read: %d more", w.more))
	}
	if w.links > 0 {
		lines = append(lines, fmt.Sprintf("left out %d links: a library has none of its own", w.links))
	}
	if w.special > 0 {
		lines = append(lines, fmt.Sprintf("left out %d FIFOs, sockets or devices", w.special))
	}
	if w.locks+w.empty > 0 {
		lines = append(lines, fmt.Sprintf("left out %d lock files and %d empty folders, which Photos makes anew", w.locks, w.empty))
	}
	return lines
}

func (w *walk) run() error {
	for len(w.todo) > 0 {
		dir := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		unread, err := w.folder(dir)
		switch {
		case err != nil:
			return err
		case unread == nil, errors.Is(unread, fs.ErrNotExist) && dir != ".": // gone since it was listed
		case dir == ".":
			return photos.FolderError(w.b.path, unread)
		default:
			if err := w.cannot(dir+"/", unread); err != nil {
				return err
			}
		}
	}
	return w.ctx.Err()
}

// cannot yields what cannot be read: a hole.
func (w *walk) cannot(at string, err error) error {
	w.b.log.Warn("cannot be read", "path", at, "err", err)
	if len(w.unreadable) < maxNamed {
		w.unreadable = append(w.unreadable, at)
	} else {
		w.more++
	}
	r := resource(at)
	r.Size, r.Reason = -1, photos.Unavailable
	return w.give(r)
}

func (w *walk) give(r photos.Resource) error {
	name := r.Path
	if r.PathRaw != nil {
		name = string(r.PathRaw)
	}
	if !w.yield(photos.Asset{
		ID:        photos.PathID(name),
		Metadata:  photos.Metadata{OriginalFilename: r.Name, NameRaw: r.NameRaw, Kind: photos.Other},
		Resources: []photos.Resource{r},
	}, nil) {
		return errStopped
	}
	return w.ctx.Err()
}

func resource(at string) (r photos.Resource) {
	r.Role = photos.RoleLibrary
	r.Name, r.NameRaw = photos.Text(path.Base(at))
	r.Path, r.PathRaw = photos.Text(at)
	return r
}

// folder yields what lies in a folder. unread says why it could not be read, or
// not to its end; err ends the scan.
func (w *walk) folder(at string) (unread, err error) {
	if err := w.ctx.Err(); err != nil {
		return nil, err
	}
	dir, err := w.b.root.OpenFile(at, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err, nil
	}
	defer dir.Close()
	empty := true
	for {
		entries, end := dir.ReadDir(1024)
		kept, err := w.entries(dir, at, entries)
		if err != nil {
			return nil, err
		}
		if empty = empty && !kept; end == io.EOF {
			if empty {
				w.empty++
			}
			return nil, nil
		} else if end != nil {
			return end, nil
		}
	}
}

// entries reports whether a restore will have any of them.
func (w *walk) entries(dir *os.File, at string, entries []fs.DirEntry) (kept bool, err error) {
	paths := make([]string, len(entries))
	for i, e := range entries {
		paths[i] = path.Join(at, e.Name())
	}
	taken, err := w.taken(paths)
	if err != nil {
		return false, err
	}
	for i, e := range entries {
		if taken[paths[i]] {
			kept = true
			continue
		}
		one, err := w.entry(dir, paths[i], e)
		if err != nil {
			return false, err
		}
		kept = kept || one
	}
	return kept, nil
}

func (w *walk) entry(dir *os.File, at string, e fs.DirEntry) (kept bool, err error) {
	switch {
	case e.IsDir():
		w.todo = append(w.todo, at)
		return true, nil
	case e.Type()&fs.ModeSymlink != 0:
		w.links++
		return false, nil
	case !e.Type().IsRegular():
		w.special++
		return false, nil
	case strings.HasSuffix(at, ".lock"):
		w.locks++
		return false, nil
	}
	if w.companion(at) {
		return false, nil
	}
	return true, w.file(dir, at, e)
}

// companion reports whether a file is part of the database beside it.
func (w *walk) companion(at string) bool {
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		of, ok := strings.CutSuffix(at, suffix)
		if !ok {
			continue
		}
		info, err := w.b.root.Lstat(of)
		if err != nil {
			return false // then it stands alone
		}
		is, err := w.b.isDatabase(of, info)
		return is && err == nil
	}
	return false
}

func (w *walk) file(dir *os.File, at string, e fs.DirEntry) error {
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) { // gone since it was listed
		return nil
	} else if err != nil {
		return w.cannot(at, err)
	}
	// To ask is cheaper than to open, and wakes nothing up.
	if err := unix.Faccessat(int(dir.Fd()), e.Name(), unix.R_OK, unix.AT_EACCESS); err != nil {
		return w.cannot(at, err)
	}
	r := resource(at)
	r.Size, r.ModTime = info.Size(), info.ModTime().UnixNano()
	is, err := w.b.isDatabase(at, info)
	if is && err == nil {
		r.Size, r.ModTime, err = sqlite.Measure(w.ctx, w.b.root, at)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case w.ctx.Err() != nil:
		return w.ctx.Err()
	case err != nil:
		return w.cannot(at, err)
	}
	return w.give(r)
}
