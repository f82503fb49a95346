package catalog

import (
	"context"
	"database/sql"
	"errors"
)

// Planner adds items to a plan and gives them names, in one transaction.
type Planner struct {
	tx    *sql.Tx
	epoch Epoch
}

// PlanItems calls f with a Planner and commits what it did. f may be called
// again after a rollback.
func (c *Catalog) PlanItems(ctx context.Context, e Epoch, f func(Planner) error) error {
	return c.write(ctx, func(tx *sql.Tx) error { return f(Planner{tx, e}) })
}

// Add plans one item with its document.
func (p Planner) Add(it Item, doc []byte) error {
	if _, err := p.tx.Exec(`INSERT INTO item (epoch, item, doc) VALUES (?, ?, ?)`, p.epoch, it.Item, doc); err != nil {
		return err
	}
	return plan(p.tx, p.epoch, it)
}

// Take gives owner all names with these keys, if none of them is another's:
// then it returns 0. Else it takes none, and returns a number of at least 2
// to try the names with; it grows with each call, so that a name which
// thousands want is not searched for from the beginning.
func (p Planner) Take(keys [][]byte, owner []byte) (next int, err error) {
	for _, key := range keys {
		var n int
		err := p.tx.QueryRow(`UPDATE name SET n = n + 1 WHERE epoch = ? AND key = ? AND owner <> ? RETURNING n`, p.epoch, key, owner).Scan(&n)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, err
		}
		next = max(next, n)
	}
	if next > 0 {
		return next, nil
	}
	for _, key := range keys {
		if _, err := p.tx.Exec(`INSERT INTO name (epoch, key, owner, n) VALUES (?, ?, ?, 1) ON CONFLICT DO NOTHING`, p.epoch, key, owner); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// ForgetNames forgets which names a plan took: they are in its items.
func (c *Catalog) ForgetNames(ctx context.Context, e Epoch) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM name WHERE epoch = ?`, e)
		return err
	})
}
