package applelibrary

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"path"
	"strings"
)

// version is a row of RKVersion. What newer libraries have as well is in the
// assetRow, in their words.
type version struct {
	assetRow
	kindOf, special                 int64
	edits                           sql.NullFloat64 // 0 for none
	edit                            string          // UUID of the edit, or a word for none
	editData                        []byte          // nil where it is too large for a page
	editSize                        int64
	masterUUID, rawUUID, nonRawUUID string
	master, raw, nonRaw             *master
	made                            []modelResource
	areas                           []place
	editInCloud                     int64
}

// master is a row of RKMaster, a file as it was imported.
type master struct {
	pk                            int64
	uuid, fingerprint, uti        string
	imagePath, fileName, name     string
	volume                        string
	reference, missing, cloud     int64
	available, size, originalSize int64
	orientation                   int64
	complete                      sql.NullFloat64 // 0 for an import that was not finished
	added, duration               sql.NullFloat64
	made                          []modelResource
	attachments                   []string // paths of sidecars
}

// modelResource is a row of RKModelResource, a file that Photos made or, for
// the film of a Live Photo, took apart.
type modelResource struct {
	id, kind, onDisk int64
	tag, uti         string
}

const (
	attachedToMaster  = 1
	attachedToVersion = 2

	resourceInput   = 3 // what an external editor was given
	resourcePicture = 4
	resourceFilm    = 8
)

func (r modelResource) film() bool {
	return strings.Contains(r.uti, "movie") || strings.Contains(r.uti, "mpeg-4") || strings.Contains(r.uti, "video")
}

// next reads the versions after a key with all that belongs to them.
func (l *legacy) next(ctx context.Context, db *sql.DB, after int64) ([]*version, error) {
	list, err := l.versions(ctx, db, after)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	at := make(map[int64]*version, len(list))
	for _, v := range list {
		at[v.pk] = v
	}
	b := legacyBatch{legacy: l, db: db, lo: list[0].pk, hi: list[len(list)-1].pk, at: at}
	for _, read := range []func(context.Context) error{
		b.masters, b.versionResources, b.keywords, b.people, b.inAlbums, b.places, b.camera,
	} {
		if err := read(ctx); err != nil {
			return nil, err
		}
	}
	for _, v := range list {
		v.translate()
	}
	return list, nil
}

func (l *legacy) versions(ctx context.Context, db *sql.DB, after int64) (list []*version, err error) {
	const t, edit = "RKVersion", "RKAdjustmentData"
	q := l.query(t)
	q.join(edit, "uuid", t, "adjustmentUuid")
	var v version
	inCloud := "0"
	if l.has(t, "adjustmentUuid") && l.has("RKCloudResource", "adjustmentUuid", "isFullSizeOutput", "available") {
		inCloud = "EXISTS (SELECT 1 FROM RKCloudResource c WHERE c.adjustmentUuid = RKVersion.adjustmentUuid AND c.isFullSizeOutput = 1 AND c.available = 1)"
	}
	err = q.each(ctx, db, []column{
		{t + ".modelId", &v.pk},
		{q.text(t, "uuid"), &v.uuid},
		{q.text(t, "fileName"), &v.filename},
		{q.integer(t, "type"), &v.kindOf},
		{q.integer(t, "specialType"), &v.special},
		{q.real(t, "hasAdjustments"), &v.edits},
		{inCloud, &v.editInCloud},
		{q.integer(t, "selfPortrait"), &v.captureDevice},
		{q.text(t, "adjustmentUuid"), &v.edit},
		{q.text(t, "masterUuid"), &v.masterUUID},
		{q.text(t, "rawMasterUuid"), &v.rawUUID},
		{q.text(t, "nonRawMasterUuid"), &v.nonRawUUID},
		{q.integer(t, "isHidden"), &v.hidden},
		{q.integer(t, "isFavorite"), &v.favorite},
		{q.integer(t, "isInTrash"), &v.trashed},
		{q.real(t, "imageDate"), &v.taken},
		{q.real(t, "createDate"), &v.added},
		{q.real(t, "lastModifiedDate"), &v.modified},
		{q.real(t, "naturalDuration"), &v.duration},
		{q.real(t, "latitude"), &v.latitude},
		{q.real(t, "longitude"), &v.longitude},
		{q.text(t, "burstUuid"), &v.burst},
		{q.integer(t, "burstPickType"), &v.burstPick},
		{q.integer(t, "processedWidth", "masterWidth"), &v.width},
		{q.integer(t, "processedHeight", "masterHeight"), &v.height},
		{q.text(t, "name"), &v.title},
		{q.text(t, "extendedDescription"), &v.description},
		{q.real(t, "imageTimeZoneOffsetSeconds"), &v.offset},
		{q.text(t, "imageTimeZoneName"), &v.zone},
		{q.text(edit, "format"), &v.editFormat},
		{"coalesce(length(" + q.blob(edit, "data") + "), 0)", &v.editSize},
		{fmt.Sprintf("iif(length(%s) <= %d, %[1]s, NULL)", q.blob(edit, "data"), largestEdit), &v.editData},
	}, "WHERE "+t+".modelId > ? ORDER BY "+t+".modelId LIMIT ?", func() {
		if n := len(list); n == 0 || list[n-1].pk != v.pk {
			one := v
			list = append(list, &one)
		}
		v = version{}
	}, after, batch)
	return list, err
}

