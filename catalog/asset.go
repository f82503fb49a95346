package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"iter"
	"strings"
)

// Known is what the catalog has of an asset when a scan sees it again.
type Known struct {
	Asset  int64 // 0: never seen
	Digest []byte
	State  ItemState
	Roles  string // as in Figures
}

// Scanned is what a scan came to of one asset.
type Scanned struct {
	Added  int64
	Orphan bool

	// Doc and Row are nil for an asset in which nothing changed; then nothing
	// else counts.
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
	batch   []sighting
}

type sighting struct {
	name  string // the id that the source gives
	judge func(Known) (Scanned, error)
	known Known
	found Scanned
}

// scanBatch is how many assets share a look-up and a transaction: long enough
// to be cheap, short enough that other writers hardly wait.
const scanBatch = 500

// NewScan begins to write a scan.
func (c *Catalog) NewScan(ctx context.Context, e Epoch, repo RepositoryID, l LibraryID) (*Scan, error) {
	look, err := c.db.PrepareContext(ctx, `SELECT name, id, digest, state, roles FROM asset WHERE library = ? AND name IN (?`+strings.Repeat(", ?", scanBatch-1)+`)`)
	if err != nil {
		return nil, err
	}
	return &Scan{c: c, epoch: e, repo: repo, library: l, look: look}, nil
}

// Close ends the scan without writing what Flush has not written.
func (s *Scan) Close() error { return s.look.Close() }

// Put takes an asset by the id that its source gives. At the latest with
// Flush, judge is told what the catalog has of it, and what it says is written.
func (s *Scan) Put(ctx context.Context, name string, judge func(Known) (Scanned, error)) error {
	s.batch = append(s.batch, sighting{name: name, judge: judge})
	if len(s.batch) < scanBatch {
		return nil
	}
	return s.Flush(ctx)
}

// Flush writes what Put has gathered.
func (s *Scan) Flush(ctx context.Context) (err error) {
	if len(s.batch) == 0 {
		return nil
	}
	if err := s.lookUp(ctx); err != nil {
		return err
	}
	for i := range s.batch {
		g := &s.batch[i]
		if g.found, err = g.judge(g.known); err != nil {
			return err
		}
	}
	err = s.c.write(ctx, func(tx *sql.Tx) error {
		same := []int64{}
		for _, g := range s.batch {
			if g.found.Doc == nil {
				same = append(same, g.known.Asset)
			} else if err := s.put(tx, g.name, g.known.Asset, g.found); err != nil {
				return err
			}
		}
		return s.seen(tx, same)
	})
	clear(s.batch)
	s.batch = s.batch[:0]
	return err
}

// lookUp asks for the whole batch at once: a query each would be most of what
// a scan costs in which nothing changed.
func (s *Scan) lookUp(ctx context.Context) error {
	at := make(map[string]*Known, len(s.batch))
	args := make([]any, 1, 1+scanBatch)
	args[0] = s.library
	for i := range s.batch {
		at[s.batch[i].name] = &s.batch[i].known
		args = append(args, s.batch[i].name)
	}
	for len(args) < cap(args) {
		args = append(args, s.batch[0].name)
	}
	rows, err := s.look.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			name sql.RawBytes
			k    Known
		)
		if err := rows.Scan(&name, &k.Asset, &k.Digest, &k.State, &k.Roles); err != nil {
			return err
		}
		*at[string(name)] = k
	}
	return rows.Err()
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

func (s *Scan) put(tx *sql.Tx, name string, id int64, a Scanned) error {
	for _, b := range a.Blobs {
		if err := addBlob(tx, s.repo, b); err != nil {
			return err
		}
	}
	if id == 0 {
		res, err := tx.Exec(`INSERT INTO asset (library, name, added, orphan, scan, digest, state, bytes, roles)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, s.library, name, a.Added, a.Orphan, s.epoch, a.Digest, a.State, a.Figures.Bytes, a.Figures.Roles)
		if err == nil {
			id, err = res.LastInsertId()
		}
		if err != nil {
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
	_, err := tx.Exec(`UPDATE asset SET state = ?, bytes = ?, roles = ? WHERE id = ?`, state, f.Bytes, f.Roles, asset)
	return err
}

// Docs returns the document of an asset, and its line in a page.
func (c *Catalog) Docs(ctx context.Context, asset int64) (doc, row []byte, err error) {
	err = c.one(ctx, `SELECT doc, row FROM doc WHERE asset = ?`, asset).Scan(&doc, &row)
	return doc, row, orNoPlan(err)
}

// StoreAsset records what storing an asset came to: its document and its line
// in a page, the blobs that are new, and its place in the plan, all at once. Of an asset that
// is not to do any more only the blobs are taken: somebody else was faster,
// or the plan has gone (ErrNoPlan) and with it what row is based on. One that o
// leaves to do goes to its Lane, with Left bytes still to be read.
func (c *Catalog) StoreAsset(ctx context.Context, e Epoch, repo RepositoryID, asset int64, doc, row []byte, f Figures, blobs []Blob, o Outcome) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		for _, b := range blobs {
			if err := addBlob(tx, repo, b); err != nil {
				return err
			}
		}
		set, err := setItem(tx, e, asset, o)
		if err != nil {
			return err
		}
		if !set {
			var there int
			return orNoPlan(tx.QueryRow(`SELECT 1 FROM plan WHERE epoch = ? AND item = ?`, e, asset).Scan(&there))
		}
		if _, err := tx.Exec(`UPDATE doc SET doc = ?, row = ? WHERE asset = ?`, doc, row, asset); err != nil {
			return err
		}
		if err := setFigures(tx, asset, o.State, f); err != nil || o.State != ToDo {
			return err
		}
		_, err = tx.Exec(`UPDATE plan SET lane = ?, size = ? WHERE epoch = ? AND item = ?`, o.Lane, o.Left, e, asset)
		return err
	})
}

// FinishLane takes everything that a lane has still to do for done as it is,
// but for what the caller has in hand.
func (c *Catalog) FinishLane(ctx context.Context, e Epoch, lane string, busy []int64) error {
	if busy == nil {
		busy = []int64{}
	}
	ids, err := json.Marshal(busy)
	if err != nil {
		return err
	}
	return c.write(ctx, func(tx *sql.Tx) error {
		const rest = `epoch = ? AND lane = ? AND state = 0 AND item NOT IN (SELECT value FROM json_each(?))`
		if _, err := tx.Exec(`UPDATE asset SET state = ? WHERE id IN (SELECT item FROM plan WHERE `+rest+`)`, Done, e, lane, string(ids)); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE plan SET state = ? WHERE `+rest, Done, e, lane, string(ids))
		return err
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
