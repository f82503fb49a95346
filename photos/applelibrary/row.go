package applelibrary

import (
	"context"
	"database/sql"
	"strings"
)

// column is one expression of a query and where its value goes.
type column struct {
	expr string
	dest any
}

// split returns the select list and the destinations of columns.
func split(columns []column) (list string, dests []any) {
	exprs := make([]string, len(columns))
	for i, c := range columns {
		exprs[i], dests = c.expr, append(dests, c.dest)
	}
	return strings.Join(exprs, ", "), dests
}

// assetRow is an asset as the database has it.
type assetRow struct {
	pk                                int64
	uuid, directory, filename, uti    string
	kind, subtype, saved, bundleScope int64
	complete, adjustments             int64
	hidden, favorite, trashed         int64
	published                         sql.NullFloat64 // into a shared album
	taken, added, modified, adjusted  sql.NullFloat64
	latitude, longitude               sql.NullFloat64
	burst                             string
	burstPick                         int64
	width, height, depth, rendered    int64
	originalName, title, description  string
	originalHash, adjustedHash        string
	originalSize, captureDevice       int64
	offset                            sql.NullFloat64 // seconds east of UTC
	zone                              string
	place                             []byte
	syndication                       string
	syndicationHistory                int64
	editFormat                        string
	resources                         []resourceRow
	albums, keywords, persons         []string
}

func (a *assetRow) shared() bool     { return a.published.Valid || a.saved == 4 }
func (a *assetRow) referenced() bool { return a.saved == 10 || strings.HasPrefix(a.directory, "/") }
func (a *assetRow) video() bool      { return a.kind == 1 }
func (a *assetRow) edited() bool     { return a.adjustments != 0 }

// syndicated means "shared with you" in Messages and not saved. The scope is
// a guess: no library with such an asset was seen.
func (a *assetRow) syndicated() bool {
	return a.bundleScope == 3 || a.syndication != "" && a.syndicationHistory == 0
}

// assetQuery returns the query for the next assets after a key, at most so
// many, and their destinations in a.
func (m *model) assetQuery(a *assetRow) (string, []any) {
	const attr = "ZADDITIONALASSETATTRIBUTES"
	complete := "1"
	if m.has(m.asset, "ZCOMPLETE") {
		complete = m.integer(m.asset, "ZCOMPLETE")
	}
	list, dests := split([]column{
		{m.asset + ".Z_PK", &a.pk},
		{m.text(m.asset, "ZUUID"), &a.uuid},
		{m.text(m.asset, "ZDIRECTORY"), &a.directory},
		{m.text(m.asset, "ZFILENAME"), &a.filename},
		{m.text(m.asset, "ZUNIFORMTYPEIDENTIFIER"), &a.uti},
		{m.integer(m.asset, "ZKIND"), &a.kind},
		{m.integer(m.asset, "ZKINDSUBTYPE"), &a.subtype},
		{m.integer(m.asset, "ZSAVEDASSETTYPE"), &a.saved},
		{m.integer(m.asset, "ZBUNDLESCOPE"), &a.bundleScope},
		{complete, &a.complete},
		{m.integer(m.asset, "ZADJUSTMENTSSTATE", "ZHASADJUSTMENTS"), &a.adjustments},
		{m.integer(m.asset, "ZHIDDEN"), &a.hidden},
		{m.integer(m.asset, "ZFAVORITE"), &a.favorite},
		{m.integer(m.asset, "ZTRASHEDSTATE"), &a.trashed},
		{m.real(m.asset, "ZCLOUDBATCHPUBLISHDATE"), &a.published},
		{m.real(m.asset, "ZDATECREATED"), &a.taken},
		{m.real(m.asset, "ZADDEDDATE"), &a.added},
		{m.real(m.asset, "ZMODIFICATIONDATE"), &a.modified},
		{m.real(m.asset, "ZADJUSTMENTTIMESTAMP"), &a.adjusted},
		{m.real(m.asset, "ZLATITUDE"), &a.latitude},
		{m.real(m.asset, "ZLONGITUDE"), &a.longitude},
		{m.text(m.asset, "ZAVALANCHEUUID"), &a.burst},
		{m.integer(m.asset, "ZAVALANCHEPICKTYPE"), &a.burstPick},
		{m.integer(m.asset, "ZWIDTH"), &a.width},
		{m.integer(m.asset, "ZHEIGHT"), &a.height},
		{m.integer(m.asset, "ZDEPTHTYPE", "ZDEPTHSTATES"), &a.depth},
		{m.integer(m.asset, "ZHDRTYPE", "ZCUSTOMRENDEREDVALUE"), &a.rendered},
		{m.text(attr, "ZORIGINALFILENAME"), &a.originalName},
		{m.text(attr, "ZTITLE"), &a.title},
		{m.text("ZASSETDESCRIPTION", "ZLONGDESCRIPTION"), &a.description},
		{m.text(attr, "ZORIGINALSTABLEHASH", "ZMASTERFINGERPRINT"), &a.originalHash},
		{m.text(attr, "ZADJUSTEDSTABLEHASH", "ZADJUSTEDFINGERPRINT"), &a.adjustedHash},
		{m.integer(attr, "ZORIGINALFILESIZE"), &a.originalSize},
		{m.integer(attr, "ZCAMERACAPTUREDEVICE"), &a.captureDevice},
		{m.real(attr, "ZTIMEZONEOFFSET"), &a.offset},
		{m.text(attr, "ZTIMEZONENAME"), &a.zone},
		{m.blob(attr, "ZREVERSELOCATIONDATA"), &a.place},
		{m.text(attr, "ZSYNDICATIONIDENTIFIER"), &a.syndication},
		{m.integer(attr, "ZSYNDICATIONHISTORY"), &a.syndicationHistory},
		{m.text("ZUNMANAGEDADJUSTMENT", "ZADJUSTMENTFORMATIDENTIFIER"), &a.editFormat},
	})
	// LEFT JOIN: an asset without attributes is still somebody's photo.
	from := " FROM " + m.asset
	if m.has(attr, "ZASSET") {
		from += " LEFT JOIN " + attr + " ON " + attr + ".ZASSET = " + m.asset + ".Z_PK"
		for _, t := range []struct{ table, key string }{{"ZASSETDESCRIPTION", "ZASSETDESCRIPTION"}, {"ZUNMANAGEDADJUSTMENT", "ZUNMANAGEDADJUSTMENT"}} {
			if m.schema[t.table] != nil {
				key := "NULL"
				if m.has(attr, t.key) {
					key = attr + "." + t.key
				}
				from += " LEFT JOIN " + t.table + " ON " + t.table + ".Z_PK = " + key
			}
		}
	}
	return "SELECT " + list + from + " WHERE " + m.asset + ".Z_PK > ? ORDER BY " + m.asset + ".Z_PK LIMIT ?", dests
}

