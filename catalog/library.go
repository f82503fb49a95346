package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// RepositoryID and LibraryID number rows of this catalog only.
type (
	RepositoryID int64
	LibraryID    int64
)

// Repository returns the row of the repository with this UUID, made if needed.
func (c *Catalog) Repository(ctx context.Context, uuid, dest string) (id RepositoryID, err error) {
	err = c.write(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`INSERT INTO repository (uuid, dest) VALUES (?, ?)
			ON CONFLICT (uuid) DO UPDATE SET dest = excluded.dest RETURNING id`, uuid, dest).Scan(&id)
	})
	return id, err
}

// Library is one source as this host knows it in one repository.
type Library struct {
	ID         LibraryID
	Repository RepositoryID
	Key        string // the identity that the source gives
	Name       string // for people
	Workflow   string
	Snapshot   string // newest that this host knows, "" for none
}

// Library returns the row of a library in a repository, made if needed, and
// notes what it is called now.
func (c *Catalog) Library(ctx context.Context, repo RepositoryID, key, name string) (l Library, err error) {
	l = Library{Repository: repo, Key: key, Name: name}
	err = c.write(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`INSERT INTO library (repository, key, name) VALUES (?, ?, ?)
			ON CONFLICT (repository, key) DO UPDATE SET name = excluded.name
			RETURNING id, workflow, snapshot`, repo, key, name).Scan(&l.ID, &l.Workflow, &l.Snapshot)
	})
	return l, err
}

// LibraryAt returns the library that was last backed up from a source to a
// repository, with ID 0 if none was.
func (c *Catalog) LibraryAt(ctx context.Context, repo RepositoryID, source string) (l Library, err error) {
	l.Repository = repo
	err = c.one(ctx, `SELECT l.id, l.key, l.name, l.workflow, l.snapshot
		FROM place p JOIN library l ON l.id = p.library WHERE p.repository = ? AND p.source = ?`, repo, source).
		Scan(&l.ID, &l.Key, &l.Name, &l.Workflow, &l.Snapshot)
	if errors.Is(err, sql.ErrNoRows) {
		return l, nil
	}
	return l, err
}

// SetPlace notes that a library was backed up from a source.
func (c *Catalog) SetPlace(ctx context.Context, repo RepositoryID, source string, l LibraryID) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO place (repository, source, library) VALUES (?, ?, ?)
			ON CONFLICT (repository, source) DO UPDATE SET library = excluded.library`, repo, source, l)
		return err
	})
}

// Elsewhere returns the destinations of other repositories that hold a
// library with this key.
func (c *Catalog) Elsewhere(ctx context.Context, key string) (dests []string, err error) {
	rows, err := c.db.QueryContext(ctx, `SELECT r.dest FROM library l JOIN repository r ON r.id = l.repository
		WHERE l.key = ? AND l.snapshot <> '' ORDER BY r.dest`, key)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d string
		if err := rows.Scan(&d); err != nil {
			return nil, err
		}
		dests = append(dests, d)
	}
	return dests, rows.Err()
}

// Own writes the workflow that owns the library's runs.
func (c *Catalog) Own(ctx context.Context, l LibraryID, workflow string) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE library SET workflow = ? WHERE id = ?`, workflow, l)
		return err
	})
}

// Blob is one content that the repository holds.
type Blob struct {
	Hash       [32]byte
	Size       int64
	Key        string
	Encoding   string
	StoredSize int64
}

// Blob looks a content up.
func (c *Catalog) Blob(ctx context.Context, repo RepositoryID, hash [32]byte) (b Blob, ok bool, err error) {
	b.Hash = hash
	err = c.one(ctx, `SELECT size, key, encoding, stored_size FROM blob WHERE repository = ? AND hash = ?`,
		repo, hash[:]).Scan(&b.Size, &b.Key, &b.Encoding, &b.StoredSize)
	if errors.Is(err, sql.ErrNoRows) {
		return Blob{}, false, nil
	}
	return b, err == nil, err
}

func addBlob(tx *sql.Tx, repo RepositoryID, b Blob) error {
	_, err := tx.Exec(`INSERT INTO blob (repository, hash, size, key, encoding, stored_size) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, repo, b.Hash[:], b.Size, b.Key, b.Encoding, b.StoredSize)
	return err
}

// Page returns the stored size of a page that the repository holds.
func (c *Catalog) Page(ctx context.Context, repo RepositoryID, hash [32]byte) (storedSize int64, ok bool, err error) {
	err = c.one(ctx, `SELECT stored_size FROM page WHERE repository = ? AND hash = ?`, repo, hash[:]).Scan(&storedSize)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return storedSize, err == nil, err
}

// AddPage notes that the store has acknowledged a page.
func (c *Catalog) AddPage(ctx context.Context, repo RepositoryID, hash [32]byte, storedSize int64) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO page (repository, hash, stored_size) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, repo, hash[:], storedSize)
		return err
	})
}

// Upload returns what was recorded for a large object on its way, nil for
// nothing. source names the resource and the state that it was read in.
func (c *Catalog) Upload(ctx context.Context, repo RepositoryID, source string) (doc []byte, err error) {
	err = c.one(ctx, `SELECT doc FROM upload WHERE repository = ? AND source = ?`, repo, source).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return doc, err
}

// SetUpload records a large object on its way; a nil doc forgets it.
func (c *Catalog) SetUpload(ctx context.Context, repo RepositoryID, source string, doc []byte) error {
	return c.write(ctx, func(tx *sql.Tx) (err error) {
		if doc == nil {
			_, err = tx.Exec(`DELETE FROM upload WHERE repository = ? AND source = ?`, repo, source)
		} else {
			_, err = tx.Exec(`INSERT INTO upload (repository, source, doc) VALUES (?, ?, ?)
				ON CONFLICT (repository, source) DO UPDATE SET doc = excluded.doc`, repo, source, doc)
		}
		return err
	})
}

// Uploads returns all that is on its way to a repository.
func (c *Catalog) Uploads(ctx context.Context, repo RepositoryID) (docs [][]byte, err error) {
	rows, err := c.db.QueryContext(ctx, `SELECT doc FROM upload WHERE repository = ?`, repo)
	if err != nil {
		return nil, fmt.Errorf("list uploads: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var doc []byte
		if err := rows.Scan(&doc); err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, rows.Err()
}
