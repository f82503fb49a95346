package photostest

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"howett.net/plist"

	"lightfast/internal/sqlite"
	"lightfast/photos"
)

// LibrarySpec describes a Photos library to build. The same spec makes the
// same library, byte for byte in its media.
type LibrarySpec struct {
	Seed   uint64
	Assets []AssetSpec
	// Photos4 builds it as Photos 4 would (macOS 10.14), which has nothing
	// shared in its database.
	Photos4 bool
	// Sparse leaves holes in films above 1 MiB: they need no room on the disk,
	// and have no fingerprint.
	Sparse bool
	// Hollow makes every file one hole of its size, without a fingerprint: a
	// library for measuring a scan, which needs no room and less time.
	Hollow bool
	// Cloud writes what is ICloudOnly to the folder CloudOf(library), from
	// where a Cloud serves it. Not for Photos4.
	Cloud bool
}

// AssetSpec describes one asset, or Count of them that are alike but for
// their bytes. Its zero value is a small photo.
type AssetSpec struct {
	Count       int            // 0 is 1
	ID          photos.AssetID // "" is one that the seed gives
	Name        string         // original file name; "" is IMG_ and a number
	Title       string
	Description string
	Video       bool
	Size        int64 // of the original in bytes; small if 0
	Live        bool  // with a paired film
	Edited      bool  // with render and adjustment, and an edited film if Live
	RAW         bool  // with a RAW twin
	Favorite    bool
	Trashed     bool
	Hidden      bool
	Albums      []string // "Folder/Album"
	Keywords    []string
	Persons     []string // each with a face

	// Absent resources, each for its reason. ReferencedOutside and
	// SharedNotDownloaded are for originals, RenderNeverMade is for edits.
	Absent map[photos.Role]photos.Reason
}

// Mix is a library of n assets as people have them, all features included,
// nothing absent.
func Mix(n int, seed uint64) LibrarySpec {
	spec := LibrarySpec{Seed: seed}
	for i := range n {
		a := AssetSpec{Favorite: i%50 == 0, Hidden: i%97 == 1, Trashed: i%89 == 2}
		switch i % 20 {
		case 3, 4, 5:
			a.Live = true
		case 6:
			a.Edited = true
		case 7:
			a.Live, a.Edited = true, true
		case 8:
			a.RAW = true
		case 9:
			a.Video, a.Size = true, 40_000
		}
		if i%3 == 0 {
			a.Albums = []string{fmt.Sprintf("Travel/Trip %d", i%30)}
		}
		if i%7 == 0 {
			a.Keywords, a.Persons = []string{"Family"}, []string{"Katie", "Suzy"}
		}
		spec.Assets = append(spec.Assets, a)
	}
	return spec
}

