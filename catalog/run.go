package catalog

import (
	"context"
	"database/sql"
	"errors"
)

// Epoch numbers the runs of one host.
type Epoch int64

// States of a run.
const (
	Scanning = "scanning" // its plan is not whole yet
	AtWork   = "open"     // its plan is being worked off
	Finished = "finished"
)

// ErrNoPlan means that a run is unknown here: the catalog was lost, or is not
// the one that the plan was made in.
var ErrNoPlan = errors.New("the plan of this run is not in the catalog")

// Run is one backup, restore or verify.
type Run struct {
	Epoch    Epoch
	Library  LibraryID // 0 for a restore or verify
	Workflow string
	State    string
	Doc      []byte // opaque
}

// StartRun makes a run in state Scanning and forgets the plans of finished
// and abandoned runs of the same workflow.
func (c *Catalog) StartRun(ctx context.Context, r Run) (epoch Epoch, err error) {
	err = c.write(ctx, func(tx *sql.Tx) error {
		for _, q := range []string{
			`DELETE FROM plan WHERE epoch IN (SELECT epoch FROM run WHERE workflow = ?)`,
			`DELETE FROM item WHERE epoch IN (SELECT epoch FROM run WHERE workflow = ?)`,
			`DELETE FROM run_page WHERE epoch IN (SELECT epoch FROM run WHERE workflow = ?)`,
			`DELETE FROM name WHERE epoch IN (SELECT epoch FROM run WHERE workflow = ?)`,
			`DELETE FROM object WHERE epoch IN (SELECT epoch FROM run WHERE workflow = ?)`,
			`DELETE FROM download WHERE epoch IN (SELECT epoch FROM run WHERE workflow = ?)`,
			`DELETE FROM run WHERE workflow = ?`,
		} {
			if _, err := tx.Exec(q, r.Workflow); err != nil {
				return err
			}
		}
		return tx.QueryRow(`INSERT INTO run (library, workflow, state, doc) VALUES (?, ?, ?, ?) RETURNING epoch`,
			r.Library, r.Workflow, Scanning, r.Doc).Scan(&epoch)
	})
	return epoch, err
}

// LastRun returns the newest run of a workflow, ErrNoPlan if there is none.
func (c *Catalog) LastRun(ctx context.Context, workflow string) (Run, error) {
	return c.oneRun(ctx, `WHERE workflow = ? ORDER BY epoch DESC LIMIT 1`, workflow)
}

// Run returns a run, ErrNoPlan if it is unknown.
func (c *Catalog) Run(ctx context.Context, e Epoch) (Run, error) {
	return c.oneRun(ctx, `WHERE epoch = ?`, e)
}

func (c *Catalog) oneRun(ctx context.Context, where string, arg any) (r Run, err error) {
	err = c.one(ctx, `SELECT epoch, library, workflow, state, doc FROM run `+where, arg).
		Scan(&r.Epoch, &r.Library, &r.Workflow, &r.State, &r.Doc)
	if errors.Is(err, sql.ErrNoRows) {
		return Run{}, ErrNoPlan
	}
	return r, err
}

// SetRun moves a run to another state; doc replaces the old one unless nil.
func (c *Catalog) SetRun(ctx context.Context, e Epoch, state string, doc []byte) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE run SET state = ?, doc = coalesce(?, doc) WHERE epoch = ?`, state, doc, e)
		return err
	})
}

// FinishBackup ends a run and notes its snapshot as the library's newest.
func (c *Catalog) FinishBackup(ctx context.Context, e Epoch, l LibraryID, snapshot string, doc []byte) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec(`UPDATE library SET snapshot = ? WHERE id = ?`, snapshot, l); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE run SET state = ?, doc = ? WHERE epoch = ?`, Finished, doc, e)
		return err
	})
}

// Item of a plan: one asset with something to do.
type Item struct {
	Item  int64 // the asset's row, or a number of PlanItems
	Lane  string
	Rank  int64 // higher comes first
	Name  string
	Size  int64
	State ItemState
}

// ItemState of an asset, and of its place in a plan.
type ItemState int

const (
	ToDo ItemState = iota
	Done
	Failed
)

func plan(tx *sql.Tx, e Epoch, it Item) error {
	_, err := tx.Exec(`INSERT INTO plan (epoch, item, lane, rank, name, size) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (epoch, item) DO UPDATE SET lane = excluded.lane, rank = excluded.rank, size = excluded.size, state = 0`,
		e, it.Item, it.Lane, it.Rank, it.Name, it.Size)
	return err
}

// Planned is one place of a plan, with the documents of what is there to do.
type Planned struct {
	State ItemState
	Doc   []byte
	Row   []byte // of an asset: its line in a page
}

// PlannedAsset returns what is planned for an asset.
func (c *Catalog) PlannedAsset(ctx context.Context, e Epoch, asset int64) (p Planned, err error) {
	err = c.one(ctx, `SELECT p.state, d.doc, d.row FROM plan p JOIN doc d ON d.asset = p.item
		WHERE p.epoch = ? AND p.item = ?`, e, asset).Scan(&p.State, &p.Doc, &p.Row)
	return p, orNoPlan(err)
}

// PlannedItem returns what is planned for one item of a restore.
func (c *Catalog) PlannedItem(ctx context.Context, e Epoch, item int64) (p Planned, err error) {
	err = c.one(ctx, `SELECT p.state, i.doc FROM plan p JOIN item i ON i.epoch = p.epoch AND i.item = p.item
		WHERE p.epoch = ? AND p.item = ?`, e, item).Scan(&p.State, &p.Doc)
	return p, orNoPlan(err)
}

func orNoPlan(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNoPlan
	}
	return err
}

// Share is one of some equal parts of a lane. The zero value is all of it.
type Share struct {
	N  int64 `json:"n"` // from 0
	Of int64 `json:"of"`
}

