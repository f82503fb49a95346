package applelibrary

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"lightfast/photos"
)

// legacy is the database of Photos 2 to 4 (macOS 10.12 to 10.14): a row of
// RKVersion is what the user sees, made from one row of RKMaster, or two for a
// RAW pair. What is known of it was seen in libraries of Photos 3 and 4, or is
// said by osxphotos.
type legacy struct {
	tables
	uuid, version string
	albums        map[int64]photos.AlbumItem
	notes         map[int64]string // the camera's properties by their key
}

func readLegacy(ctx context.Context, db *sql.DB, t tables) (*legacy, error) {
	l := &legacy{tables: t, version: "unknown version"}
	for _, from := range []struct {
		to           *string
		table, query string
	}{
		{&l.uuid, "RKAdminData", "SELECT CAST(propertyValue AS TEXT) FROM RKAdminData WHERE propertyName = 'databaseUuid'"},
		{&l.uuid, "LiGlobals", "SELECT CAST(value AS TEXT) FROM LiGlobals WHERE keyPath = 'libraryBuildTag'"},
		{&l.version, "LiGlobals", "SELECT 'version ' || value FROM LiGlobals WHERE keyPath = 'libraryVersion'"},
	} {
		if !t.has(from.table) || from.to == &l.uuid && l.uuid != "" {
			continue
		}
		var s sql.NullString
		if err := db.QueryRowContext(ctx, from.query).Scan(&s); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("identity of the library: %w", err)
		}
		*from.to = cmp.Or(s.String, *from.to)
	}
	if l.uuid == "" {
		return nil, errors.New("identity of the library is empty")
	}
	for _, column := range []struct{ table, name string }{
		{"RKMaster", "uuid"}, {"RKModelResource", "attachedModelId"}, {"RKImportGroup", "uuid"}, {"RKAdjustmentData", "uuid"},
		{"RKAlbumVersion", "versionId"}, {"RKKeywordForVersion", "versionId"}, {"RKPlaceForVersion", "versionId"},
		{"RKFace", "imageModelId"}, {"RKCustomSortOrder", "objectUuid"}, {"RKCloudResource", "fingerprint"}, {"RKCloudResource", "adjustmentUuid"},
		{"RKAttachment", "attachedToUuid"},
	} {
		if err := t.index(ctx, db, column.table, column.name); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *legacy) identity() (id, version string) { return l.uuid, l.version }

const (
	masters     = "Masters"
	attachments = "Attachments"
	media       = "resources/media"
)

// media leaves out the faces and thumbnails beside the two folders of
// resources/media: Photos makes them again.
func (l *legacy) media() layout {
	return layout{[]string{masters, attachments, media + "/master", media + "/version"}, legacyStem}
}

// legacyStem is the path without its extension. Under resources/media it is
// the number at the end of the name, which is that of the row: the folders
// above it are not always those of osxphotos' rule.
func legacyStem(name string) string {
	stem := strings.TrimSuffix(name, path.Ext(name))
	if strings.HasPrefix(name, media+"/") {
		return media + stem[strings.LastIndexByte(stem, '_')+1:]
	}
	return folded(stem)
}

// folded is the same for two names that are one file on a Mac.
func folded(name string) string { return strings.ToUpper(norm.NFC.String(name)) }

// numbered is where the files of a numbered row lie below a folder, and the
// number as it is in their names.
func numbered(folder string, id int64) (dir, digits string) {
	return path.Join(folder, fmt.Sprintf("%02x", id>>8&0xFF), fmt.Sprintf("%02x", id>>16)), strconv.FormatInt(id, 16)
}

func (l *legacy) unknown() (parts []string) {
	for _, part := range []struct {
		name  string
		known bool
	}{
		{"albums", l.has("RKAlbum", "modelId", "name") && l.has("RKAlbumVersion", "albumId", "versionId")},
		{"keywords", l.has("RKKeyword", "modelId", "name") && l.has("RKKeywordForVersion", "keywordId", "versionId")},
		{"persons", l.has("RKPerson", "modelId", "name") && l.has("RKFace", "personId", "imageModelId")},
		{"edited pictures and films of Live Photos", l.has("RKModelResource", "modelId", "attachedModelId", "attachedModelType", "resourceType")},
	} {
		if !part.known {
			parts = append(parts, part.name)
		}
	}
	return parts
}

func (l *legacy) assets(ctx context.Context, s *scan, give func(photos.Asset) error) (err error) {
	twice, err := s.repeated(ctx, "RKVersion", "modelId", "uuid")
	if err != nil {
		return err
	}
	if l.albums, err = l.albumItems(ctx, s.view.db); err != nil {
		return err
	}
	if l.notes, err = l.noteKeys(ctx, s.view.db); err != nil {
		return err
	}
	for last := int64(math.MinInt64); ; {
		versions, err := l.next(ctx, s.view.db, last)
		if err != nil || len(versions) == 0 {
			return err
		}
		var stems []string
		for _, v := range versions {
			stems = append(stems, v.stems()...)
		}
		found, err := s.files(ctx, stems)
		if err != nil {
			return err
		}
		var explained []string
		for _, v := range versions {
			v.noteUnknown(s)
			p := v.build(s.root, found)
			a := photos.Asset{
				ID:         assetID(v.uuid, v.pk, twice),
				Added:      v.addedMillis(),
				Metadata:   v.metadata(),
				Resources:  p.list,
				MediaToken: v.mediaToken(),
			}
			explained = append(explained, p.explained...)
			if err := give(a); err != nil {
				return err
			}
		}
		s.disk.explained(explained)
		last = versions[len(versions)-1].pk
	}
}
