package applelibrary

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path"
	"slices"
	"strings"

	"lightfast/photos"
)

// batch is how many assets are held in memory at once.
const batch = 500

// Scan yields the assets of the database as it is now, in the order of its
// keys, then the orphans. The media folders are listed first; a file that
// Photos takes in or throws away in that second is told right by the next
// scan.
func (l *Library) Scan(ctx context.Context) iter.Seq2[photos.Asset, error] {
	return func(yield func(photos.Asset, error) bool) {
		err := l.scan(ctx, func(a photos.Asset) bool { return yield(a, nil) })
		if err == nil || errors.Is(err, errStopped) {
			return
		}
		if ctx.Err() != nil {
			err = ctx.Err() // the database says that it was interrupted
		}
		yield(photos.Asset{}, err)
	}
}

// errStopped means that whoever ranges over the scan has seen enough.
var errStopped = errors.New("stopped")

func (l *Library) scan(ctx context.Context, yield func(photos.Asset) bool) error {
	v, err := l.acquire(ctx)
	if err != nil {
		return err
	}
	defer l.release(v)
	s, err := l.newScan(ctx, v)
	if err != nil {
		return err
	}
	defer s.close()
	give := func(a photos.Asset) error {
		if !yield(a) {
			return errStopped
		}
		return ctx.Err()
	}
	if err := s.assets(ctx, give); err != nil {
		return err
	}
	if err := s.disk.orphans(ctx, func(f file) error { return give(orphan(f)) }); err != nil {
		return err
	}
	l.mu.Lock()
	l.warnings = s.warnings()
	l.mu.Unlock()
	return nil
}

// scan is one pass over a view.
type scan struct {
	root    *os.Root
	view    *view
	disk    *disk
	dir     string // of the listing
	albums  map[int64]string
	twice   map[string]int64 // UUIDs that several rows have, with the first row
	unknown map[string]bool  // warnings about kinds never seen
}

func (l *Library) newScan(ctx context.Context, v *view) (_ *scan, err error) {
	s := &scan{root: l.root, view: v, unknown: map[string]bool{}}
	if s.dir, err = os.MkdirTemp(l.temp, "scan-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.disk, err = listDisk(ctx, l.root, s.dir); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unreadable(l.path, err)
	}
	if s.albums, err = v.model.albumNames(ctx, v.db); err != nil {
		return nil, err
	}
	s.twice, err = v.model.repeatedUUIDs(ctx, v.db)
	return s, err
}

func (s *scan) close() {
	if s.disk != nil {
		s.disk.close()
	}
	os.RemoveAll(s.dir)
}

func (s *scan) assets(ctx context.Context, give func(photos.Asset) error) error {
	for last := int64(math.MinInt64); ; {
		rows, err := s.next(ctx, last)
		if err != nil || len(rows) == 0 {
			return err
		}
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
		if err := s.disk.explained(ctx, explained); err != nil {
			return err
		}
		last = rows[len(rows)-1].pk
	}
}

// next reads the assets after a key with all that belongs to them.
func (s *scan) next(ctx context.Context, after int64) ([]assetRow, error) {
	rows, err := s.view.model.assetRows(ctx, s.view.db, after)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	m, db := &s.view.model, s.view.db
	lo, hi := rows[0].pk, rows[len(rows)-1].pk
	at := make(map[int64]*assetRow, len(rows))
	for i := range rows {
		at[rows[i].pk] = &rows[i]
	}
	// Rows of assets that are gone are common residue: they are passed over.
	err = m.eachResource(ctx, db, lo, hi, func(asset int64, r resourceRow) {
		if a := at[asset]; a != nil {
			a.resources = append(a.resources, r)
		}
	})
	if err != nil {
		return nil, err
	}
	keywords, err := m.keywordNames(ctx, db, lo, hi)
	if err != nil {
		return nil, err
	}
	persons, err := m.personNames(ctx, db, lo, hi)
	if err != nil {
		return nil, err
	}
	albums, err := m.albumsOf(ctx, db, lo, hi)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		a := &rows[i]
		a.keywords, a.persons = keywords[a.pk], persons[a.pk]
		for _, album := range albums[a.pk] {
			if name, ok := s.albums[album]; ok {
				a.albums = append(a.albums, name)
			}
		}
	}
	return rows, nil
}

func (s *scan) filesOf(ctx context.Context, rows []assetRow) (map[string][]file, error) {
	var stems []string
	for i := range rows {
		stems = append(stems, rows[i].stems()...)
	}
	return s.disk.files(ctx, stems)
}

