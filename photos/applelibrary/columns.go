package applelibrary

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"lightfast/internal/sqlite"
)

// tables is what a database has, whoever made it.
type tables struct{ schema sqlite.Schema }

// has reports whether table has all the columns.
func (t tables) has(table string, columns ...string) bool {
	have := t.schema[strings.ToUpper(table)]
	for _, c := range columns {
		if !have[strings.ToUpper(c)] {
			return false
		}
	}
	return have != nil
}

// Column expressions. The casts keep one odd value from failing a whole
// library, and the driver from guessing times by a column's declared type.

func (t tables) text(table string, names ...string) string {
	return t.cast("coalesce(CAST(%s AS TEXT), '')", "''", table, names)
}

func (t tables) integer(table string, names ...string) string {
	return t.cast("coalesce(CAST(%s AS INTEGER), 0)", "0", table, names)
}

func (t tables) real(table string, names ...string) string {
	return t.cast("CAST(%s AS REAL)", "NULL", table, names)
}

func (t tables) blob(table string, names ...string) string {
	return t.cast("CAST(%s AS BLOB)", "NULL", table, names)
}

// cast returns the first of the columns that the table has.
func (t tables) cast(format, none, table string, names []string) string {
	for _, name := range names {
		if t.has(table, name) {
			return fmt.Sprintf(format, table+"."+name)
		}
	}
	return none
}

// index makes sure that rows are found by a column without reading the whole
// table. Real libraries have most of these indexes; the copy is ours.
func (t tables) index(ctx context.Context, db *sql.DB, table, column string) error {
	if !t.has(table, column) {
		return nil
	}
	var n int
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM pragma_index_list(?) l, pragma_index_info(l.name) i
		WHERE l.partial = 0 AND i.seqno = 0 AND upper(i.name) = upper(?)`, table, column).Scan(&n)
	if err == nil && n == 0 {
		_, err = db.ExecContext(ctx, fmt.Sprintf("CREATE INDEX lightfast_%s_%s ON %s (%s)", table, column, table, column))
	}
	return err
}
