package applelibrary

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"lightfast/photos"
)

const (
	outsidePrefix = "referenced/"
	bootVolume    = "root" // stands for the volume where the library names none
)

// outside is the path, as in Resource.Path, of a file that the asset only
// refers to, or "" where the library does not say it.
func (a *assetRow) outside(w want) string {
	volume, rel := "", ""
	switch {
	case w.row != nil && w.row.outside != "":
		volume, rel = w.row.volume, w.row.outside
	case w.role == photos.RoleOriginal && strings.HasPrefix(a.directory, "/"):
		rel = path.Join(a.directory, a.filename)
		if under, ok := strings.CutPrefix(rel, "/Volumes/"); ok {
			volume, rel, _ = strings.Cut(under, "/")
		}
	default:
		return ""
	}
	if volume == "" || volume == "." || volume == ".." || strings.Contains(volume, "/") {
		volume = bootVolume
	}
	return outsidePrefix + volume + path.Join("/", rel)
}

// outsideCandidates are the places where such a file may be on this machine.
func outsideCandidates(name string) []string {
	_, rel, _ := strings.Cut(strings.TrimPrefix(name, outsidePrefix), "/")
	return []string{
		filepath.Join("/Volumes", filepath.FromSlash(strings.TrimPrefix(name, outsidePrefix))),
		filepath.Join("/", filepath.FromSlash(rel)),
	}
}

func lookOutside(name string) (f file, err error) {
	for _, p := range outsideCandidates(name) {
		info, err := os.Stat(p)
		if err == nil && info.Mode().IsRegular() {
			return file{path: name, size: info.Size(), mtime: info.ModTime().UnixNano()}, nil
		}
	}
	return file{}, fs.ErrNotExist
}

// Open opens a file of the bundle, or one that the library refers to. No link
// out of the bundle is followed.
func (l *Library) Open(ctx context.Context, r photos.Resource) (photos.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name := r.Path
	if r.PathRaw != nil {
		name = string(r.PathRaw)
	}
	if !strings.HasPrefix(name, outsidePrefix) {
		return newReader(name, l.root.Stat, l.root.Open)
	}
	for _, p := range outsideCandidates(name) {
		rd, err := newReader(p, os.Stat, os.Open)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return rd, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// reader reads a file of which nobody promises that it stands still.
type reader struct {
	f    *os.File
	info fs.FileInfo // at Open
	now  func() (fs.FileInfo, error)
	at   int64
}

func newReader(name string, stat func(string) (fs.FileInfo, error), open func(string) (*os.File, error)) (photos.Reader, error) {
	if info, err := stat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() { // opening a pipe would block
		return nil, &fs.PathError{Op: "open", Path: name, Err: errNoFile}
	}
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &reader{f: f, info: info, now: func() (fs.FileInfo, error) { return stat(name) }}, nil
}

func (r *reader) Size() int64  { return r.info.Size() }
func (r *reader) Close() error { return r.f.Close() }

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadAt(p, r.at)
	r.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil // said by the next call
	}
	return n, err
}

// ReadAt reads as far as the file went at Open, and looks whether it has
// changed before it says that this was the end.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	left := r.Size() - off
	if off >= 0 && int64(len(p)) > left {
		p = p[:max(0, left)]
	}
	n, err := r.f.ReadAt(p, off)
	if err == io.EOF || err == nil && off+int64(n) >= r.Size() {
		if changed := r.Unchanged(); changed != nil {
			return n, changed
		}
		err = io.EOF
	}
	return n, err
}

// Unchanged compares the file itself, and whether its name still leads to it.
func (r *reader) Unchanged() error {
	held, err := r.f.Stat()
	if err != nil {
		return err
	}
	named, err := r.now()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(r.info, named) {
		return photos.ErrChanged
	} else if err != nil {
		return err
	}
	if held.Size() != r.info.Size() || !held.ModTime().Equal(r.info.ModTime()) || changeTime(held) != changeTime(r.info) {
		return photos.ErrChanged
	}
	return nil
}
