package applelibrary

import (
	"context"
	"errors"
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
	return outsidePath(volume, rel)
}

// outsidePath is the path, as in Resource.Path, of a file on a volume.
func outsidePath(volume, rel string) string {
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
		info, err := os.Lstat(p)
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
		return photos.OpenFile(l.root, name)
	}
	for _, p := range outsideCandidates(name) {
		rd, err := openOutside(p)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return rd, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// outsideReader also holds the folder of its file open.
type outsideReader struct {
	photos.Reader
	folder *os.Root
}

func openOutside(p string) (photos.Reader, error) {
	folder, err := os.OpenRoot(filepath.Dir(p))
	if err != nil {
		return nil, err
	}
	rd, err := photos.OpenFile(folder, filepath.Base(p))
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return outsideReader{rd, folder}, nil
}

func (r outsideReader) Close() error { return errors.Join(r.Reader.Close(), r.folder.Close()) }