// asset puts together what the database expects of an asset and what is on
// the disk, which comes first: a download may not be recorded yet, and a row
// may promise what is gone. It also returns the files that are explained now.
func (s *scan) asset(a *assetRow, byStem map[string][]file) (out photos.Asset, explained []string) {
	s.noteUnknown(a)
	var files []file
	for _, stem := range a.stems() {
		files = append(files, byStem[stem]...)
	}
	out = photos.Asset{
		ID:         s.id(a),
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
	slices.SortStableFunc(out.Resources, func(x, y photos.Resource) int {
		return cmp.Or(cmp.Compare(slices.Index(roles, x.Role), slices.Index(roles, y.Role)), cmp.Compare(x.Path, y.Path))
	})
	return out, explained
}

// roles in the order in which resources are listed.
var roles = []photos.Role{
	photos.RoleOriginal, photos.RoleRAW, photos.RoleLive, photos.RoleEdited, photos.RoleEditedLive, photos.RolePoster,
	photos.RolePrevious, photos.RoleAdjustment, photos.RoleSidecar, photos.RolePreview, photos.RoleOther,
}

func (s *scan) id(a *assetRow) photos.AssetID {
	id := valid(a.uuid)
	if first, ok := s.twice[a.uuid]; id == "" || ok && first != a.pk {
		id += fmt.Sprintf("row:%d", a.pk) // damage, but each id comes once
	}
	return photos.AssetID(id)
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
func (s *scan) resource(a *assetRow, m matched) photos.Resource {
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

// preview is the largest picture that Photos made of an asset whose original
// is not there. Few rows promise one, so these are looked up one by one.
func (s *scan) preview(a *assetRow) (res photos.Resource, ok bool) {
	letter := a.uuid[:min(1, len(a.uuid))]
	thumb := path.Join("masters", letter, a.uuid+"_4_5005_c.jpeg")
	names := []string{"resources/derivatives/" + thumb}
	if a.shared() {
		names = []string{"scopes/cloudsharing/resources/derivatives/" + thumb, "resources/cloudsharing/resources/derivatives/" + thumb}
	}
	for i := range a.resources {
		r := &a.resources[i]
		if r.store != 0 || r.recipe&1 == 0 || r.local != 1 {
			continue
		}
		base := path.Join("resources/derivatives", letter, renderName(a.uuid, r))
		exts := []string{".jpeg", ".heic"}
		if r.recipe>>16 == 2 {
			exts = []string{".mov", ".mp4"}
		}
		for _, ext := range exts {
			names = append(names, base+ext)
		}
	}
	for _, name := range names {
		info, err := s.root.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() <= res.Size {
			continue
		}
		res = photos.Resource{Role: photos.RolePreview, Path: name, Size: info.Size(), ModTime: info.ModTime().UnixNano()}
		setName(&res, a.name(), name)
		ok = true
	}
	return res, ok
}

// noteUnknown warns once of every kind that nobody has seen yet. Its assets
// and resources are kept all the same.
func (s *scan) noteUnknown(a *assetRow) {
	if a.kind != 0 && a.kind != 1 {
		s.unknown[fmt.Sprintf("unknown kind of asset (%d): kept as other", a.kind)] = true
	}
	if _, ok := subtypes[a.subtype]; !ok && a.subtype != 0 {
		s.unknown[fmt.Sprintf("unknown subtype of asset (%d): kept", a.subtype)] = true
	}
	for _, r := range a.resources {
		if r.kind > kindAside && r.kind != kindCloud || r.kind == 2 {
			s.unknown[fmt.Sprintf("unknown kind of resource (%d): kept as other", r.kind)] = true
		}
	}
}

func (s *scan) warnings() []string {
	var list []string
	for w := range s.unknown {
		list = append(list, w)
	}
	slices.Sort(list)
	m := &s.view.model
	for _, part := range []struct {
		name    string
		unknown bool
	}{
		{"albums", m.albums.table == ""},
		{"keywords", m.keywords.table == ""},
		{"persons", m.faces.table == ""},
		{"reasons of absent files", !m.has("ZINTERNALRESOURCE", "ZASSET", "ZRESOURCETYPE", "ZLOCALAVAILABILITY", "ZREMOTEAVAILABILITY")},
	} {
		if part.unknown {
			list = append(list, fmt.Sprintf("%s cannot be read from a library of %s: backed up without them", part.name, m.version))
		}
	}
	for _, name := range s.disk.skipped {
		list = append(list, fmt.Sprintf("a link in the library is not followed: %q", name))
	}
	return list
}
