package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lightfast/photos"
)

// Scan walks the folder. MediaToken is always "": in a folder the bytes to
// store change exactly with the files, and Resource.Token tells that.
func (f *Folder) Scan(ctx context.Context) iter.Seq2[photos.Asset, error] {
	return func(yield func(photos.Asset, error) bool) {
		s := &scan{f: f, ctx: ctx, yield: yield, todo: []string{"."}}
		err := s.walk()
		if err == nil {
			err = photos.InPlace(f.root, f.path)
		}
		switch {
		case errors.Is(err, errStopped):
		case err != nil:
			yield(photos.Asset{}, err)
		default:
			f.mu.Lock()
			defer f.mu.Unlock()
			f.warnings = s.report()
		}
	}
}

// errStopped means that whoever ranges over the scan has seen enough.
var errStopped = errors.New("stopped")

// scan is one walk. It is a list of directories instead of a recursion, so
// that a deep tree costs no stack.
type scan struct {
	f     *Folder
	ctx   context.Context // of one Scan, which this struct does not outlive
	yield func(photos.Asset, error) bool
	todo  []string // directories to read, the next one last

	litter, special int
	warnings        []string
	more            int // warnings beyond maxWarnings
}

// maxWarnings are kept by name; a million are no help to a person.
const maxWarnings = 100

func (s *scan) warn(format string, args ...any) {
	if len(s.warnings) < maxWarnings {
		s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
	} else {
		s.more++
	}
}

func (s *scan) report() []string {
	w := s.warnings
	if s.more > 0 {
		w = append(w, fmt.Sprintf("%d more warnings of this kind", s.more))
	}
	if s.special > 0 {
		w = append(w, fmt.Sprintf("left out %d symlinks, FIFOs, sockets or devices", s.special))
	}
	if s.litter > 0 {
		w = append(w, fmt.Sprintf("left out %d files named .DS_Store, Thumbs.db or ._*", s.litter))
	}
	return w
}

func (s *scan) walk() error {
	for len(s.todo) > 0 {
		dir := s.todo[len(s.todo)-1]
		s.todo = s.todo[:len(s.todo)-1]
		err := s.directory(dir)
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist) && dir != ".": // gone since it was listed
		case errors.Is(err, errStopped), s.ctx.Err() != nil:
			return err
		case dir == ".":
			return photos.FolderError(s.f.path, err)
		default:
			s.f.log.Warn("directory cannot be read", "path", dir, "err", err)
			s.warn("directory cannot be read: %q", dir)
			if err := s.give(hole(dir + "/")); err != nil {
				return err
			}
		}
	}
	return s.ctx.Err()
}

func (s *scan) give(a photos.Asset) error {
	if !s.yield(a, nil) {
		return errStopped
	}
	return s.ctx.Err()
}

func (s *scan) directory(at string) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	file, err := s.f.root.OpenFile(at, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	owned, err := sidecars(s.ctx, file)
	if err != nil {
		return err
	}
	d := &directory{at: at, file: file, owned: owned, waiting: map[string]bool{}}
	for _, names := range owned {
		for _, name := range names {
			d.waiting[name] = true
		}
	}
	if err := s.entries(d); err != nil {
		return err
	}
	for name := range d.waiting {
		if info, ok := s.stat(d, name); ok { // its owner has gone since
			if err := s.file(d, info, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// directory is the one that is being read.
type directory struct {
	at      string
	file    *os.File
	owned   map[string][]string // sidecars by the name of their owner
	waiting map[string]bool     // sidecars that come with their owner; false when they have come
}

func (s *scan) entries(d *directory) error {
	if _, err := d.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for {
		entries, err := d.file.ReadDir(chunk)
		for _, e := range entries {
			if err := s.entry(d, e); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *scan) entry(d *directory, e fs.DirEntry) error {
	name, at := e.Name(), path.Join(d.at, e.Name())
	switch {
	case slices.Contains(s.f.exclude, at):
	case e.IsDir() && lowerExt(name) == "photoslibrary":
		s.warn("left out a Photos library; back it up with: lightfast backup --source %s", quote(path.Join(s.f.path, at)))
	case e.IsDir():
		s.todo = append(s.todo, at)
	case !e.Type().IsRegular():
		s.special++
	case isLitter(name):
		s.litter++
	default:
		if _, owned := d.waiting[name]; owned {
			return nil
		}
		if info, err := e.Info(); err == nil { // else it has gone since it was listed
			return s.file(d, info, d.owned[name])
		}
	}
	return nil
}

// file yields the file and those of its sidecars that still wait for it.
func (s *scan) file(d *directory, info fs.FileInfo, sidecars []string) error {
	r := s.resource(d, info, photos.RoleOriginal)
	a := photos.Asset{
		ID: photos.PathID(path.Join(d.at, info.Name())),
		Metadata: photos.Metadata{
			OriginalFilename: r.Name,
			NameRaw:          r.NameRaw,
			Kind:             kindOf(info.Name()),
			Modified:         modified(info.ModTime()),
		},
		Resources: []photos.Resource{r},
	}
	for _, name := range sidecars {
		if info, ok := s.stat(d, name); ok {
			a.Resources = append(a.Resources, s.resource(d, info, photos.RoleSidecar))
			d.waiting[name] = false
		}
	}
	return s.give(a)
}

// stat looks at a sidecar; ok is false unless it is a regular file that waits.
func (s *scan) stat(d *directory, name string) (info fs.FileInfo, ok bool) {
	at := path.Join(d.at, name)
	info, err := s.f.root.Lstat(at)
	return info, err == nil && info.Mode().IsRegular() && d.waiting[name] && !slices.Contains(s.f.exclude, at)
}

// modified is "" for a time that RFC 3339 has no year for.
func modified(t time.Time) string {
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (s *scan) resource(d *directory, info fs.FileInfo, role photos.Role) photos.Resource {
	at := path.Join(d.at, info.Name())
	r := photos.Resource{Role: role, Size: info.Size()}
	r.Name, r.NameRaw = photos.Text(info.Name())
	r.Path, r.PathRaw = photos.Text(at)
	// To ask is cheaper than to open, and wakes nothing up.
	if err := unix.Faccessat(int(d.file.Fd()), info.Name(), unix.R_OK, unix.AT_EACCESS); err != nil {
		r.Reason = photos.Unavailable
		s.warn("file cannot be read: %q", at)
	} else {
		r.ModTime = info.ModTime().UnixNano()
	}
	return r
}

// hole stands for an unreadable directory, whose path ends in "/".
func hole(at string) photos.Asset {
	r := photos.Resource{Role: photos.RoleOther, Size: -1, Reason: photos.Unavailable}
	r.Name, r.NameRaw = photos.Text(path.Base(at))
	r.Path, r.PathRaw = photos.Text(at)
	return photos.Asset{
		ID:        photos.PathID(at),
		Metadata:  photos.Metadata{OriginalFilename: r.Name, NameRaw: r.NameRaw, Kind: photos.Other},
		Resources: []photos.Resource{r},
	}
}

// quote makes one argument of a POSIX shell out of s.
func quote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:,@%", r)
	}
	switch {
	case strings.TrimFunc(s, safe) == "" && s != "":
		return s
	case strconv.Quote(s) == `"`+s+`"`:
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return strconv.Quote(s) // with control characters: for the eye only
}
