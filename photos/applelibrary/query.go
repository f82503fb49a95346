package applelibrary

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"lightfast/internal/sqlite"
)

// column is one expression of a query and where its value goes.
type column struct {
	expr string
	dest any
}

// joined is the FROM of a query. It knows the tables that it has joined and
// no others: a column of one that is missing, or that could not be joined, is
// its default instead of an error.
type joined struct {
	tables
	all  tables
	from string
}

func (t tables) query(table string) *joined {
	return &joined{tables: tables{sqlite.Schema{strings.ToUpper(table): t.schema[strings.ToUpper(table)]}}, all: t, from: " FROM " + table}
}

// join adds the rows of a table whose column equals one of a table before it.
// They are never needed: an asset without them is still somebody's photo.
func (j *joined) join(table, column, before, equals string) {
	if j.all.has(table, column) && j.has(before, equals) {
		j.schema[strings.ToUpper(table)] = j.all.schema[strings.ToUpper(table)]
		j.from += fmt.Sprintf(" LEFT JOIN %s ON %s.%s = %s.%s", table, table, column, before, equals)
	}
}

// each reads the columns of every row that the rest of the query leaves, and
// calls f after each.
func (j *joined) each(ctx context.Context, db *sql.DB, columns []column, rest string, f func(), args ...any) error {
	exprs, dests := make([]string, len(columns)), make([]any, len(columns))
	for i, c := range columns {
		exprs[i], dests[i] = c.expr, c.dest
	}
	rows, err := db.QueryContext(ctx, "SELECT "+strings.Join(exprs, ", ")+j.from+" "+rest, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(dests...); err != nil {
			return err
		}
		f()
	}
	return rows.Err()
}