// resourceRow is one row of ZINTERNALRESOURCE.
type resourceRow struct {
	kind, version, store, subtype, recipe int64
	local, remote, size                   int64
	fingerprint, uti                      string
	key                                   []byte // where Photos keeps the file; nil unless it is there
	volume, outside                       string // of a referenced file
}

const (
	kindImage = 0
	kindVideo = 1
	kindLive  = 3
	kindRAW   = 4
	kindAside = 5  // AAE, XMP
	kindCloud = 13 // a second form of some movies, only ever seen in iCloud
)

// eachResource calls f for every resource row of the assets with keys from lo
// to hi, in a fixed order.
func (m *model) eachResource(ctx context.Context, db *sql.DB, lo, hi int64, f func(asset int64, r resourceRow)) error {
	const table, bookmark, volume = "ZINTERNALRESOURCE", "ZFILESYSTEMBOOKMARK", "ZFILESYSTEMVOLUME"
	if !m.has(table, "ZASSET") {
		return nil
	}
	var (
		asset int64
		r     resourceRow
	)
	from := " FROM " + table
	for _, t := range []string{bookmark, volume} {
		if m.has(t, "Z_PK") && m.has(table, t) {
			from += " LEFT JOIN " + t + " ON " + t + ".Z_PK = " + table + "." + t
		}
	}
	joined := func(t, c string) string {
		if !m.has(table, t) {
			return "''"
		}
		return m.text(t, c)
	}
	list, dests := split([]column{
		{table + ".ZASSET", &asset},
		{m.integer(table, "ZRESOURCETYPE"), &r.kind},
		{m.integer(table, "ZVERSION"), &r.version},
		{m.integer(table, "ZDATASTORECLASSID"), &r.store},
		{m.integer(table, "ZDATASTORESUBTYPE"), &r.subtype},
		{m.integer(table, "ZRECIPEID"), &r.recipe},
		{m.integer(table, "ZLOCALAVAILABILITY"), &r.local},
		{m.integer(table, "ZREMOTEAVAILABILITY"), &r.remote},
		{m.integer(table, "ZDATALENGTH"), &r.size},
		{m.text(table, "ZFINGERPRINT"), &r.fingerprint},
		{m.text(table, "ZCOMPACTUTI", "ZUNIFORMTYPEIDENTIFIER"), &r.uti},
		{m.blob(table, "ZDATASTOREKEYDATA"), &r.key},
		{joined(volume, "ZNAME"), &r.volume},
		{joined(bookmark, "ZPATHRELATIVETOVOLUME"), &r.outside},
	})
	rows, err := db.QueryContext(ctx, "SELECT "+list+from+" WHERE "+table+".ZASSET BETWEEN ? AND ? ORDER BY "+table+".ZASSET, "+table+".Z_PK", lo, hi)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(dests...); err != nil {
			return err
		}
		f(asset, r)
	}
	return rows.Err()
}

// assetRows reads the next assets after a key, without what other tables say.
func (m *model) assetRows(ctx context.Context, db *sql.DB, after int64) ([]assetRow, error) {
	var a assetRow
	query, dests := m.assetQuery(&a)
	rows, err := db.QueryContext(ctx, query, after, batch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []assetRow
	for rows.Next() {
		a = assetRow{}
		if err := rows.Scan(dests...); err != nil {
			return nil, err
		}
		if n := len(list); n == 0 || list[n-1].pk != a.pk { // two rows of attributes are one asset
			list = append(list, a)
		}
	}
	return list, rows.Err()
}

// repeatedUUIDs returns the UUIDs that more than one asset has, with the
// lowest key of each. There are none in a sound library.
func (m *model) repeatedUUIDs(ctx context.Context, db *sql.DB) (map[string]int64, error) {
	rows, err := db.QueryContext(ctx, "SELECT CAST(ZUUID AS TEXT), min(Z_PK) FROM "+m.asset+" WHERE ZUUID IS NOT NULL GROUP BY 1 HAVING count(*) > 1")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	twice := map[string]int64{}
	for rows.Next() {
		var (
			uuid  string
			first int64
		)
		if err := rows.Scan(&uuid, &first); err != nil {
			return nil, err
		}
		twice[uuid] = first
	}
	return twice, rows.Err()
}