// BuildLibrary writes a Photos library, as a recent Photos would, to the
// folder dir, which it makes. 100,000 small photos take about half a minute.
func BuildLibrary(dir string, spec LibrarySpec) error {
	folders := []string{"database", "originals", "resources/renders", "resources/derivatives"}
	if spec.Photos4 {
		folders = []string{"database", "Masters", "resources/media", "resources/proxies/derivatives"}
	}
	for _, d := range folders {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	// Nobody reads this database before it is whole, so no journal.
	err := build(dir, spec.Photos4, sqlite.Options{Scratch: true}, func(b *builder) error {
		b.spec = spec
		if err := b.create(); err != nil {
			return err
		}
		for _, a := range spec.Assets {
			for range max(1, a.Count) {
				if _, err := b.add(a); err != nil {
					return err
				}
			}
		}
		_, err := b.tx.Exec(b.generation().indexes)
		return err
	})
	if err != nil {
		return err
	}
	return edit(dir, func(*builder) error { return nil }) // now in WAL mode, as those of Photos
}

// AddAsset adds one asset to a library that BuildLibrary made. It is the next
// one that the spec's seed would have given.
func AddAsset(dir string, seed uint64, a AssetSpec) (id photos.AssetID, err error) {
	err = edit(dir, func(b *builder) error {
		b.spec.Seed = seed
		id, err = b.add(a)
		return err
	})
	return id, err
}

var (
	//go:embed builder_schema.sql
	schema string
	//go:embed builder_indexes.sql
	indexes string
)

// builder writes assets in one transaction.
type builder struct {
	dir    string
	spec   LibrarySpec
	legacy bool // of Photos 4
	tx     *sql.Tx
	last   int64 // key of an asset

	named map[string]int64 // keys of albums, keywords, persons by kind and name
	stmts map[string][]inserting
	made  map[string]bool // folders
	out   *bufio.Writer
	holes errgroup.Group // at work on the files of a hollow library
	lost  []string       // files to remove when all is written
	cloud []CloudEntry   // files written beside the library
}

func build(dir string, legacy bool, o sqlite.Options, f func(*builder) error) (err error) {
	b := &builder{dir: dir, legacy: legacy, named: map[string]int64{}, stmts: map[string][]inserting{}, made: map[string]bool{}, out: bufio.NewWriterSize(nil, 1<<16)}
	db, err := sqlite.Open(filepath.Join(dir, "database", b.generation().database), o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	b.tx = tx
	if tx.QueryRow("SELECT coalesce(max(rowid), 0) FROM "+b.generation().asset).Scan(&b.last) != nil {
		b.last = 0 // a database without tables yet
	}
	b.holes.SetLimit(2)
	if err := errors.Join(f(b), b.holes.Wait()); err != nil {
		return err
	}
	for _, name := range b.lost {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	if err := addToIndex(CloudOf(dir), b.cloud); err != nil {
		return err
	}
	if !legacy {
		if _, err := tx.Exec("UPDATE Z_PRIMARYKEY SET Z_MAX = ? WHERE Z_NAME IN ('Asset', 'AdditionalAssetAttributes')", b.last); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (b *builder) create() error {
	if _, err := b.tx.Exec(b.generation().schema); err != nil {
		return err
	}
	if b.legacy {
		return b.nameLegacy()
	}
	info, err := plist.Marshal(map[string]any{"PLModelVersion": 18508, "NSStoreType": "SQLite"}, plist.BinaryFormat)
	if err != nil {
		return err
	}
	return b.insert("Z_METADATA", row{"Z_VERSION": 1, "Z_UUID": b.uuid("library"), "Z_PLIST": info})
}

// row is a row by column.
type row map[string]any

// inserting is a prepared INSERT.
type inserting struct {
	columns []string
	stmt    *sql.Stmt
}

// values are those of r if it has the columns of i and no others.
func (i inserting) values(r row) ([]any, bool) {
	if len(r) != len(i.columns) {
		return nil, false
	}
	values := make([]any, len(i.columns))
	for n, c := range i.columns {
		var ok bool
		if values[n], ok = r[c]; !ok {
			return nil, false
		}
	}
	return values, true
}

func (b *builder) insert(table string, r row) error {
	for _, i := range b.stmts[table] {
		if values, ok := i.values(r); ok {
			_, err := i.stmt.Exec(values...)
			return err
		}
	}
	columns := slices.Sorted(maps.Keys(r))
	stmt, err := b.tx.Prepare(fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s)", table, strings.Join(columns, ", "), strings.Repeat(", ?", len(columns)-1)))
	if err != nil {
		return err
	}
	b.stmts[table] = append(b.stmts[table], inserting{columns, stmt})
	return b.insert(table, r)
}

// noise is a stream that only the seed and the names of things decide.
func (b *builder) noise(names ...string) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%d %q", b.spec.Seed, names)))
}

func (b *builder) uuid(names ...string) string {
	var u [16]byte
	b.noise(names...).Read(u[:])
	u[6], u[8] = u[6]&0x0F|0x40, u[8]&0x3F|0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// add writes the files and rows of one asset.
func (b *builder) add(spec AssetSpec) (photos.AssetID, error) {
	if b.legacy {
		return b.addLegacy(spec)
	}
	b.last++
	a := asset{AssetSpec: spec, pk: b.last, uuid: cmp.Or(string(spec.ID), b.uuid("asset", fmt.Sprint(b.last)))}
	a.ext = ".jpeg"
	if a.Video {
		a.ext = ".mov"
	}
	a.Name = cmp.Or(a.Name, fmt.Sprintf("IMG_%04d%s", a.pk, map[string]string{".jpeg": ".JPG", ".mov": ".MOV"}[a.ext]))
	a.dir, a.file = a.uuid[:1], a.uuid+a.ext
	switch a.Absent[photos.RoleOriginal] {
	case photos.ReferencedOutside:
		a.dir, a.file = "/Volumes/Elsewhere/Pictures", a.Name
	case photos.SharedNotDownloaded:
		a.dir, a.file = "17058154511/"+b.uuid("shared album"), a.uuid+".JPG"
	}
	if err := b.addResources(&a); err != nil {
		return "", err
	}
	if err := b.addRows(&a); err != nil {
		return "", err
	}
	return photos.AssetID(a.uuid), b.addRelations(&a)
}

// asset is an asset on its way into the library.
type asset struct {
	AssetSpec
	pk             int64
	uuid, ext      string
	dir, file      string
	size           int64  // of the original
	hash, adjusted string // fingerprints
}

func (b *builder) addRows(a *asset) error {
	taken := 600_000_000 + float64(a.pk)*60.25
	asset := row{
		"Z_PK": a.pk, "Z_ENT": 3, "Z_OPT": 1, "ZADDITIONALATTRIBUTES": a.pk, "ZUUID": a.uuid, "ZDIRECTORY": a.dir, "ZFILENAME": a.file,
		"ZKIND": flag(a.Video), "ZKINDSUBTYPE": 2 * flag(a.Live), "ZPLAYBACKSTYLE": 1, "ZSAVEDASSETTYPE": 3, "ZBUNDLESCOPE": 0, "ZCLOUDLOCALSTATE": 1,
		"ZCOMPLETE": 1, "ZADJUSTMENTSSTATE": flag(a.Edited), "ZFAVORITE": flag(a.Favorite), "ZHIDDEN": flag(a.Hidden), "ZTRASHEDSTATE": flag(a.Trashed),
		"ZVISIBILITYSTATE": 0, "ZWIDTH": 8, "ZHEIGHT": 8, "ZORIENTATION": 1, "ZLATITUDE": -180.0, "ZLONGITUDE": -180.0, "ZDATECREATED": taken,
		"ZADDEDDATE": taken + 3600, "ZMODIFICATIONDATE": taken + 7200, "ZADJUSTMENTTIMESTAMP": nil, "ZCLOUDBATCHPUBLISHDATE": nil,
		"ZDURATION": 2.5 * float64(flag(a.Video)), "ZUNIFORMTYPEIDENTIFIER": map[string]string{".jpeg": "public.jpeg", ".mov": "com.apple.quicktime-movie"}[a.ext],
	}
	if a.Edited {
		asset["ZADJUSTMENTTIMESTAMP"] = taken + 7200
	}
	switch a.Absent[photos.RoleOriginal] {
	case photos.IncompleteImport:
		asset["ZCOMPLETE"] = 0
	case photos.ReferencedOutside:
		asset["ZSAVEDASSETTYPE"] = 10
	case photos.SharedNotDownloaded:
		asset["ZSAVEDASSETTYPE"], asset["ZBUNDLESCOPE"], asset["ZVISIBILITYSTATE"], asset["ZCLOUDBATCHPUBLISHDATE"] = 4, 2, 2, taken+9000
	}
	if err := b.insert("ZASSET", asset); err != nil {
		return err
	}
	attributes := row{
		"Z_PK": a.pk, "Z_ENT": 1, "Z_OPT": 1, "ZASSET": a.pk, "ZORIGINALFILENAME": a.Name, "ZORIGINALFILESIZE": a.size, "ZTIMEZONEOFFSET": 7200,
		"ZTIMEZONENAME": "Europe/Berlin", "ZORIGINALSTABLEHASH": text(a.hash), "ZADJUSTEDSTABLEHASH": text(a.adjusted), "ZTITLE": text(a.Title),
		"ZASSETDESCRIPTION": nil, "ZUNMANAGEDADJUSTMENT": nil,
	}
	if a.Description != "" {
		attributes["ZASSETDESCRIPTION"] = a.pk
		if err := b.insert("ZASSETDESCRIPTION", row{"Z_PK": a.pk, "Z_ENT": 4, "ZASSETATTRIBUTES": a.pk, "ZLONGDESCRIPTION": a.Description}); err != nil {
			return err
		}
	}
	if a.Edited {
		attributes["ZUNMANAGEDADJUSTMENT"] = a.pk
		if err := b.insert("ZUNMANAGEDADJUSTMENT", row{"Z_PK": a.pk, "Z_ENT": 83, "ZASSETATTRIBUTES": a.pk, "ZADJUSTMENTTIMESTAMP": taken + 7200,
			"ZADJUSTMENTFORMATIDENTIFIER": "com.apple.photo", "ZADJUSTMENTFORMATVERSION": "1.9", "ZUUID": b.uuid("adjustment", a.uuid)}); err != nil {
			return err
		}
	}
	if err := b.insert("ZADDITIONALASSETATTRIBUTES", attributes); err != nil {
		return err
	}
	return b.insert("ZEXTENDEDATTRIBUTES", row{"Z_PK": a.pk, "Z_ENT": 24, "ZASSET": a.pk, "ZCAMERAMAKE": "Apple", "ZCAMERAMODEL": "iPhone 15",
		"ZLENSMODEL": "iPhone 15 back camera 5.96mm f/1.6", "ZISO": 50, "ZAPERTURE": 1.6, "ZSHUTTERSPEED": 0.004, "ZFOCALLENGTH": 5.96})
}

func (b *builder) addRelations(a *asset) error {
	for _, name := range a.Albums {
		album, err := b.album(name, 2)
		if err == nil {
			err = b.insert("Z_30ASSETS", row{"Z_30ALBUMS": album, "Z_3ASSETS": a.pk, "Z_FOK_3ASSETS": a.pk * 1024})
		}
		if err != nil {
			return err
		}
	}
	for _, name := range a.Keywords {
		keyword, err := b.key("ZKEYWORD", "ZTITLE", name, row{"Z_ENT": 47, "ZTITLE": name, "ZUUID": b.uuid("keyword", name)})
		if err == nil {
			err = b.insert("Z_1KEYWORDS", row{"Z_1ASSETATTRIBUTES": a.pk, "Z_47KEYWORDS": keyword})
		}
		if err != nil {
			return err
		}
	}
	for i, name := range a.Persons {
		person, err := b.key("ZPERSON", "ZFULLNAME", name, row{"Z_ENT": 61, "ZFULLNAME": name, "ZDISPLAYNAME": name, "ZPERSONUUID": b.uuid("person", name)})
		if err == nil {
			err = b.insert("ZDETECTEDFACE", row{"Z_ENT": 17, "ZASSETFORFACE": a.pk, "ZPERSONFORFACE": person, "ZUUID": b.uuid("face", a.uuid, name),
				"ZCENTERX": float64(i+1) / float64(len(a.Persons)+1), "ZCENTERY": 0.75, "ZSIZE": 0.25, "ZSOURCEWIDTH": 8, "ZSOURCEHEIGHT": 8})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// album returns the key of an album (kind 2) or folder (kind 4000), and makes
// it and the folders around it if need be.
func (b *builder) album(name string, kind int) (int64, error) {
	parent, ent := int64(1), map[int]int{2: 30, 4000: 38}[kind]
	folder, title := path.Split(name)
	if folder != "" {
		var err error
		if parent, err = b.album(strings.TrimSuffix(folder, "/"), 4000); err != nil {
			return 0, err
		}
	}
	uuid := b.uuid("album", fmt.Sprint(kind), name)
	return b.key("ZGENERICALBUM", "ZUUID", uuid, row{"Z_ENT": ent, "ZKIND": kind, "ZTRASHEDSTATE": 0, "ZPARENTFOLDER": parent, "ZTITLE": title, "ZUUID": uuid})
}

// key returns the key of the row whose column is value, or inserts r.
func (b *builder) key(table, column, value string, r row) (int64, error) {
	if pk, ok := b.named[table+value]; ok {
		return pk, nil
	}
	find := func() (pk int64, err error) {
		err = b.tx.QueryRow(fmt.Sprintf("SELECT rowid FROM %s WHERE %s = ?", table, column), value).Scan(&pk)
		return pk, err
	}
	pk, err := find()
	if errors.Is(err, sql.ErrNoRows) {
		if err = b.insert(table, r); err == nil {
			pk, err = find()
		}
	}
	b.named[table+value] = pk
	return pk, err
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// text is s for a column that is NULL where there is none.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}
