package applelibrary

import (
	"cmp"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"lightfast/photos"
)

// rooted is name below folder, whatever it says.
func rooted(folder, name string) string { return path.Join(folder, path.Join("/", name)) }

// path of the file in the bundle, unless it is a reference.
func (m *master) path() string { return rooted(masters, m.imagePath) }

func (r modelResource) stem() string {
	_, digits := numbered("", r.id)
	return media + digits
}

// path is where the file of the row should lie. Its extension is known only
// as well as its type.
func (r modelResource) path(folder, prefix, ext string) string {
	dir, digits := numbered(path.Join(media, folder), r.id)
	return path.Join(dir, prefix+digits+ext)
}

// parts puts together the resources of one version.
type parts struct {
	v         *version
	root      *os.Root
	found     map[string][]file
	list      []photos.Resource
	explained []string
	derived   []file // what Photos makes again, and worth keeping only instead of an original
}

func (v *version) build(root *os.Root, found map[string][]file) *parts {
	p := &parts{v: v, root: root, found: found}
	original, raw := v.pair()
	p.master(photos.RoleOriginal, original)
	if raw != nil {
		p.master(photos.RoleRAW, raw)
	}
	for _, m := range []*master{original, raw} {
		if m != nil {
			p.sidecars(m)
			p.beside(m)
		}
	}
	p.film(original)
	p.edits()
	if !p.list[0].Present() {
		p.preview()
	}
	inOrder(p.list)
	return p
}

// take adds the resource as the file f, which is nil for one that is absent.
func (p *parts) take(res photos.Resource, f *file, expected string) {
	name := expected
	if f != nil {
		name = f.path
		found(&res, *f)
		p.explained = append(p.explained, f.path)
	} else {
		setPath(&res, expected)
	}
	setName(&res, p.v.name(), name)
	p.list = append(p.list, res)
}

// at finds the file of that name, and if there is none, one whose name is the
// same to a Mac.
func (p *parts) at(name string) (same *file) {
	files := p.found[legacyStem(name)]
	for i := range files {
		switch f := &files[i]; {
		case f.path == name:
			return f
		case same == nil && folded(f.path) == folded(name):
			same = f
		}
	}
	return same
}

func (p *parts) master(role photos.Role, m *master) {
	res := photos.Resource{Role: role, Size: -1}
	if m == nil { // what the user sees has lost what it was made from
		res.Reason = photos.Unavailable
		p.take(res, nil, "")
		return
	}
	res.Fingerprint, res.UTI = valid(m.fingerprint), valid(m.uti)
	if size := cmp.Or(max(m.size, 0), max(m.originalSize, 0)); size > 0 {
		res.Size = size
	}
	if m.reference != 0 {
		name := outsidePath(m.volume, m.imagePath)
		if f, err := lookOutside(name); err == nil {
			found(&res, f)
		} else {
			res.Reason = photos.ReferencedOutside
			setPath(&res, name)
		}
		setName(&res, p.v.name(), name)
		p.list = append(p.list, res)
		return
	}
	if m.imagePath == "" {
		res.Reason = m.absence()
		p.take(res, nil, "")
		return
	}
	f := p.at(m.path())
	if f == nil {
		res.Reason = m.absence()
	}
	p.take(res, f, m.path())
}

// absence says why a file that is not there is not.
func (m *master) absence() photos.Reason {
	switch {
	case m.missing == 0:
		return photos.Lost
	case m.inCloud():
		return photos.ICloudOnly
	case m.complete.Valid && m.complete.Float64 == 0:
		return photos.IncompleteImport
	}
	return photos.Unavailable
}

func (m *master) inCloud() bool { return m != nil && (m.cloud != 0 || m.available != 0) }

// sidecars lie beside the original under its name, or are attached to it.
func (p *parts) sidecars(m *master) {
	add := func(f file) {
		if !slices.Contains(p.explained, f.path) {
			p.take(photos.Resource{Role: photos.RoleSidecar, Size: -1}, &f, f.path)
		}
	}
	if m.reference == 0 && m.imagePath != "" {
		for _, f := range p.found[legacyStem(m.path())] {
			switch strings.ToLower(path.Ext(f.path)) {
			case ".aae", ".xmp":
				add(f)
			}
		}
	}
	for _, name := range m.attachments {
		if f := p.at(rooted(attachments, name)); f != nil {
			add(*f)
		}
	}
}

