package applelibrary

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// Kinds of ZGENERICALBUM that a user made. The others are imports, smart
// albums, projects and Photos' own.
const (
	albumUser   = 2
	albumShared = 1505
	albumFolder = 4000
)

// albumNames returns "Folder/Album" by key. There are thousands at most, so
// they are read at once. Titles are kept as they are, slashes included.
func (m *model) albumNames(ctx context.Context, db *sql.DB) (map[int64]string, error) {
	const table = "ZGENERICALBUM"
	if !m.has(table, "Z_PK", "ZKIND", "ZTITLE") {
		return nil, nil
	}
	type album struct {
		kind, parent, trashed int64
		title                 string
	}
	var (
		pk int64
		a  album
	)
	list, dests := split([]column{
		{table + ".Z_PK", &pk},
		{m.integer(table, "ZKIND"), &a.kind},
		{m.integer(table, "ZPARENTFOLDER"), &a.parent},
		{m.integer(table, "ZTRASHEDSTATE"), &a.trashed},
		{m.text(table, "ZTITLE"), &a.title},
	})
	rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE ZKIND IN (%d, %d, %d)", list, table, albumUser, albumShared, albumFolder))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[int64]album{}
	for rows.Next() {
		if err := rows.Scan(dests...); err != nil {
			return nil, err
		}
		all[pk] = a
	}
	names := map[int64]string{}
	for pk, a := range all {
		if a.kind == albumFolder || a.trashed != 0 || a.title == "" {
			continue
		}
		name, seen := a.title, map[int64]bool{}
		for at := a.parent; all[at].kind == albumFolder && !seen[at]; at = all[at].parent {
			seen[at] = true
			name = all[at].title + "/" + name
		}
		names[pk] = valid(name)
	}
	return names, rows.Err()
}

// names collects, for the assets with keys from lo to hi, the strings that a
// query of (asset, string) yields.
func names(ctx context.Context, db *sql.DB, query string, lo, hi int64) (map[int64][]string, error) {
	rows, err := db.QueryContext(ctx, query, lo, hi)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[int64][]string{}
	for rows.Next() {
		var (
			asset int64
			name  string
		)
		if err := rows.Scan(&asset, &name); err != nil {
			return nil, err
		}
		if name != "" {
			found[asset] = append(found[asset], valid(name))
		}
	}
	return found, rows.Err()
}

func (m *model) keywordNames(ctx context.Context, db *sql.DB, lo, hi int64) (map[int64][]string, error) {
	j := m.keywords
	if j.table == "" || !m.has("ZKEYWORD", "ZTITLE") {
		return nil, nil
	}
	return names(ctx, db, fmt.Sprintf(`SELECT t.ZASSET, coalesce(CAST(k.ZTITLE AS TEXT), '')
		FROM ZADDITIONALASSETATTRIBUTES t JOIN %s j ON j.%s = t.Z_PK JOIN ZKEYWORD k ON k.Z_PK = j.%s
		WHERE t.ZASSET BETWEEN ? AND ?`, j.table, j.from, j.to), lo, hi)
}

func (m *model) personNames(ctx context.Context, db *sql.DB, lo, hi int64) (map[int64][]string, error) {
	j := m.faces
	if j.table == "" || !m.has("ZPERSON", "ZFULLNAME") {
		return nil, nil
	}
	return names(ctx, db, fmt.Sprintf(`SELECT f.%s, coalesce(CAST(p.ZFULLNAME AS TEXT), '')
		FROM %s f JOIN ZPERSON p ON p.Z_PK = f.%s WHERE f.%s BETWEEN ? AND ?`, j.from, j.table, j.to, j.from), lo, hi)
}

// albumsOf returns the album keys of the assets with keys from lo to hi.
func (m *model) albumsOf(ctx context.Context, db *sql.DB, lo, hi int64) (map[int64][]int64, error) {
	j := m.albums
	if j.table == "" {
		return nil, nil
	}
	rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT %s, coalesce(CAST(%s AS INTEGER), 0) FROM %s WHERE %s BETWEEN ? AND ?", j.from, j.to, j.table, j.from), lo, hi)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[int64][]int64{}
	for rows.Next() {
		var asset, album int64
		if err := rows.Scan(&asset, &album); err != nil {
			return nil, err
		}
		found[asset] = append(found[asset], album)
	}
	return found, rows.Err()
}

// set sorts names and drops repetitions.
func set(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
