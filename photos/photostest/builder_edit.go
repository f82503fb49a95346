package photostest

import (
	"database/sql"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"lightfast/photos"
)

// What users and Photos do to a library that BuildLibrary made.

// Evict takes the original of an asset off the disk, as "Optimise Mac
// Storage" does. PutBack brings it back. It is kept beside the library.
func Evict(dir string, id photos.AssetID) error {
	return build(dir, func(b *builder) error {
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
		return b.setOriginal(id, -1, 1, nil)
	})
}

// PutBack undoes Evict: the original is downloaded again.
func PutBack(dir string, id photos.AssetID) error {
	return build(dir, func(b *builder) error {
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
		return b.setOriginal(id, 1, 1, r.storeKey())
	})
}

// RenameAlbum gives the album "Folder/Album", the only one of its title,
// another title.
func RenameAlbum(dir, name, title string) error {
	return build(dir, func(b *builder) error {
		res, err := b.tx.Exec("UPDATE ZGENERICALBUM SET ZTITLE = ? WHERE ZTITLE = ? AND ZKIND = 2", title, path.Base(name))
		return one(res, err, "album "+name)
	})
}

// Touch sets the time of an asset's original to now and leaves its bytes.
func Touch(dir string, id photos.AssetID) error {
	return build(dir, func(b *builder) error {
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
	if err := b.tx.QueryRow("SELECT ZDIRECTORY, ZFILENAME FROM ZASSET WHERE ZUUID = ?", id).Scan(&dir, &file); err != nil {
		return "", "", fmt.Errorf("asset %s: %w", id, err)
	}
	rel := filepath.Join("originals", dir, file)
	return filepath.Join(b.dir, rel), filepath.Join(strings.TrimSuffix(b.dir, ".photoslibrary")+".cloud", rel), nil
}

func (b *builder) setOriginal(id photos.AssetID, local, remote int, key []byte) error {
	res, err := b.tx.Exec(`UPDATE ZINTERNALRESOURCE SET ZLOCALAVAILABILITY = ?, ZREMOTEAVAILABILITY = ?, ZDATASTOREKEYDATA = ?
		WHERE ZASSET = (SELECT Z_PK FROM ZASSET WHERE ZUUID = ?) AND ZRECIPEID = 0 AND ZVERSION = 0 AND ZRESOURCETYPE IN (0, 1)`, local, remote, key, id)
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
