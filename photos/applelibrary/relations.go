package applelibrary

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"lightfast/photos"
)

// Kinds of ZGENERICALBUM that a user made. The others are imports, smart
// albums, projects and Photos' own.
const (
	albumUser   = 2
	albumShared = 1505
	albumFolder = 4000
)

// readAlbums returns the albums by key. There are thousands at most, so they
// are read at once. Titles are kept as they are, slashes included.
func (m *model) readAlbums(ctx context.Context, db *sql.DB) (map[int64]photos.AlbumItem, error) {
	const table = "ZGENERICALBUM"
	if !m.has(table, "Z_PK", "ZKIND", "ZTITLE") {
		return nil, nil
	}
	type album struct {
		kind, parent, trashed int64
		title, uuid           string
	}
	var (
		pk int64
		a  album
	)
	all := map[int64]album{}
	q := m.query(table)
	err := q.each(ctx, db, []column{
		{table + ".Z_PK", &pk},
		{q.integer(table, "ZKIND"), &a.kind},
		{q.integer(table, "ZPARENTFOLDER"), &a.parent},
		{q.integer(table, "ZTRASHEDSTATE"), &a.trashed},
		{q.text(table, "ZTITLE"), &a.title},
		{q.text(table, "ZUUID"), &a.uuid},
	}, fmt.Sprintf("WHERE ZKIND IN (%d, %d, %d)", albumUser, albumShared, albumFolder), func() { all[pk] = a })
	albums := map[int64]photos.AlbumItem{}
	for pk, a := range all {
		if a.kind == albumFolder || a.trashed != 0 || a.title == "" {
			continue
		}
		path, seen := a.title, map[int64]bool{}
		for at := a.parent; all[at].kind == albumFolder && !seen[at]; at = all[at].parent {
			seen[at] = true
			path = all[at].title + "/" + path
		}
		albums[pk] = photos.AlbumItem{UUID: valid(a.uuid), Path: valid(path)}
	}
	return albums, err
}

// eachAlbum calls f for every album of the assets with keys from lo to hi.
func (m *model) eachAlbum(ctx context.Context, db *sql.DB, lo, hi int64, f func(asset, album, order int64)) error {
	j := m.albums
	if j.table == "" {
		return nil
	}
	var asset, album, order int64
	q := m.query(j.table)
	return q.each(ctx, db, []column{
		{q.integer(j.table, j.from), &asset},
		{q.integer(j.table, j.to), &album},
		{q.integer(j.table, j.order), &order},
	}, fmt.Sprintf("WHERE %s BETWEEN ? AND ?", j.from), func() { f(asset, album, order) }, lo, hi)
}

// eachKeyword calls f for every keyword of the assets with keys from lo to hi.
func (m *model) eachKeyword(ctx context.Context, db *sql.DB, lo, hi int64, f func(asset int64, keyword string)) error {
	const attr, keyword = "ZADDITIONALASSETATTRIBUTES", "ZKEYWORD"
	j := m.keywords
	if j.table == "" || !m.has(keyword, "Z_PK", "ZTITLE") || !m.has(attr, "Z_PK", "ZASSET") {
		return nil
	}
	var (
		asset int64
		title string
	)
	q := m.query(attr)
	q.join(j.table, j.from, attr, "Z_PK")
	q.join(keyword, "Z_PK", j.table, j.to)
	return q.each(ctx, db, []column{
		{q.integer(attr, "ZASSET"), &asset},
		{q.text(keyword, "ZTITLE"), &title},
	}, "WHERE "+keyword+".ZTITLE != '' AND "+attr+".ZASSET BETWEEN ? AND ?", func() { f(asset, title) }, lo, hi)
}

// faceRow is a face that Photos found, or a person that the user marked.
type faceRow struct {
	name                      string // "" for nobody known
	x, y, size                sql.NullFloat64
	sourceWidth, sourceHeight int64
}

// eachFace calls f for every face of the assets with keys from lo to hi.
func (m *model) eachFace(ctx context.Context, db *sql.DB, lo, hi int64, f func(asset int64, r faceRow)) error {
	const person = "ZPERSON"
	j := m.faces
	if j.table == "" {
		return nil
	}
	var (
		asset int64
		r     faceRow
	)
	q := m.query(j.table)
	q.join(person, "Z_PK", j.table, j.to)
	return q.each(ctx, db, []column{
		{q.integer(j.table, j.from), &asset},
		{q.text(person, "ZFULLNAME"), &r.name},
		{q.real(j.table, "ZCENTERX"), &r.x},
		{q.real(j.table, "ZCENTERY"), &r.y},
		{q.real(j.table, "ZSIZE"), &r.size},
		{q.integer(j.table, "ZSOURCEWIDTH"), &r.sourceWidth},
		{q.integer(j.table, "ZSOURCEHEIGHT"), &r.sourceHeight},
	}, fmt.Sprintf("WHERE %s.%s BETWEEN ? AND ?", j.table, j.from), func() { f(asset, r) }, lo, hi)
}

// set sorts names and drops repetitions.
func set(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
