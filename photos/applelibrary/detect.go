package applelibrary

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"lightfast/internal/sqlite"
	"lightfast/photos"
)

// view is one state of the library's database, in a private copy.
type view struct {
	name  string // of the database, inside the bundle
	stamp stamp  // of what was copied
	db    *sql.DB
	model model
	dir   string // private, of this view alone
	users int    // scans at work; guarded by the library's mutex
}

func (v *view) remove() {
	v.db.Close()
	os.RemoveAll(v.dir)
}

// openBundle opens the folder at path.
func openBundle(p string) (*os.Root, error) {
	info, err := os.Stat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &photos.SourceError{Path: p, Why: "no such library", Do: "check the path and that its disk is mounted", Err: err}
	case err != nil:
		return nil, unreadable(p, err)
	case !info.IsDir():
		return nil, &photos.SourceError{Path: p, Why: "not a Photos library: not a folder", Do: "name the folder that ends in .photoslibrary"}
	}
	root, err := os.OpenRoot(p)
	if err != nil {
		return nil, unreadable(p, err)
	}
	return root, nil
}

// newView copies the database and finds out whose it is. Every Photos 5
// bundle also has a photos.db, and a migrated one leftovers of iPhoto: tables
// decide, not names.
func (l *Library) newView(ctx context.Context) (*view, error) {
	folder, err := l.databaseFolder()
	if err != nil {
		return nil, err
	}
	if folder == "" {
		return nil, l.refuse("not a Photos library: no database folder", "name the folder that ends in .photoslibrary", nil)
	}
	name := path.Join(folder, "Photos.sqlite")
	v, err := l.copyOf(ctx, name)
	switch {
	case err == nil && v.model.asset != "":
		return v, nil
	case err == nil:
		v.remove()
		err = l.refuse("library database has no tables of a Photos library: "+name, "restore it from a backup, or open the library in Photos to have it repaired", nil)
	case errors.Is(err, fs.ErrNotExist):
		err = l.refuse("library database is missing: "+name, "restore it from a backup, or open the library in Photos to have it repaired", nil)
	default:
		return nil, err
	}
	if older := l.olderThanPhotos5(ctx, folder); older != nil {
		return nil, older
	}
	return nil, err
}

// copyOf copies and opens the database of that name. It fails with
// fs.ErrNotExist where there is none.
func (l *Library) copyOf(ctx context.Context, name string) (_ *view, err error) {
	v := &view{name: name}
	if v.dir, err = os.MkdirTemp(l.temp, "view-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(v.dir)
		}
	}()
	to := path.Join(v.dir, "copy.sqlite")
	if v.stamp, err = copyDatabase(ctx, l.root, name, to); err != nil {
		return nil, l.explain(name, err)
	}
	if v.db, err = sqlite.Open(to, sqlite.Options{Copy: true}); err != nil {
		return nil, err
	}
	err = sqlite.QuickCheck(ctx, v.db)
	if err == nil {
		v.model, err = readModel(ctx, v.db)
	}
	if err == nil && v.model.asset != "" {
		err = v.model.index(ctx, v.db)
	}
	if err != nil {
		v.db.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, l.refuse("library database is damaged: "+name, "what was backed up before stays; have Photos repair the library (hold Command and Option while opening it), then run this again", err)
	}
	return v, nil
}

// olderThanPhotos5 says which older program made the library, or nil.
func (l *Library) olderThanPhotos5(ctx context.Context, folder string) error {
	name := path.Join(folder, "photos.db")
	v, err := l.copyOf(ctx, name)
	if err == nil {
		defer v.remove()
		switch tables := v.model.schema; {
		case tables["RKVERSION"] != nil:
			return l.refuse("made by Photos 4 or earlier, not supported yet", "open it once in a newer Photos", nil)
		case len(tables) == 0 && !l.has(path.Join(folder, "Photos.sqlite")):
			return l.refuse("library database has no tables: "+name, "open the library in Photos to have it repaired, or restore it from a backup", nil)
		}
	}
	for _, sign := range []string{path.Join(folder, "apdb/Library.apdb"), "AlbumData.xml", "ProjectDBVersion.plist"} {
		if l.has(sign) {
			return l.refuse("an iPhoto or Aperture library, not supported", "open it once in Photos, or back its Masters folder up as a plain folder", nil)
		}
	}
	if se, ok := errors.AsType[*photos.SourceError](err); ok {
		return se
	}
	return nil
}

// databaseFolder finds the folder, whatever the case of its name.
func (l *Library) databaseFolder() (string, error) {
	top, err := fs.ReadDir(l.root.FS(), ".")
	if err != nil {
		return "", unreadable(l.path, err)
	}
	for _, e := range top {
		if strings.EqualFold(e.Name(), "database") && e.IsDir() {
			return e.Name(), nil
		}
	}
	return "", nil
}

func (l *Library) has(name string) bool {
	_, err := l.root.Lstat(name)
	return err == nil
}

func (l *Library) refuse(why, do string, err error) error {
	return &photos.SourceError{Path: l.path, Why: why, Do: do, Err: err}
}

// explain gives the failure to copy a database its words.
func (l *Library) explain(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, errBusy):
		return l.refuse("library database is being written all the time", "quit Photos and run this again", err)
	case errors.Is(err, errNoFile):
		return l.refuse("library database is damaged: "+name+" is not a file", "restore it from a backup", nil)
	}
	return unreadable(l.path, err)
}

// unreadable tells a missing permission from other failures to read.
func unreadable(p string, err error) error {
	se := &photos.SourceError{Path: p, Why: "library cannot be read", Err: err}
	switch {
	case errors.Is(err, syscall.EPERM): // macOS answers so to a program that the user has not let in
		se.Why, se.Do = "not permitted to read the library", "System Settings > Privacy & Security > Full Disk Access: allow the program that runs Lightfast (for instance Terminal), then run this again"
	case errors.Is(err, fs.ErrPermission):
		se.Why, se.Do = "not permitted to read the library", "run this as the user who owns the library"
	}
	return se
}
