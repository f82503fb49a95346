package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"iter"
	"strings"
)

// Figures of an asset's row in a page, kept beside it so that totals are a
// sum over small rows.
type Figures struct {
	Resources int
	Stored    int    // with bytes in the repository, those in the page included
	Kept      int    // stored, though absent or unreadable now
	Bytes     int64  // of content stored
	Absent    string // reasons of what is not stored, joined by commas
}

// Known is what the catalog has of an asset when a scan sees it again.
type Known struct {
	Asset  int64 // 0: never seen
	Digest []byte
	State  ItemState
}

// Scanned is one asset of a scan to be written.
type Scanned struct {
	Known  Known // as read; Asset is 0 for a new one
	Name   string
	Added  int64
	Orphan bool

	// Doc and Row are nil for an asset in which nothing changed; then only
	// Known counts.
	Doc, Digest, Row []byte
	Figures          Figures
	State            ItemState

	Plan  *Item  // nil if nothing is to do
	Blobs []Blob // what the repository is known to hold of it
}

// Scan writes what a scan sees of one library in one epoch. It is for one
// goroutine.
type Scan struct {
	c       *Catalog
	epoch   Epoch
	repo    RepositoryID
	library LibraryID
	look    *sql.Stmt
	batch   []Scanned
}

// scanBatch is how many assets share a transaction: long enough to be cheap,
// short enough that other writers hardly wait.
const scanBatch = 500

// NewScan begins to write a scan.
func (c *Catalog) NewScan(ctx context.Context, e Epoch, repo RepositoryID, l LibraryID) (*Scan, error) {
	look, err := c.db.PrepareContext(ctx, `SELECT id, digest, state FROM asset WHERE library = ? AND name = ?`)
	if err != nil {
		return nil, err
	}
	return &Scan{c: c, epoch: e, repo: repo, library: l, look: look}, nil
}

// Close ends the scan without writing what Flush has not written.
func (s *Scan) Close() error { return s.look.Close() }

// Known looks an asset up by the id that its source gives.
func (s *Scan) Known(ctx context.Context, name string) (k Known, err error) {
	if err := ctx.Err(); err != nil {
		return Known{}, err
	}
	// The driver starts a goroutine for each query that can be canceled,
	// which costs as much as the look-up.
	err = s.look.QueryRowContext(context.WithoutCancel(ctx), s.library, name).Scan(&k.Asset, &k.Digest, &k.State)
	if errors.Is(err, sql.ErrNoRows) {
		return Known{}, nil
	}
	return k, err
}

// Put writes an asset, at the latest with Flush.
func (s *Scan) Put(ctx context.Context, a Scanned) error {
	s.batch = append(s.batch, a)
	if len(s.batch) < scanBatch {
		return nil
	}
	return s.Flush(ctx)
}

// Flush writes what Put has gathered.
func (s *Scan) Flush(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	err := s.c.write(ctx, func(tx *sql.Tx) error {
		same := []int64{}
		for _, a := range s.batch {
			if a.Doc == nil {
				same = append(same, a.Known.Asset)
			} else if err := s.put(tx, a); err != nil {
				return err
			}
		}
		return s.seen(tx, same)
	})
	s.batch = s.batch[:0]
	return err
}