// legacyBatch reads what belongs to the versions with keys from lo to hi.
type legacyBatch struct {
	*legacy
	db     *sql.DB
	lo, hi int64
	at     map[int64]*version
}

// mastersOf selects the UUIDs of the masters of the batch.
func (b *legacyBatch) mastersOf() (query string, args []any) {
	var selects []string
	for _, c := range []string{"masterUuid", "rawMasterUuid", "nonRawMasterUuid"} {
		if b.has("RKVersion", c) {
			selects = append(selects, "SELECT "+c+" FROM RKVersion WHERE modelId BETWEEN ? AND ?")
			args = append(args, b.lo, b.hi)
		}
	}
	return strings.Join(selects, " UNION "), args
}

func (b *legacyBatch) masters(ctx context.Context) error {
	const t, volume, group = "RKMaster", "RKVolume", "RKImportGroup"
	q := b.query(t)
	q.join(volume, "modelId", t, "volumeId")
	q.join(group, "uuid", t, "importGroupUuid")
	available := "0"
	if b.has("RKCloudResource", "fingerprint", "available") && b.has(t, "fingerprint") {
		available = "EXISTS (SELECT 1 FROM RKCloudResource c WHERE c.fingerprint = RKMaster.fingerprint AND c.available = 1)"
	}
	var m master
	of, args := b.mastersOf()
	byUUID, byKey := map[string]*master{}, map[int64]*master{}
	err := q.each(ctx, b.db, []column{
		{q.integer(t, "modelId"), &m.pk},
		{q.text(t, "uuid"), &m.uuid},
		{q.text(t, "fingerprint"), &m.fingerprint},
		{q.text(t, "UTI"), &m.uti},
		{q.integer(t, "orientation"), &m.orientation},
		{q.text(t, "imagePath"), &m.imagePath},
		{q.text(t, "fileName"), &m.fileName},
		{q.text(t, "originalFileName"), &m.name},
		{q.text(volume, "name"), &m.volume},
		{q.integer(t, "fileIsReference"), &m.reference},
		{q.integer(t, "isMissing"), &m.missing},
		{q.integer(t, "cloudLibraryState"), &m.cloud},
		{available, &m.available},
		{q.integer(t, "fileSize"), &m.size},
		{q.integer(t, "originalFileSize"), &m.originalSize},
		{q.real(t, "importComplete"), &m.complete},
		{q.real(group, "importDate"), &m.added},
		{q.real(t, "duration"), &m.duration},
	}, "WHERE RKMaster.uuid IN ("+of+")", func() {
		if byUUID[m.uuid] == nil {
			one := m
			byUUID[m.uuid], byKey[m.pk] = &one, &one
		}
		m = master{}
	}, args...)
	if err != nil {
		return err
	}
	for _, v := range b.at {
		v.master, v.raw, v.nonRaw = byUUID[v.masterUUID], byUUID[v.rawUUID], byUUID[v.nonRawUUID]
	}
	if err := b.attachments(ctx, byUUID); err != nil {
		return err
	}
	return b.resources(ctx, attachedToMaster, "SELECT modelId FROM RKMaster WHERE uuid IN ("+of+")", args, func(key int64, r modelResource) {
		if m := byKey[key]; m != nil {
			m.made = append(m.made, r)
		}
	})
}

func (b *legacyBatch) versionResources(ctx context.Context) error {
	return b.resources(ctx, attachedToVersion, "SELECT modelId FROM RKVersion WHERE modelId BETWEEN ? AND ?", []any{b.lo, b.hi}, func(key int64, r modelResource) {
		if v := b.at[key]; v != nil {
			v.made = append(v.made, r)
		}
	})
}

