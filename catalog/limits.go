package catalog

import (
	"context"
	"database/sql"
	"errors"
)

// Limits are rates or timetables of a run; "" for none.
type Limits struct{ Upload, Download string }

// BeginLimits gives a run of a workflow the limits that it begins with, unless
// it has some already.
func (c *Catalog) BeginLimits(ctx context.Context, workflow, run string, l Limits) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO limits (workflow, run, upload, download) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET run = excluded.run, upload = excluded.upload, download = excluded.download WHERE run <> excluded.run`,
			workflow, run, l.Upload, l.Download)
		return err
	})
}

// ChangeLimits gives a run the limits that change makes of those it has.
func (c *Catalog) ChangeLimits(ctx context.Context, workflow, run string, change func(*Limits)) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		var l Limits
		err := tx.QueryRow(`SELECT upload, download FROM limits WHERE workflow = ? AND run = ?`, workflow, run).Scan(&l.Upload, &l.Download)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		change(&l)
		_, err = tx.Exec(`INSERT OR REPLACE INTO limits (workflow, run, upload, download) VALUES (?, ?, ?, ?)`, workflow, run, l.Upload, l.Download)
		return err
	})
}

// Limits returns what the run of a workflow is limited to.
func (c *Catalog) Limits(ctx context.Context, workflow string) (l Limits, err error) {
	err = c.one(ctx, `SELECT upload, download FROM limits WHERE workflow = ?`, workflow).Scan(&l.Upload, &l.Download)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return l, err
}

// DropLimits forgets those of a workflow whose run has ended.
func (c *Catalog) DropLimits(ctx context.Context, workflow string) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM limits WHERE workflow = ?`, workflow)
		return err
	})
}
