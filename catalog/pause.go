package catalog

import (
	"context"
	"database/sql"
)

// SetPaused holds or releases the runs of a workflow.
func (c *Catalog) SetPaused(ctx context.Context, workflow string, on bool) error {
	return c.write(ctx, func(tx *sql.Tx) (err error) {
		if on {
			_, err = tx.Exec(`INSERT INTO paused (workflow) VALUES (?) ON CONFLICT DO NOTHING`, workflow)
		} else {
			_, err = tx.Exec(`DELETE FROM paused WHERE workflow = ?`, workflow)
		}
		return err
	})
}

// Paused reports whether the runs of a workflow are held.
func (c *Catalog) Paused(ctx context.Context, workflow string) (on bool, err error) {
	err = c.one(ctx, `SELECT EXISTS (SELECT 1 FROM paused WHERE workflow = ?)`, workflow).Scan(&on)
	return on, err
}
