package applelibrary

import (
	"context"
	"database/sql"
	"strings"

	"lightfast/photos"
)

// assetRow is an asset as the database has it.
type assetRow struct {
	pk                                int64
	uuid, directory, filename, uti    string
	kind, subtype, saved, bundleScope int64
	complete                          sql.NullFloat64 // 0 for an import that was not finished
	adjustments                       int64
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
	orientation                       int64           // Exif's, of the original
	offset                            sql.NullFloat64 // seconds east of UTC
	zone                              string
	place                             []byte
	syndication                       string
	syndicationHistory                int64
	editFormat                        string
	duration                          sql.NullFloat64
	maker, camera, lens               string
	iso                               int64
	aperture, exposure, focalLength   sql.NullFloat64
	resources                         []resourceRow
	folders                           []string // see originalFolders
	keywords                          []string
	albums                            []photos.AlbumItem
	faces                             []faceRow
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

// assetRows reads the next assets after a key, without what an asset may have
// several of.
func (m *model) assetRows(ctx context.Context, db *sql.DB, after int64) (list []assetRow, err error) {
	const attr, ext, description, edit = "ZADDITIONALASSETATTRIBUTES", "ZEXTENDEDATTRIBUTES", "ZASSETDESCRIPTION", "ZUNMANAGEDADJUSTMENT"
	q := m.query(m.asset)
	q.join(attr, "ZASSET", m.asset, "Z_PK")
	q.join(ext, "ZASSET", m.asset, "Z_PK")
	q.join(description, "Z_PK", attr, "ZASSETDESCRIPTION")
	q.join(edit, "Z_PK", attr, "ZUNMANAGEDADJUSTMENT")
	var a assetRow
	err = q.each(ctx, db, []column{
		{m.asset + ".Z_PK", &a.pk},
		{q.text(m.asset, "ZUUID"), &a.uuid},
		{q.text(m.asset, "ZDIRECTORY"), &a.directory},
		{q.text(m.asset, "ZFILENAME"), &a.filename},
		{q.text(m.asset, "ZUNIFORMTYPEIDENTIFIER"), &a.uti},
		{q.integer(m.asset, "ZKIND"), &a.kind},
		{q.integer(m.asset, "ZKINDSUBTYPE"), &a.subtype},
		{q.integer(m.asset, "ZSAVEDASSETTYPE"), &a.saved},
		{q.integer(m.asset, "ZBUNDLESCOPE"), &a.bundleScope},
		{q.real(m.asset, "ZCOMPLETE"), &a.complete},
		{q.integer(m.asset, "ZADJUSTMENTSSTATE", "ZHASADJUSTMENTS"), &a.adjustments},
		{q.integer(m.asset, "ZHIDDEN"), &a.hidden},
		{q.integer(m.asset, "ZFAVORITE"), &a.favorite},
		{q.integer(m.asset, "ZTRASHEDSTATE"), &a.trashed},
		{q.real(m.asset, "ZCLOUDBATCHPUBLISHDATE"), &a.published},
		{q.real(m.asset, "ZDATECREATED"), &a.taken},
		{q.real(m.asset, "ZADDEDDATE"), &a.added},
		{q.real(m.asset, "ZMODIFICATIONDATE"), &a.modified},
		{q.real(m.asset, "ZADJUSTMENTTIMESTAMP"), &a.adjusted},
		{q.real(m.asset, "ZDURATION"), &a.duration},
		{q.real(m.asset, "ZLATITUDE"), &a.latitude},
		{q.real(m.asset, "ZLONGITUDE"), &a.longitude},
		{q.text(m.asset, "ZAVALANCHEUUID"), &a.burst},
		{q.integer(m.asset, "ZAVALANCHEPICKTYPE"), &a.burstPick},
		{q.integer(m.asset, "ZWIDTH"), &a.width},
		{q.integer(m.asset, "ZHEIGHT"), &a.height},
		{q.integer(m.asset, "ZDEPTHTYPE", "ZDEPTHSTATES"), &a.depth},
		{q.integer(m.asset, "ZHDRTYPE", "ZCUSTOMRENDEREDVALUE"), &a.rendered},
		{q.text(attr, "ZORIGINALFILENAME"), &a.originalName},
		{q.text(attr, "ZTITLE"), &a.title},
		{q.text(description, "ZLONGDESCRIPTION"), &a.description},
		{q.text(attr, "ZORIGINALSTABLEHASH", "ZMASTERFINGERPRINT"), &a.originalHash},
		{q.text(attr, "ZADJUSTEDSTABLEHASH", "ZADJUSTEDFINGERPRINT"), &a.adjustedHash},
		{q.integer(attr, "ZORIGINALFILESIZE"), &a.originalSize},
		{q.integer(attr, "ZCAMERACAPTUREDEVICE"), &a.captureDevice},
		{q.integer(attr, "ZORIGINALORIENTATION"), &a.orientation},
		{q.real(attr, "ZTIMEZONEOFFSET"), &a.offset},
		{q.text(attr, "ZTIMEZONENAME"), &a.zone},
		{q.blob(attr, "ZREVERSELOCATIONDATA"), &a.place},
		{q.text(attr, "ZSYNDICATIONIDENTIFIER"), &a.syndication},
		{q.integer(attr, "ZSYNDICATIONHISTORY"), &a.syndicationHistory},
		{q.text(edit, "ZADJUSTMENTFORMATIDENTIFIER"), &a.editFormat},
		{q.text(ext, "ZCAMERAMAKE"), &a.maker},
		{q.text(ext, "ZCAMERAMODEL"), &a.camera},
		{q.text(ext, "ZLENSMODEL"), &a.lens},
		{q.integer(ext, "ZISO"), &a.iso},
		{q.real(ext, "ZAPERTURE"), &a.aperture},
		{q.real(ext, "ZSHUTTERSPEED"), &a.exposure},
		{q.real(ext, "ZFOCALLENGTH"), &a.focalLength},
	}, "WHERE "+m.asset+".Z_PK > ? ORDER BY "+m.asset+".Z_PK LIMIT ?", func() {
		if n := len(list); n == 0 || list[n-1].pk != a.pk { // two rows of attributes are one asset
			list = append(list, a)
		}
		a = assetRow{}
	}, after, batch)
	return list, err
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
	q := m.query(table)
	q.join(bookmark, "Z_PK", table, bookmark)
	q.join(volume, "Z_PK", table, volume)
	var (
		asset int64
		r     resourceRow
	)
	return q.each(ctx, db, []column{
		{q.integer(table, "ZASSET"), &asset},
		{q.integer(table, "ZRESOURCETYPE"), &r.kind},
		{q.integer(table, "ZVERSION"), &r.version},
		{q.integer(table, "ZDATASTORECLASSID"), &r.store},
		{q.integer(table, "ZDATASTORESUBTYPE"), &r.subtype},
		{q.integer(table, "ZRECIPEID"), &r.recipe},
		{q.integer(table, "ZLOCALAVAILABILITY"), &r.local},
		{q.integer(table, "ZREMOTEAVAILABILITY"), &r.remote},
		{q.integer(table, "ZDATALENGTH"), &r.size},
		{q.text(table, "ZFINGERPRINT"), &r.fingerprint},
		{q.text(table, "ZCOMPACTUTI", "ZUNIFORMTYPEIDENTIFIER"), &r.uti},
		{q.blob(table, "ZDATASTOREKEYDATA"), &r.key},
		{q.text(volume, "ZNAME"), &r.volume},
		{q.text(bookmark, "ZPATHRELATIVETOVOLUME"), &r.outside},
	}, "WHERE "+table+".ZASSET BETWEEN ? AND ? ORDER BY "+table+".ZASSET, "+table+".Z_PK", func() { f(asset, r) }, lo, hi)
}
