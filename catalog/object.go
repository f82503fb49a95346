package catalog

import (
	"context"
	"database/sql"
	"errors"
	"iter"
)

// Object is one that a verify looks for, or has found in the store.
type Object struct {
	Key    string
	Size   int64
	Proven bool   // its checksum was compared
	Damage []byte // opaque
}

// ExpectObjects notes that the snapshots of a verify name these objects. To
// note one again changes nothing.
func (c *Catalog) ExpectObjects(ctx context.Context, e Epoch, objects []Object) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		for _, o := range objects {
			if _, err := tx.Exec(`INSERT INTO object (epoch, key, size) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, e, o.Key, o.Size); err != nil {
				return err
			}
		}
		return nil
	})
}

// FoundObjects notes the sizes of objects that the store lists, and returns
// how many of them are expected.
func (c *Catalog) FoundObjects(ctx context.Context, e Epoch, objects []Object) (expected int64, err error) {
	err = c.write(ctx, func(tx *sql.Tx) error {
		expected = 0
		for _, o := range objects {
			res, err := tx.Exec(`UPDATE object SET found = ? WHERE epoch = ? AND key = ?`, o.Size, e, o.Key)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			expected += n
		}
		return nil
	})
	return expected, err
}

// CheckedObjects notes that objects were looked at one by one, and their
// Damage if they have one. Those that were not expected are noted as well,
// but not among the figures if their size is -1.
func (c *Catalog) CheckedObjects(ctx context.Context, e Epoch, objects []Object) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		for _, o := range objects {
			if _, err := tx.Exec(`INSERT INTO object (epoch, key, size, checked, damage) VALUES (?, ?, ?, iif(?, 2, 1), ?)
				ON CONFLICT DO UPDATE SET checked = excluded.checked, damage = coalesce(excluded.damage, damage)`, e, o.Key, o.Size, o.Proven, o.Damage); err != nil {
				return err
			}
		}
		return nil
	})
}

// SuspectObjects returns up to n expected objects, in order of keys from
// after one, that the last listing does not have with their size.
func (c *Catalog) SuspectObjects(ctx context.Context, e Epoch, after string, n int) ([]Object, error) {
	return c.someObjects(ctx, `SELECT key, size, damage FROM object WHERE epoch = ? AND key > ? AND found <> size ORDER BY key LIMIT ?`, e, after, n)
}

// UncheckedObjects returns up to n objects after a key that were listed with
// their size and not looked at one by one.
func (c *Catalog) UncheckedObjects(ctx context.Context, e Epoch, after string, n int) ([]Object, error) {
	return c.someObjects(ctx, `SELECT key, size, damage FROM object WHERE epoch = ? AND key > ? AND checked = 0 AND found = size ORDER BY key LIMIT ?`, e, after, n)
}

func (c *Catalog) someObjects(ctx context.Context, query string, args ...any) (objects []Object, err error) {
	rows, err := c.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var o Object
		if err := rows.Scan(&o.Key, &o.Size, &o.Damage); err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, rows.Err()
}

// DamagedObjects yields what has a Damage, in order of keys.
func (c *Catalog) DamagedObjects(ctx context.Context, e Epoch) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		rows, err := c.db.QueryContext(ctx, `SELECT key, size, damage FROM object WHERE epoch = ? AND damage IS NOT NULL ORDER BY key`, e)
		if err != nil {
			yield(Object{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var o Object
			if err := rows.Scan(&o.Key, &o.Size, &o.Damage); !yield(o, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Object{}, err)
		}
	}
}

// ObjectDamage returns the Damage of an object, nil for none.
func (c *Catalog) ObjectDamage(ctx context.Context, e Epoch, key string) (damage []byte, err error) {
	err = c.one(ctx, `SELECT damage FROM object WHERE epoch = ? AND key = ?`, e, key).Scan(&damage)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return damage, err
}

// ObjectFigures of a verify.
type ObjectFigures struct {
	Objects, Bytes int64 // of known size
	Proven         int64
	Damaged        int64
}

// ObjectFigures sums the objects of a verify.
func (c *Catalog) ObjectFigures(ctx context.Context, e Epoch) (f ObjectFigures, err error) {
	err = c.one(ctx, `SELECT coalesce(sum(size >= 0), 0), coalesce(sum(max(size, 0)), 0), coalesce(sum(checked = 2), 0), coalesce(sum(damage IS NOT NULL), 0)
		FROM object WHERE epoch = ?`, e).Scan(&f.Objects, &f.Bytes, &f.Proven, &f.Damaged)
	return f, err
}

// ForgetObjects forgets what a verify was about.
func (c *Catalog) ForgetObjects(ctx context.Context, e Epoch) error {
	return c.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM object WHERE epoch = ?`, e)
		return err
	})
}