func (b *legacyBatch) resources(ctx context.Context, kind int, of string, args []any, f func(key int64, r modelResource)) error {
	const t = "RKModelResource"
	if !b.has(t, "modelId", "attachedModelId", "attachedModelType", "resourceType") {
		return nil
	}
	q := b.query(t)
	var (
		key int64
		r   modelResource
	)
	return q.each(ctx, b.db, []column{
		{q.integer(t, "attachedModelId"), &key},
		{q.integer(t, "modelId"), &r.id},
		{q.integer(t, "resourceType"), &r.kind},
		{q.integer(t, "isOnDisk"), &r.onDisk},
		{q.text(t, "resourceTag"), &r.tag},
		{q.text(t, "UTI"), &r.uti},
	}, fmt.Sprintf("WHERE attachedModelType = %d AND attachedModelId IN (%s) ORDER BY RKModelResource.modelId", kind, of), func() { f(key, r) }, args...)
}

// attachments are the sidecars that came with an import. That filePath is
// below Attachments is a guess: no library with one was seen.
func (b *legacyBatch) attachments(ctx context.Context, byUUID map[string]*master) error {
	const t = "RKAttachment"
	if !b.has(t, "attachedToUuid", "filePath") {
		return nil
	}
	q := b.query(t)
	var to, name string
	of, args := b.mastersOf()
	return q.each(ctx, b.db, []column{{q.text(t, "attachedToUuid"), &to}, {q.text(t, "filePath"), &name}},
		"WHERE attachedToUuid IN ("+of+") ORDER BY RKAttachment.rowid", func() {
			if m := byUUID[to]; m != nil && name != "" {
				m.attachments = append(m.attachments, name)
			}
		}, args...)
}

// pair returns the files that the version is made from. Of a RAW pair, the
// picture is the original whichever the user has chosen, as in newer libraries.
func (v *version) pair() (original, raw *master) {
	if v.raw != nil && v.nonRaw != nil && v.raw != v.nonRaw {
		return v.nonRaw, v.raw
	}
	return v.master, nil
}

func (v *version) live() bool { return v.special == 5 || v.special == 8 }

func (v *version) isEdited() bool {
	if v.edits.Valid {
		return v.edits.Float64 != 0
	}
	return v.edit != "" && !strings.HasPrefix(v.edit, "UNADJUSTED")
}

// translate says in the words of newer libraries what is said otherwise here.
func (v *version) translate() {
	v.kind = map[int64]int64{2: 0, 8: 1}[v.kindOf]
	if v.kindOf != 2 && v.kindOf != 8 {
		v.kind = -1
	}
	v.subtype = map[int64]int64{1: 1, 2: 101, 3: 102, 5: 2, 6: 10, 8: 2}[v.special]
	switch v.special {
	case 4, 8:
		v.rendered = 3
	case 9:
		v.depth = 1
	}
	if v.isEdited() {
		v.adjustments = 1
	} else {
		v.editFormat, v.editData = "", nil
	}
	original, raw := v.pair()
	if raw != nil {
		v.resources = []resourceRow{{kind: kindRAW}}
	}
	if original != nil {
		v.orientation = original.orientation
		v.originalName, v.uti = cmp.Or(original.name, original.fileName, v.filename), original.uti
		if v.originalName == "" && original.imagePath != "" {
			v.originalName = path.Base(original.imagePath)
		}
		if original.reference != 0 {
			v.saved = 10
		}
		if original.added.Valid {
			v.added = original.added
		}
		if !v.duration.Valid {
			v.duration = original.duration
		}
	}
	if v.name() == "" { // every resource needs one
		v.filename = cmp.Or(v.uuid, "unnamed")
	}
}

// largestEdit bounds what a page takes of a recipe. Those seen had some
// kilobytes.
const largestEdit = 256 << 10

// noteUnknown warns once of every kind that nobody has seen yet.
func (v *version) noteUnknown(s *scan) {
	if v.editSize > largestEdit {
		s.notes["the recipe of an edit is too large for a page: left out; original and edited picture are kept"] = true
	}
	if v.kind < 0 {
		s.notes[fmt.Sprintf("unknown kind of asset (%d): kept as other", v.kindOf)] = true
	}
	if v.special < 0 || v.special > 9 {
		s.notes[fmt.Sprintf("unknown subtype of asset (%d): kept", v.special)] = true
	}
}

// stems under which files of the version may be listed.
func (v *version) stems() (list []string) {
	add := func(resources []modelResource) {
		for _, r := range resources {
			list = append(list, r.stem())
		}
	}
	original, raw := v.pair()
	for _, m := range []*master{original, raw} {
		if m == nil {
			continue
		}
		list = append(list, legacyStem(m.path()))
		for _, p := range m.attachments {
			list = append(list, legacyStem(rooted(attachments, p)))
		}
		add(m.made)
	}
	add(v.made)
	return list
}
