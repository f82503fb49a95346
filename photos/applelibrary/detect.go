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
	name   string       // of the database, inside the bundle
	stamp  sqlite.Stamp // of what was copied
	db     *sql.DB
	gen    generation // nil: none of a Photos library
	tables int
	dir    string // private, of this view alone
	users  int    // scans at work; guarded by the library's mutex
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

// newView copies the database, whichever of its two names it has.
func (l *Library) newView(ctx context.Context) (*view, error) {
	folder, err := l.databaseFolder()
	if err != nil {
		return nil, err
	}
	if folder == "" {
		return nil, l.refuse("not a Photos library: no database folder", "name the folder that ends in .photoslibrary", nil)
	}
	var why error // of the likelier name, if neither is the one
	for _, name := range []string{"Photos.sqlite", "photos.db"} {
		name = path.Join(folder, name)
		v, err := l.copyOf(ctx, name)
		switch {
		case err == nil && v.gen != nil:
			return v, nil
		case err == nil && v.tables > 0 && why != nil: // the photos.db that every Photos 5 bundle has as well
			v.remove()
			continue
		case err == nil:
			v.remove()
			err = l.refuse("library database has no tables of a Photos library: "+name, repair, nil)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
		if why == nil || errors.Is(why, fs.ErrNotExist) {
			why = err
		}
	}
	for _, sign := range []string{path.Join(folder, "apdb/Library.apdb"), "AlbumData.xml", "ProjectDBVersion.plist"} {
		if l.has(sign) {
			return nil, l.refuse("an iPhoto or Aperture library, not supported", "open it once in Photos, or back its Masters folder up as a plain folder", nil)
		}
	}
	if errors.Is(why, fs.ErrNotExist) {
		why = l.refuse("library database is missing: "+path.Join(folder, "Photos.sqlite"), repair, nil)
	}
	return nil, why
}

const repair = "restore it from a backup, or open the library in Photos to have it repaired"

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
	if v.stamp, err = sqlite.Capture(ctx, l.root, name, to); err != nil {
		return nil, l.explain(name, err)
	}
	if v.db, err = sqlite.Open(to, sqlite.Options{Copy: true}); err != nil {
		return nil, err
	}
	err = sqlite.QuickCheck(ctx, v.db)
	if err == nil {
		v.gen, v.tables, err = generationOf(ctx, v.db)
	}
	if err != nil {
		v.db.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, l.damaged(name, err)
	}
	return v, nil
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

func (l *Library) damaged(name string, err error) error {
	return l.refuse("library database is damaged: "+name, "what was backed up before stays; have Photos repair the library (hold Command and Option while opening it), then run this again; --photos-handling LibraryOnly stores its files as they are", err)
}

// explain gives the failure to copy a database its words.
func (l *Library) explain(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, sqlite.ErrBusy):
		return l.refuse("library database is being written all the time", "quit Photos and run this again", err)
	case errors.Is(err, sqlite.ErrNoFile):
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
