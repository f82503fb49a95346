package catalog

import (
	"context"
	"database/sql"
	"errors"
)

// Download returns what was recorded of a blob on its way into a file of an
// item, nil for nothing.
func (c *Catalog) Download(ctx context.Context, e Epoch, item int64, key string) (doc []byte, err error) {
	err = c.one(ctx, `SELECT doc FROM download WHERE epoch = ? AND item = ? AND key = ?`, e, item, key).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return doc, err
}

// SetDownload records a blob on its way. SetItem forgets it.
func (c *Catalog) SetDownload(ctx context.Context, e Epoch, item int64, key string, doc []byte) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO download (epoch, item, key, doc) VALUES (?, ?, ?, ?)
			ON CONFLICT (epoch, item, key) DO UPDATE SET doc = excluded.doc`, e, item, key, doc)
		return err
	})
}