// first is the file of a row under the name that it should have, whatever its
// type, and if need be in another folder.
func (p *parts) first(r modelResource, expected string) (elsewhere *file) {
	bare := func(name string) string { return strings.ToLower(strings.TrimSuffix(name, path.Ext(name))) }
	files := p.found[r.stem()]
	for i := range files {
		switch name := files[i].path; {
		case bare(name) == bare(expected):
			return &files[i]
		case elsewhere == nil && bare(path.Base(name)) == bare(path.Base(expected)):
			elsewhere = &files[i]
		}
	}
	return elsewhere
}

// beside are the files that Photos made from an original: full-size JPEGs of
// RAW pictures and the like.
func (p *parts) beside(m *master) {
	for _, r := range m.made {
		if r.film() && !p.v.video() {
			continue
		}
		for _, f := range p.found[r.stem()] {
			p.explained = append(p.explained, f.path)
			p.derived = append(p.derived, f)
		}
	}
}

// film is that of a Live Photo.
func (p *parts) film(m *master) {
	if p.v.video() {
		return
	}
	var row *modelResource
	if m != nil {
		if i := slices.IndexFunc(m.made, modelResource.film); i >= 0 {
			row = &m.made[i]
		}
	}
	switch {
	case row != nil:
		p.rendered(photos.RoleLive, row, row.path("master", "jpegvideocomplement_", ".mov"))
	case p.v.live():
		res := photos.Resource{Role: photos.RoleLive, Size: -1, Reason: photos.Unavailable}
		if m.inCloud() {
			res.Reason = photos.ICloudOnly
		}
		p.take(res, nil, ".mov")
		setPath(&p.list[len(p.list)-1], "")
	}
}

func (p *parts) rendered(role photos.Role, r *modelResource, expected string) {
	res := photos.Resource{Role: role, UTI: valid(r.uti), Size: -1}
	f := p.first(*r, expected)
	original, _ := p.v.pair()
	switch {
	case f != nil:
	case r.onDisk != 0:
		res.Reason = photos.Lost
	case original.inCloud():
		res.Reason = photos.ICloudOnly
	default:
		res.Reason = photos.Unavailable
	}
	p.take(res, f, expected)
}

// edits are the files that Photos made of the version. Those of an earlier
// edit have another tag.
func (p *parts) edits() {
	v, edited := p.v, false
	for i := range v.made {
		r := &v.made[i]
		role, prefix, ext := photos.RoleEdited, "fullsizeoutput_", ".jpeg"
		switch {
		case r.kind == resourceFilm && !v.video():
			role, prefix, ext = photos.RoleEditedLive, "videocomplementoutput_", ".mov"
		case r.kind == resourceFilm:
			ext = ".mov"
		case r.kind == resourcePicture && v.video():
			role = photos.RolePoster
		case r.kind == resourceInput:
			role, prefix = "", "fullsizeinput_"
		case r.kind != resourcePicture:
			continue
		}
		if r.uti == "public.heic" {
			ext = ".heic"
		}
		expected := r.path("version", prefix, ext)
		current := v.edited() && r.tag == v.edit
		switch f := p.first(*r, expected); {
		case role == "" && f != nil:
			p.explained, p.derived = append(p.explained, f.path), append(p.derived, *f)
		case role == "":
		case current && role == photos.RolePoster && f == nil: // Photos draws it when it needs it
		case current && !(role == photos.RoleEdited && edited):
			p.rendered(role, r, expected)
			edited = edited || role == photos.RoleEdited
		case v.edited() && f != nil:
			p.take(photos.Resource{Role: photos.RolePrevious, UTI: valid(r.uti), Size: -1}, f, expected)
		}
	}
	if v.edited() && !edited {
		res := photos.Resource{Role: photos.RoleEdited, Size: -1, Reason: photos.RenderNeverMade}
		if v.editInCloud != 0 {
			res.Reason = photos.ICloudOnly
		}
		p.take(res, nil, "")
	}
}

// preview is the largest picture that Photos made of an asset whose original
// is not there. Few are looked for, so each folder is read when it is.
func (p *parts) preview() {
	candidates := p.derived
	dir, digits := numbered("resources/proxies/derivatives", p.v.pk)
	dir = path.Join(dir, digits)
	entries, err := fs.ReadDir(p.root.FS(), dir)
	if err != nil {
		entries = nil // none were made
	}
	for _, e := range entries {
		if info, err := p.root.Lstat(path.Join(dir, e.Name())); err == nil && info.Mode().IsRegular() {
			candidates = append(candidates, file{path.Join(dir, e.Name()), info.Size(), info.ModTime().UnixNano()})
		}
	}
	if len(candidates) == 0 {
		return
	}
	largest := slices.MaxFunc(candidates, func(x, y file) int { return int(x.size - y.size) })
	if largest.size > 0 {
		p.take(photos.Resource{Role: photos.RolePreview, Size: -1}, &largest, largest.path)
	}
}