// Next returns up to n items of a share of a lane that are still to do, best
// first, except those that the caller has in hand.
func (c *Catalog) Next(ctx context.Context, e Epoch, lane string, s Share, n int, busy []int64) ([]Item, error) {
	in := make(map[int64]bool, len(busy))
	for _, b := range busy {
		in[b] = true
	}
	rows, err := c.db.QueryContext(ctx, `SELECT item, lane, rank, name, size FROM plan
		WHERE epoch = ? AND lane = ? AND state = 0 AND item % ? = ? ORDER BY rank DESC, item LIMIT ?`, e, lane, max(s.Of, 1), s.N, n+len(busy))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var items []Item
	for rows.Next() && len(items) < n {
		var it Item
		if err := rows.Scan(&it.Item, &it.Lane, &it.Rank, &it.Name, &it.Size); err != nil {
			return nil, err
		}
		if !in[it.Item] {
			items = append(items, it)
		}
	}
	return items, rows.Err()
}

// HandOver moves an item to another lane.
func (c *Catalog) HandOver(ctx context.Context, e Epoch, item int64, lane string) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE plan SET lane = ?, rank = size WHERE epoch = ? AND item = ? AND state = 0`, lane, e, item)
		return err
	})
}

// Outcome of one item.
type Outcome struct {
	State ItemState // Done or Failed; ToDo in StoreAsset
	Sent  int64     // bytes of content that left for the store
	Fresh int       // resources stored by this run
	Known int       // resources whose content was there already
	Bytes int64     // what the repository grew by
	Error []byte    // opaque; what went wrong, also for items that are done; nil for nothing

	Lane string // of an item that stays ToDo
	Left int64  // bytes to read of it
}

// SetItem records the outcome of a restored item, and forgets its downloads.
func (c *Catalog) SetItem(ctx context.Context, e Epoch, item int64, o Outcome) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM download WHERE epoch = ? AND item = ?`, e, item); err != nil {
			return err
		}
		_, err := setItem(tx, e, item, o)
		return err
	})
}

// setItem reports whether the item was still to do: it is left as it is if not.
func setItem(tx *sql.Tx, e Epoch, item int64, o Outcome) (set bool, err error) {
	res, err := tx.Exec(`UPDATE plan SET state = ?, sent = sent + ?, fresh = fresh + ?, known = known + ?, bytes = bytes + ?, error = ?
		WHERE epoch = ? AND item = ? AND state = 0`, o.State, o.Sent, o.Fresh, o.Known, o.Bytes, string(o.Error), e, item)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// AddSent counts bytes that left for the store before their item is done, so
// that what a killed process sent is counted too.
func (c *Catalog) AddSent(ctx context.Context, e Epoch, item, n int64) error {
	return c.AddPartial(ctx, e, 0, item, nil, Outcome{Sent: n})
}

// AddPartial records what the store has acknowledged of an item that is still
// to do: nothing of it is sent again. State and Error of o are not looked at.
func (c *Catalog) AddPartial(ctx context.Context, e Epoch, repo RepositoryID, item int64, blobs []Blob, o Outcome) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		for _, b := range blobs {
			if err := addBlob(tx, repo, b); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`UPDATE plan SET sent = sent + ?, fresh = fresh + ?, known = known + ?, bytes = bytes + ? WHERE epoch = ? AND item = ?`,
			o.Sent, o.Fresh, o.Known, o.Bytes, e, item)
		return err
	})
}

// PlanFigures of a run.
type PlanFigures struct {
	Items, Done, Failed int64
	Size, DoneSize      int64 // bytes to read, and of what is done
	Sent, Bytes         int64
	Fresh, Known        int64
}

// PlanFigures sums a plan.
func (c *Catalog) PlanFigures(ctx context.Context, e Epoch) (f PlanFigures, err error) {
	err = c.one(ctx, `SELECT count(*), coalesce(sum(state = 1), 0), coalesce(sum(state = 2), 0),
		coalesce(sum(size), 0), coalesce(sum(iif(state > 0, size, 0)), 0),
		coalesce(sum(sent), 0), coalesce(sum(bytes), 0), coalesce(sum(fresh), 0), coalesce(sum(known), 0)
		FROM plan WHERE epoch = ?`, e).
		Scan(&f.Items, &f.Done, &f.Failed, &f.Size, &f.DoneSize, &f.Sent, &f.Bytes, &f.Fresh, &f.Known)
	return f, err
}

// Errors yields what went wrong in a plan, in order of items.
func (c *Catalog) Errors(ctx context.Context, e Epoch, f func(name string, doc []byte) error) error {
	rows, err := c.db.QueryContext(ctx, `SELECT name, error FROM plan WHERE epoch = ? AND error <> '' ORDER BY item`, e)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var doc []byte
		if err := rows.Scan(&name, &doc); err != nil {
			return err
		}
		if err := f(name, doc); err != nil {
			return err
		}
	}
	return rows.Err()
}

// SetPages replaces the page list of a run.
func (c *Catalog) SetPages(ctx context.Context, e Epoch, docs [][]byte) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM run_page WHERE epoch = ?`, e); err != nil {
			return err
		}
		for n, doc := range docs {
			if _, err := tx.Exec(`INSERT INTO run_page (epoch, n, doc) VALUES (?, ?, ?)`, e, n, doc); err != nil {
				return err
			}
		}
		return nil
	})
}

// Pages returns the page list of a run.
func (c *Catalog) Pages(ctx context.Context, e Epoch) (docs [][]byte, err error) {
	rows, err := c.db.QueryContext(ctx, `SELECT doc FROM run_page WHERE epoch = ? ORDER BY n`, e)
	if err != nil {
		return nil, err
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
