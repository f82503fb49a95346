package applelibrary

import (
	"context"
	"fmt"
	"math"
	"os"
	"path"
	"strings"
	"sync"

	"lightfast/photos"
)

func (m *model) identity() (id, version string) { return m.uuid, m.version }

func (m *model) media() layout { return layout{mediaFolders, stem} }

func (m *model) unknown() (parts []string) {
	for _, part := range []struct {
		name  string
		known bool
	}{
		{"albums", m.albums.table != ""},
		{"keywords", m.keywords.table != ""},
		{"persons", m.faces.table != ""},
		{"reasons of absent files", m.has("ZINTERNALRESOURCE", "ZASSET", "ZRESOURCETYPE", "ZLOCALAVAILABILITY", "ZREMOTEAVAILABILITY")},
	} {
		if !part.known {
			parts = append(parts, part.name)
		}
	}
	return parts
}

// pass is a scan of the database of Photos 5 and later.
type pass struct {
	*scan
	m       *model
	albums  map[int64]photos.AlbumItem
	twice   map[string]int64 // UUIDs that several rows have, with the first row
	folders map[string]*os.Root
}

// assets reads the rows of the next assets while those before them are put
// together: half of a scan is SQLite's.
func (m *model) assets(ctx context.Context, of *scan, give func(photos.Asset) error) (err error) {
	s := &pass{scan: of, m: m, folders: map[string]*os.Root{}}
	defer s.closeFolders()
	if s.albums, err = m.readAlbums(ctx, s.view.db); err != nil {
		return err
	}
	if s.twice, err = s.repeated(ctx, m.asset, "Z_PK", "ZUUID"); err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	batches := make(chan []assetRow)
	var (
		reader  sync.WaitGroup
		readErr error
	)
	reader.Go(func() {
		defer close(batches)
		readErr = s.read(reading, batches)
	})
	defer reader.Wait()
	defer stop()
	for rows := range batches {
		if err := s.build(ctx, rows, give); err != nil {
			return err
		}
	}
	return readErr
}

