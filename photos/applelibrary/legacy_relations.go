package applelibrary

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lightfast/photos"
)

// albumItems returns the albums that a user made, by key. The others, and the
// folders at the root, are "magic".
func (l *legacy) albumItems(ctx context.Context, db *sql.DB) (map[int64]photos.AlbumItem, error) {
	const t = "RKAlbum"
	if !l.has(t, "modelId", "name") {
		return nil, nil
	}
	folders, err := l.folders(ctx, db)
	if err != nil {
		return nil, err
	}
	var (
		key                         int64
		kind, subclass, magic, away int64
		uuid, name, in              string
	)
	items := map[int64]photos.AlbumItem{}
	q := l.query(t)
	err = q.each(ctx, db, []column{
		{q.integer(t, "modelId"), &key},
		{q.integer(t, "albumType"), &kind},
		{q.integer(t, "albumSubclass"), &subclass},
		{q.integer(t, "isMagic"), &magic},
		{q.integer(t, "isInTrash"), &away},
		{q.text(t, "uuid"), &uuid},
		{q.text(t, "name"), &name},
		{q.text(t, "folderUuid"), &in},
	}, "", func() {
		if kind != 1 || subclass != 3 || magic != 0 || away != 0 || name == "" {
			return
		}
		seen := map[string]bool{}
		for f := folders[in]; f.name != "" && !f.magic && !seen[in]; f = folders[in] {
			seen[in] = true
			name, in = f.name+"/"+name, f.parent
		}
		items[key] = photos.AlbumItem{UUID: valid(uuid), Path: valid(name)}
	})
	return items, err
}

type legacyFolder struct {
	name, parent string
	magic        bool
}

func (l *legacy) folders(ctx context.Context, db *sql.DB) (map[string]legacyFolder, error) {
	const t = "RKFolder"
	if !l.has(t, "uuid", "name", "parentFolderUuid") {
		return nil, nil
	}
	var (
		uuid  string
		magic int64
		f     legacyFolder
	)
	all := map[string]legacyFolder{}
	q := l.query(t)
	return all, q.each(ctx, db, []column{
		{q.text(t, "uuid"), &uuid},
		{q.text(t, "name"), &f.name},
		{q.text(t, "parentFolderUuid"), &f.parent},
		{q.integer(t, "isMagic"), &magic},
	}, "", func() {
		f.magic = magic != 0 || uuid == "LibraryFolder" || strings.HasPrefix(uuid, "TopLevel")
		all[uuid] = f
	})
}

// between restricts a query to the batch.
func (b *legacyBatch) between(column string) string {
	return fmt.Sprintf("WHERE %s BETWEEN %d AND %d", column, b.lo, b.hi)
}

func (b *legacyBatch) inAlbums(ctx context.Context) error {
	const t, version, order = "RKAlbumVersion", "RKVersion", "RKCustomSortOrder"
	if !b.has(t, "albumId", "versionId") {
		return nil
	}
	var key, album int64
	q := b.query(t)
	err := q.each(ctx, b.db, []column{{q.integer(t, "versionId"), &key}, {q.integer(t, "albumId"), &album}}, b.between("RKAlbumVersion.versionId"), func() {
		if item, ok := b.albums[album]; ok && b.at[key] != nil {
			b.at[key].albums = append(b.at[key].albums, item)
		}
	})
	if err != nil || !b.has(order, "objectUuid", "containerUuid", "orderNumber") {
		return err
	}
	var (
		in string
		at int64
	)
	q = b.query(version)
	q.join(order, "objectUuid", version, "uuid")
	return q.each(ctx, b.db, []column{{q.integer(version, "modelId"), &key}, {q.text(order, "containerUuid"), &in}, {q.integer(order, "orderNumber"), &at}}, b.between("RKVersion.modelId"), func() {
		if v := b.at[key]; v != nil {
			for i := range v.albums {
				if v.albums[i].UUID == in {
					v.albums[i].Order = at
				}
			}
		}
	})
}

func (b *legacyBatch) keywords(ctx context.Context) error {
	const t, word = "RKKeywordForVersion", "RKKeyword"
	if !b.has(t, "versionId", "keywordId") || !b.has(word, "modelId", "name") {
		return nil
	}
	var (
		key  int64
		name string
	)
	q := b.query(t)
	q.join(word, "modelId", t, "keywordId")
	return q.each(ctx, b.db, []column{{q.integer(t, "versionId"), &key}, {q.text(word, "name"), &name}}, b.between("RKKeywordForVersion.versionId"), func() {
		if v := b.at[key]; v != nil && name != "" {
			v.assetRow.keywords = append(v.assetRow.keywords, valid(name))
		}
	})
}

