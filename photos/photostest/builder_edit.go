package photostest

import (
	"database/sql"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"lightfast/internal/sqlite"
	"lightfast/photos"
)

// What users and Photos do to a library that BuildLibrary made.

func edit(dir string, f func(*builder) error) error {
	return build(dir, isLegacy(dir), sqlite.Options{}, f)
}

// Evict takes the original of an asset off the disk, as "Optimise Mac
// Storage" does. PutBack brings it back. It is kept beside the library.
func Evict(dir string, id photos.AssetID) error {
	return edit(dir, func(b *builder) error {
		here, away, err := b.original(id)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(away), 0o755); err != nil {
			return err
		}
		if err := os.Rename(here, away); err != nil {
			return err
		}
		return b.setOriginal(id, false, nil)
	})
}

// PutBack undoes Evict: the original is downloaded again.
func PutBack(dir string, id photos.AssetID) error {
	return edit(dir, func(b *builder) error {
		here, away, err := b.original(id)
		if err != nil {
			return err
		}
		if err := os.Rename(away, here); err != nil {
			return err
		}
		r := resource{path: here}
		if path.Ext(here) == ".mov" {
			r.kind = 1
		}
		return b.setOriginal(id, true, r.storeKey())
	})
}

// RenameAlbum gives the album "Folder/Album", the only one of its title,
// another title.
func RenameAlbum(dir, name, title string) error {
	return edit(dir, func(b *builder) error {
		query := "UPDATE ZGENERICALBUM SET ZTITLE = ? WHERE ZTITLE = ? AND ZKIND = 2"
		if b.legacy {
			query = "UPDATE RKAlbum SET name = ? WHERE name = ?"
		}
		res, err := b.tx.Exec(query, title, path.Base(name))
		return one(res, err, "album "+name)
	})
}

// Touch sets the time of an asset's original to now and leaves its bytes.
func Touch(dir string, id photos.AssetID) error {
	return edit(dir, func(b *builder) error {
		here, _, err := b.original(id)
		if err != nil {
			return err
		}
		return os.Chtimes(here, time.Time{}, time.Now())
	})
}

// original is where the file of an asset is, or was before it was evicted.
func (b *builder) original(id photos.AssetID) (here, away string, err error) {
	var dir, file string
	root, query := "originals", "SELECT ZDIRECTORY, ZFILENAME FROM ZASSET WHERE ZUUID = ?"
	if b.legacy {
		root, query = "Masters", "SELECT m.imagePath, '' FROM RKVersion v JOIN RKMaster m ON m.uuid = v.masterUuid WHERE v.uuid = ?"
	}
	if err := b.tx.QueryRow(query, id).Scan(&dir, &file); err != nil {
		return "", "", fmt.Errorf("asset %s: %w", id, err)
	}
	rel := filepath.Join(root, dir, file)
	return filepath.Join(b.dir, rel), filepath.Join(strings.TrimSuffix(b.dir, ".photoslibrary")+".cloud", rel), nil
}

// setOriginal says whether the original, which is in iCloud, is here as well.
func (b *builder) setOriginal(id photos.AssetID, here bool, key []byte) error {
	if b.legacy {
		res, err := b.tx.Exec("UPDATE RKMaster SET isMissing = ?, cloudLibraryState = 1 WHERE uuid = (SELECT masterUuid FROM RKVersion WHERE uuid = ?)", flag(!here), id)
		return one(res, err, string(id))
	}
	res, err := b.tx.Exec(`UPDATE ZINTERNALRESOURCE SET ZLOCALAVAILABILITY = ?, ZREMOTEAVAILABILITY = 1, ZDATASTOREKEYDATA = ?
		WHERE ZASSET = (SELECT Z_PK FROM ZASSET WHERE ZUUID = ?) AND ZRECIPEID = 0 AND ZVERSION = 0 AND ZRESOURCETYPE IN (0, 1)`, 2*flag(here)-1, key, id)
	return one(res, err, string(id))
}

func one(res sql.Result, err error, what string) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n != 1 {
		return fmt.Errorf("%s: %d rows, want 1", what, n)
	}
	return nil
}