// read sends all assets, some at a time.
func (s *pass) read(ctx context.Context, batches chan<- []assetRow) error {
	for last := int64(math.MinInt64); ; {
		rows, err := s.next(ctx, last)
		if err != nil || len(rows) == 0 {
			return err
		}
		last = rows[len(rows)-1].pk
		select {
		case batches <- rows:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// build gives the assets of some rows.
func (s *pass) build(ctx context.Context, rows []assetRow, give func(photos.Asset) error) error {
	files, err := s.filesOf(ctx, rows)
	if err != nil {
		return err
	}
	var explained []string
	for i := range rows {
		a, names := s.asset(&rows[i], files)
		explained = append(explained, names...)
		if err := give(a); err != nil {
			return err
		}
	}
	s.disk.explained(explained)
	return nil
}

// next reads the assets after a key with all that belongs to them.
func (s *pass) next(ctx context.Context, after int64) ([]assetRow, error) {
	m, db := s.m, s.view.db
	rows, err := m.assetRows(ctx, db, after)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	lo, hi := rows[0].pk, rows[len(rows)-1].pk
	at := make(map[int64]*assetRow, len(rows))
	for i := range rows {
		at[rows[i].pk] = &rows[i]
	}
	// Rows of assets that are gone are common residue: they are passed over.
	each := func(asset int64, f func(a *assetRow)) {
		if a := at[asset]; a != nil {
			f(a)
		}
	}
	err = m.eachResource(ctx, db, lo, hi, func(asset int64, r resourceRow) {
		each(asset, func(a *assetRow) { a.resources = append(a.resources, r) })
	})
	if err != nil {
		return nil, err
	}
	err = m.eachKeyword(ctx, db, lo, hi, func(asset int64, keyword string) {
		each(asset, func(a *assetRow) { a.keywords = append(a.keywords, valid(keyword)) })
	})
	if err != nil {
		return nil, err
	}
	err = m.eachFace(ctx, db, lo, hi, func(asset int64, f faceRow) {
		each(asset, func(a *assetRow) { a.faces = append(a.faces, f) })
	})
	if err != nil {
		return nil, err
	}
	err = m.eachAlbum(ctx, db, lo, hi, func(asset, album, order int64) {
		if item, ok := s.albums[album]; ok {
			item.Order = order
			each(asset, func(a *assetRow) { a.albums = append(a.albums, item) })
		}
	})
	return rows, err
}

func (s *pass) filesOf(ctx context.Context, rows []assetRow) (map[string][]file, error) {
	var stems []string
	for i := range rows {
		stems = append(stems, rows[i].stems()...)
	}
	return s.files(ctx, stems)
}

// asset puts together what the database expects of an asset and what is on
// the disk, which comes first: a download may not be recorded yet, and a row
// may promise what is gone. It also returns the files that are explained now.
func (s *pass) asset(a *assetRow, byStem map[string][]file) (out photos.Asset, explained []string) {
	s.noteUnknown(a)
	var files []file
	for _, stem := range a.stems() {
		files = append(files, byStem[stem]...)
	}
	out = photos.Asset{
		ID:         assetID(a.uuid, a.pk, s.twice),
		Added:      a.addedMillis(),
		Metadata:   a.metadata(),
		MediaToken: a.mediaToken(),
	}
	wants := a.wants()
	for _, m := range a.match(wants, files) {
		res := s.resource(a, m)
		out.Resources = append(out.Resources, res)
		if m.file != nil {
			explained = append(explained, m.file.path)
		}
	}
	if !out.Resources[0].Present() {
		if p, ok := s.preview(a); ok {
			out.Resources = append(out.Resources, p)
		}
	}
	inOrder(out.Resources)
	return out, explained
}

// matched is a file that the database expects, or one that lies there, or
// most often both.
type matched struct {
	want
	file *file
}

// match finds the file of every want, and wants for the files that no row
// mentions. The original comes first. What it leaves out is no file of a.
func (a *assetRow) match(wants []want, files []file) []matched {
	role := make([]photos.Role, len(files))
	for i, f := range files {
		role[i] = a.roleOf(f.path, wants)
	}
	take := func(r photos.Role, fits func(path string) bool) *file {
		for i := range files {
			if role[i] == r && fits(files[i].path) {
				role[i] = ""
				return &files[i]
			}
		}
		return nil
	}
	var out []matched
	for _, w := range wants {
		var f *file
		if w.role == photos.RoleOriginal {
			for _, folder := range a.originalFolders() {
				if f == nil {
					f = take(w.role, func(p string) bool { return strings.EqualFold(p, path.Join(folder, a.filename)) })
				}
			}
		} else {
			f = take(w.role, func(p string) bool { return strings.EqualFold(p, w.name) })
		}
		if f == nil {
			f = take(w.role, func(p string) bool { return strings.Contains(strings.ToLower(path.Base(p)), w.ext) })
		}
		out = append(out, matched{w, f})
	}
	for i := range files {
		if role[i] != "" && role[i] != photos.RoleOriginal {
			out = append(out, matched{want{role: role[i]}, &files[i]})
		}
	}
	return out
}

// resource describes one matched file.
func (s *pass) resource(a *assetRow, m matched) photos.Resource {
	res := photos.Resource{Role: m.role}
	a.describe(&res, m.row)
	name := m.name
	switch {
	case m.file != nil:
		name = m.file.path
		found(&res, *m.file)
	case a.referenced() && a.absence(m.want) == photos.ReferencedOutside:
		name = a.outside(m.want)
		if f, err := lookOutside(name); name != "" && err == nil {
			found(&res, f)
			break
		}
		res.Reason = photos.ReferencedOutside
		setPath(&res, name)
	default:
		res.Reason = a.absence(m.want)
		setPath(&res, name)
	}
	if name == "" {
		name = path.Ext(a.name())
		if m.role == photos.RoleLive || m.role == photos.RoleEditedLive {
			name = ".mov"
		}
	}
	setName(&res, a.name(), name)
	return res
}

// noteUnknown warns once of every kind that nobody has seen yet. Its assets
// and resources are kept all the same.
func (s *pass) noteUnknown(a *assetRow) {
	if a.kind != 0 && a.kind != 1 {
		s.notes[fmt.Sprintf("unknown kind of asset (%d): kept as other", a.kind)] = true
	}
	if _, ok := subtypes[a.subtype]; !ok && a.subtype != 0 {
		s.notes[fmt.Sprintf("unknown subtype of asset (%d): kept", a.subtype)] = true
	}
	for _, r := range a.resources {
		if r.kind > kindAside && r.kind != kindCloud || r.kind == 2 {
			s.notes[fmt.Sprintf("unknown kind of resource (%d): kept as other", r.kind)] = true
		}
	}
}