func (b *legacyBatch) people(ctx context.Context) error {
	const t, person = "RKFace", "RKPerson"
	if !b.has(t, "imageModelId", "personId") {
		return nil
	}
	var (
		key int64
		f   faceRow
	)
	q := b.query(t)
	q.join(person, "modelId", t, "personId")
	return q.each(ctx, b.db, []column{
		{q.integer(t, "imageModelId"), &key},
		{q.text(person, "name"), &f.name},
		{q.real(t, "centerX"), &f.x},
		{q.real(t, "centerY"), &f.y},
		{q.real(t, "size"), &f.size},
		{q.integer(t, "sourceWidth"), &f.sourceWidth},
		{q.integer(t, "sourceHeight"), &f.sourceHeight},
	}, b.between("RKFace.imageModelId"), func() {
		if v := b.at[key]; v != nil {
			v.faces = append(v.faces, f)
		}
	})
}

// place is one of the areas, from a park to a country, that a version was
// taken in.
type place struct {
	kind       int64
	name, code string
	area       sql.NullFloat64
}

func (b *legacyBatch) places(ctx context.Context) error {
	const t, in = "RKPlaceForVersion", "RKPlace"
	if !b.has(t, "versionId", "placeId") || !b.has(in, "modelId", "defaultName") {
		return nil
	}
	var (
		key int64
		p   place
	)
	q := b.query(t)
	q.join(in, "modelId", t, "placeId")
	return q.each(ctx, b.db, []column{
		{q.integer(t, "versionId"), &key},
		{q.integer(in, "type"), &p.kind},
		{q.text(in, "defaultName"), &p.name},
		{q.text(in, "countryCode"), &p.code},
		{q.real(in, "area"), &p.area},
	}, b.between("RKPlaceForVersion.versionId"), func() {
		if v := b.at[key]; v != nil && p.name != "" {
			v.areas = append(v.areas, p)
		}
	})
}

// The properties that matter of those that Photos noted of a picture. Shutter
// speed is a time, and aperture an f-number, whatever EXIF means by the words.
const (
	noteMake     = "exifMake"
	noteModel    = "exifModel"
	noteLens     = "exifLensModel"
	noteISO      = "exifISOSpeedRating"
	noteAperture = "exifApertureValue"
	noteExposure = "exifShutterSpeed"
	noteFocal    = "exifFocalLength"
)

// noteKeys returns the names of these properties by key.
func (l *legacy) noteKeys(ctx context.Context, db *sql.DB) (map[int64]string, error) {
	const t = "LiStringAtom"
	if !l.has(t, "modelId", "string") {
		return nil, nil
	}
	var (
		key  int64
		name string
	)
	keys := map[int64]string{}
	q := l.query(t)
	return keys, q.each(ctx, db, []column{{q.integer(t, "modelId"), &key}, {q.text(t, "string"), &name}},
		fmt.Sprintf("WHERE string IN ('%s')", strings.Join([]string{noteMake, noteModel, noteLens, noteISO, noteAperture, noteExposure, noteFocal}, "', '")),
		func() { keys[key] = name })
}

// camera reads the properties, each of which is in the table of its type.
func (b *legacyBatch) camera(ctx context.Context) error {
	if len(b.notes) == 0 {
		return nil
	}
	var keys []string
	for k := range b.notes {
		keys = append(keys, strconv.FormatInt(k, 10))
	}
	slices.Sort(keys)
	for _, t := range []string{"RKVersion_stringNote", "RKVersion_stringAtomNote", "RKVersion_integerNote", "RKVersion_decimalNote"} {
		if !b.has(t, "attachedToId", "keyPath", "value") {
			continue
		}
		q := b.query(t)
		value := q.text(t, "value")
		if t == "RKVersion_stringAtomNote" {
			q.join("LiStringAtom", "modelId", t, "value")
			value = q.text("LiStringAtom", "string")
		}
		var (
			key, note int64
			text      string
		)
		err := q.each(ctx, b.db, []column{{q.integer(t, "attachedToId"), &key}, {q.integer(t, "keyPath"), &note}, {value, &text}},
			b.between(t+".attachedToId")+" AND "+t+".keyPath IN ("+strings.Join(keys, ", ")+")", func() {
				if v := b.at[key]; v != nil {
					v.note(b.notes[note], text)
				}
			})
		if err != nil {
			return err
		}
	}
	return nil
}