// seen marks assets in one statement: one each would be half the time of a
// scan in which nothing changed.
func (s *Scan) seen(tx *sql.Tx, assets []int64) error {
	ids, err := json.Marshal(assets)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE asset SET scan = ? WHERE id IN (SELECT value FROM json_each(?))`, s.epoch, string(ids))
	return err
}

func (s *Scan) put(tx *sql.Tx, a Scanned) error {
	for _, b := range a.Blobs {
		if err := addBlob(tx, s.repo, b); err != nil {
			return err
		}
	}
	id := a.Known.Asset
	if id == 0 {
		if err := tx.QueryRow(`INSERT INTO asset (library, name, added, orphan, scan, digest, state, resources, stored, kept, bytes, absent)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`, s.library, a.Name, a.Added, a.Orphan, s.epoch, a.Digest, a.State,
			a.Figures.Resources, a.Figures.Stored, a.Figures.Kept, a.Figures.Bytes, a.Figures.Absent).Scan(&id); err != nil {
			return err
		}
	} else {
		if _, err := tx.Exec(`UPDATE asset SET added = ?, orphan = ?, scan = ?, digest = ? WHERE id = ?`, a.Added, a.Orphan, s.epoch, a.Digest, id); err != nil {
			return err
		}
		if err := setFigures(tx, id, a.State, a.Figures); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`INSERT INTO doc (asset, doc, row) VALUES (?, ?, ?)
		ON CONFLICT (asset) DO UPDATE SET doc = excluded.doc, row = excluded.row`, id, a.Doc, a.Row); err != nil {
		return err
	}
	if a.Plan == nil {
		return nil
	}
	it := *a.Plan
	it.Item = id
	return plan(tx, s.epoch, it)
}

func setFigures(tx *sql.Tx, asset int64, state ItemState, f Figures) error {
	_, err := tx.Exec(`UPDATE asset SET state = ?, resources = ?, stored = ?, kept = ?, bytes = ?, absent = ? WHERE id = ?`,
		state, f.Resources, f.Stored, f.Kept, f.Bytes, f.Absent, asset)
	return err
}

// Docs returns an asset as the last scan saw it, and its line in a page.
func (c *Catalog) Docs(ctx context.Context, asset int64) (doc, row []byte, err error) {
	err = c.db.QueryRowContext(ctx, `SELECT doc, row FROM doc WHERE asset = ?`, asset).Scan(&doc, &row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, ErrNoPlan
	}
	return doc, row, err
}

// StoreAsset records what storing an asset came to: its line in a page, the
// blobs that are new, and its place in the plan, all at once. Of an asset that
// is not to do any more only the blobs are taken: somebody else was faster,
// or the plan has gone (ErrNoPlan) and with it what row is based on.
func (c *Catalog) StoreAsset(ctx context.Context, e Epoch, repo RepositoryID, asset int64, row []byte, f Figures, blobs []Blob, o Outcome) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		for _, b := range blobs {
			if err := addBlob(tx, repo, b); err != nil {
				return err
			}
		}
		var state ItemState
		err := tx.QueryRow(`SELECT state FROM plan WHERE epoch = ? AND item = ?`, e, asset).Scan(&state)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoPlan
		} else if err != nil || state != ToDo {
			return err
		}
		if _, err := tx.Exec(`UPDATE doc SET row = ? WHERE asset = ?`, row, asset); err != nil {
			return err
		}
		if err := setFigures(tx, asset, o.State, f); err != nil {
			return err
		}
		return setItem(tx, e, asset, o)
	})
}

// Rows yields the lines of all assets that the scan of e saw, in the order of
// pages: date added, then id.
func (c *Catalog) Rows(ctx context.Context, e Epoch, l LibraryID) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		rows, err := c.db.QueryContext(ctx, `SELECT a.name, d.row FROM asset a JOIN doc d ON d.asset = a.id
			WHERE a.library = ? AND a.scan = ? ORDER BY a.added, a.name`, l, e)
		if err != nil {
			yield(Row{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var r Row
			if err := rows.Scan(&r.Name, &r.Line); err != nil {
				yield(Row{}, err)
				return
			}
			if !yield(r, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Row{}, err)
		}
	}
}

// Row is one asset's line in a page.
type Row struct {
	Name string
	Line []byte
}

// Totals of a snapshot.
type Totals struct {
	Assets, Orphans int64
	Stored          int64 // assets that this run stored whole
	Unchanged       int64
	Incomplete      int64 // assets with a hole
	Failed          int64
	Resources       int64
	StoredResources int64
	Kept            int64
	Bytes           int64
	Absent          map[string]int64 // resources by reason
}

// Totals sums what the scan of e saw. hole says which reasons make an asset
// incomplete.
func (c *Catalog) Totals(ctx context.Context, e Epoch, l LibraryID, hole func(reason string) bool) (Totals, error) {
	t := Totals{Absent: map[string]int64{}}
	rows, err := c.db.QueryContext(ctx, `SELECT a.orphan, a.state, p.item IS NOT NULL, a.absent, count(*), sum(a.resources), sum(a.stored), sum(a.kept), sum(a.bytes)
		FROM asset a LEFT JOIN plan p ON p.epoch = ? AND p.item = a.id
		WHERE a.library = ? AND a.scan = ? GROUP BY 1, 2, 3, 4`, e, l, e)
	if err != nil {
		return t, err
	}
	defer rows.Close()
	for rows.Next() {
		var orphan, planned bool
		var state ItemState
		var absent string
		var n, resources, stored, kept, bytes int64
		if err := rows.Scan(&orphan, &state, &planned, &absent, &n, &resources, &stored, &kept, &bytes); err != nil {
			return t, err
		}
		t.Resources += resources
		t.StoredResources += stored
		t.Kept += kept
		t.Bytes += bytes
		incomplete := false
		for reason := range splitReasons(absent) {
			t.Absent[reason] += n
			incomplete = incomplete || hole(reason)
		}
		if orphan {
			t.Orphans += n
			continue
		}
		t.Assets += n
		switch {
		case state == Failed:
			t.Failed += n
		case incomplete:
			t.Incomplete += n
		case planned:
			t.Stored += n
		default:
			t.Unchanged += n
		}
	}
	return t, rows.Err()
}

func splitReasons(s string) iter.Seq[string] {
	if s == "" {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(s, ",")
}
