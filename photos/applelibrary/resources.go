package applelibrary

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"lightfast/photos"
)

// Recipes of the renders that have a role of their own; see renderName.
const (
	recipePhoto = 65938  // U_1_201_a: the edited photo, or an edited movie's still
	recipeVideo = 131072 // U_2_0_a: the edited movie
	recipeLive  = 131272 // U_2_100_a: the edited Live Photo's movie
)

// want is a file that an asset has according to the database.
type want struct {
	role photos.Role
	row  *resourceRow // nil where the database has none
	name string       // of the file as far as the database tells, or ""
	ext  string       // with the dot, of a role that may occur more than once
}

// wants lists what the database expects of an asset.
func (a *assetRow) wants() []want {
	list := []want{{role: photos.RoleOriginal, row: a.originalRow(), name: path.Join(a.originalFolders()[0], a.filename)}}
	add := func(w want) {
		if !slices.ContainsFunc(list, func(x want) bool { return x.role == w.role && x.ext == w.ext }) {
			list = append(list, w)
		}
	}
	for i := range a.resources {
		r := &a.resources[i]
		if r.store != 0 {
			continue
		}
		w := want{row: r, name: a.partName(r)}
		switch {
		case r.recipe == 0 && r.version == 0 && r.kind == kindLive:
			w.role = photos.RoleLive
		case r.recipe == 0 && r.version == 0 && r.kind == kindRAW:
			w.role = photos.RoleRAW
		case r.recipe == 0 && r.version == 0 && r.kind == kindAside:
			w.role, w.ext = photos.RoleSidecar, r.ext()
		case r.recipe == 0 && r.version == 0 && r.kind > kindAside && (r.kind != kindCloud || r.local == 1):
			w.role, w.ext = photos.RoleOther, "_"+strconv.FormatInt(r.kind, 10)
		case r.recipe == 0 && r.version == 1:
			w.role = photos.RolePrevious
		case r.recipe == recipePhoto && a.video():
			if r.local != 1 {
				continue // Photos draws the still of an edited movie when it needs it
			}
			w.role = photos.RolePoster
		case r.recipe == recipePhoto && a.edited(), r.recipe == recipeVideo && a.edited():
			w.role = photos.RoleEdited
		case r.recipe == recipeLive && a.edited():
			w.role = photos.RoleEditedLive
		case r.recipe != 0 && r.recipe&1 == 0 && r.local == 1 && a.edited():
			w.role, w.ext = photos.RoleOther, strings.ToLower(renderName("", r)) // a render that nobody has seen yet
		default:
			continue // derivatives
		}
		add(w)
	}
	if a.subtype == 2 {
		add(want{role: photos.RoleLive})
	}
	if a.edited() && !a.shared() { // a shared edit is published as its render
		add(want{role: photos.RoleEdited})
	}
	return list
}

// originalRow is the row of the file as imported.
func (a *assetRow) originalRow() *resourceRow {
	var best *resourceRow
	for i := range a.resources {
		r := &a.resources[i]
		imported := r.store == 0 && r.recipe == 0 && r.version == 0 && (r.kind == kindImage || r.kind == kindVideo)
		if imported && (best == nil || best.kind != a.kind && r.kind == a.kind) {
			best = r
		}
	}
	return best
}

// originalFolders are where the files as imported may lie, the likeliest
// first.
func (a *assetRow) originalFolders() []string {
	if a.folders != nil {
		return a.folders
	}
	roots := []string{"originals", "scopes/syndication/originals", "scopes/momentshared/originals"}
	if a.shared() {
		roots = []string{"scopes/cloudsharing/data", "resources/cloudsharing/data"}
	} else if a.syndicated() {
		roots[0], roots[1] = roots[1], roots[0]
	}
	for i := range roots {
		roots[i] = path.Join(roots[i], a.directory)
	}
	a.folders = roots
	return roots
}

// stems under which files of the asset may be listed.
func (a *assetRow) stems() []string {
	s := []string{strings.ToUpper(a.uuid)}
	if f := stem(a.filename); f != s[0] && !a.referenced() {
		s = append(s, f)
	}
	return s
}

// renderRoots are where Photos keeps what it made of an edit. Those of the
// other scopes are a guess: none was seen.
var renderRoots = []string{"resources/renders", "scopes/syndication/resources/renders", "scopes/momentshared/resources/renders"}

func (a *assetRow) letter() string { return a.uuid[:min(1, len(a.uuid))] }

func (a *assetRow) renderFolder() string { return renderRoots[0] + "/" + a.letter() }

func (a *assetRow) isRenderFolder(dir string) bool {
	return slices.ContainsFunc(renderRoots, func(root string) bool {
		return len(dir) > len(root) && strings.EqualFold(dir[:len(root)], root) && strings.EqualFold(dir[len(root):], "/"+a.letter())
	})
}

// partName is where the row's file lies, or "" if its extension is unknown.
func (a *assetRow) partName(r *resourceRow) string {
	ext := r.ext()
	switch {
	case ext == "":
		return ""
	case r.recipe != 0:
		return path.Join(a.renderFolder(), renderName(a.uuid, r)+ext)
	case r.version == 1:
		return path.Join(a.renderFolder(), a.uuid+"_p"+ext)
	}
	base := strings.TrimSuffix(a.filename, path.Ext(a.filename))
	return path.Join(a.originalFolders()[0], base+"_"+strconv.FormatInt(r.kind, 10)+ext)
}

// renderName is Apple's rule for files that Photos makes from others: kind,
// recipe number and a letter for the version, all in the row.
func renderName(uuid string, r *resourceRow) string {
	tag := map[int64]string{2: "a", 3: "c"}[r.version]
	if tag == "" {
		tag = "o"
	}
	return uuid + "_" + strconv.FormatInt(r.recipe>>16, 10) + "_" + strconv.FormatInt(r.recipe&0xFFFF>>1, 10) + "_" + tag
}

// Type identifiers are numbers from Photos 7 on; these were seen. The last
// byte of the key says nearly the same in every version.
var (
	compactUTI = map[string]struct{ uti, ext string }{
		"1": {"public.jpeg", ".jpeg"}, "3": {"public.heic", ".heic"}, "6": {"public.png", ".png"}, "8": {"public.tiff", ".tiff"},
		"9": {"com.adobe.raw-image", ".dng"}, "11": {"com.canon.cr2-raw-image", ".cr2"}, "23": {"com.apple.quicktime-movie", ".mov"},
		"24": {"public.mpeg-4", ".mp4"}, "36": {"", ".xmp"}, "37": {"", ".aae"},
	}
	keyExt = map[byte]string{0: ".jpeg", 1: ".heic", 4: ".dng", 5: ".cr2", 0x0B: ".mov", 0x12: ".aae"}
)

// ext is the extension of the row's file with its dot, or "".
func (r *resourceRow) ext() string {
	for _, u := range compactUTI {
		if r.uti == u.uti && u.uti != "" {
			return u.ext
		}
	}
	if u, ok := compactUTI[r.uti]; ok {
		return u.ext
	}
	if len(r.key) == 6 && r.key[0] == 3 && r.key[4] >= 0x80 {
		if e := keyExt[r.key[5]]; e != "" {
			return e
		}
	}
	switch {
	case r.kind == kindLive || r.kind == kindVideo:
		return ".mov"
	case r.kind == kindAside && r.subtype == 9:
		return ".xmp"
	case r.kind == kindAside:
		return ".aae"
	case r.kind == kindImage:
		return ".jpeg"
	}
	return ""
}

func (r *resourceRow) typeID() string {
	if strings.Contains(r.uti, ".") {
		return strings.TrimPrefix(r.uti, "_")
	}
	return compactUTI[r.uti].uti
}

// roleOf says what a file of the bundle is to the asset; "" means nothing.
func (a *assetRow) roleOf(name string, wants []want) photos.Role {
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	if a.isRenderFolder(dir) {
		return a.roleOfRender(base, wants)
	}
	if !slices.ContainsFunc(a.originalFolders(), func(d string) bool { return strings.EqualFold(d, dir) }) {
		return ""
	}
	if strings.EqualFold(base, a.filename) {
		return photos.RoleOriginal
	}
	rest, ok := cutStem(base, strings.TrimSuffix(a.filename, path.Ext(a.filename)))
	if !ok {
		return ""
	}
	switch mark, ext := strings.TrimSuffix(rest, path.Ext(rest)), path.Ext(rest); {
	case a.shared() && a.video() && mark == ".medium":
		return photos.RoleOriginal
	case a.shared() && mark == ".poster":
		return photos.RolePoster
	case a.shared() && !a.video() && mark == "" && ext == ".mov":
		return photos.RoleLive // said by others, not seen
	case a.shared():
		return ""
	case mark == "": // the original, named otherwise than its row says
		return photos.RoleOriginal
	case mark == "_3":
		return photos.RoleLive
	case mark == "_4":
		return photos.RoleRAW
	case mark == "_5":
		return photos.RoleSidecar
	case slices.ContainsFunc(a.resources, func(r resourceRow) bool {
		return r.recipe == 0 && r.kind > kindAside && mark == "_"+strconv.FormatInt(r.kind, 10)
	}):
		return photos.RoleOther
	}
	return ""
}

// roleOfRender is roleOf in the renders folder. What lies there of an asset
// that is no longer edited is no edit, but an orphan.
func (a *assetRow) roleOfRender(base string, wants []want) photos.Role {
	rest, ok := cutStem(base, strings.ToLower(a.uuid))
	if !ok {
		return ""
	}
	mark, ext := strings.TrimSuffix(rest, path.Ext(rest)), path.Ext(rest)
	role := photos.Role("")
	switch {
	case mark == "" && ext == ".plist":
		role = photos.RoleAdjustment
	case mark == "_p":
		role = photos.RolePrevious
	case mark == "_1_201_a" && !a.video(), mark == "_2_0_a" && a.video():
		role = photos.RoleEdited
	case mark == "_1_201_a":
		role = photos.RolePoster
	case mark == "_2_100_a":
		role = photos.RoleEditedLive
	}
	if role != "" && (a.edited() || slices.ContainsFunc(wants, func(w want) bool { return w.role == role })) {
		return role
	}
	for i := range a.resources {
		if r := &a.resources[i]; r.recipe != 0 && r.recipe&1 == 0 && strings.EqualFold(renderName("", r), mark) {
			return photos.RoleOther
		}
	}
	return ""
}

// cutStem returns what follows stem in name, in lower case.
func cutStem(name, stem string) (string, bool) {
	return strings.CutPrefix(strings.ToLower(name), strings.ToLower(stem))
}

// absence says why the file of w is not there, in Apple's order of things.
func (a *assetRow) absence(w want) photos.Reason {
	r := w.row
	render := w.role == photos.RoleEdited || w.role == photos.RoleEditedLive || w.role == photos.RolePoster || w.role == photos.RolePrevious
	switch {
	case a.shared():
		return photos.SharedNotDownloaded
	case a.referenced() && !render: // renders of referenced assets lie in the bundle
		return photos.ReferencedOutside
	case r != nil && r.local == 1:
		return photos.Lost
	case r != nil && r.remote == 1:
		return photos.ICloudOnly
	case a.complete.Valid && a.complete.Float64 == 0:
		return photos.IncompleteImport
	case w.role == photos.RoleEdited && (r == nil || a.adjustments == 3): // slow motion is played from the original
		return photos.RenderNeverMade
	}
	return photos.Unavailable
}

// describe fills in what the database says of a resource.
func (a *assetRow) describe(res *photos.Resource, r *resourceRow) {
	res.Size = -1
	if r != nil {
		res.Fingerprint, res.UTI = r.fingerprint, r.typeID()
		if r.size > 0 {
			res.Size = r.size
		}
	}
	switch {
	case a.shared(): // a reduced copy, of which the database knows neither size nor hash
		res.Size, res.Fingerprint = -1, ""
	case res.Role == photos.RoleOriginal:
		res.Fingerprint = cmp.Or(res.Fingerprint, a.originalHash)
		if res.Size < 0 && a.originalSize > 0 {
			res.Size = a.originalSize
		}
	case res.Role == photos.RoleEdited && !a.video(): // of films nobody has seen what it is the hash of
		res.Fingerprint = cmp.Or(res.Fingerprint, a.adjustedHash)
	}
	if res.Role == photos.RoleOriginal {
		res.UTI = cmp.Or(a.uti, res.UTI)
	}
	res.UTI, res.Fingerprint = valid(res.UTI), valid(res.Fingerprint)
}

// found makes res present as the file f, with a warning where the database
// says another size.
func found(res *photos.Resource, f file) {
	if res.Size >= 0 && res.Size != f.size {
		res.Warning = photos.SizeMismatch
	}
	res.Size, res.ModTime = f.size, f.mtime
	setPath(res, f.path)
}

func setPath(res *photos.Resource, p string) {
	res.Path = valid(p)
	if res.Path != p {
		res.PathRaw = []byte(p)
	}
}

// suffixes tell the files of an asset apart that have an extension in common,
// as osxphotos names them.
var suffixes = map[photos.Role]string{
	photos.RoleEdited:     "_edited",
	photos.RoleEditedLive: "_edited",
	photos.RoleAdjustment: "_edited",
	photos.RolePrevious:   "_previous",
	photos.RolePoster:     "_poster",
	photos.RolePreview:    "_preview",
}

// setName names res after the original, with the extension of its own file,
// in capitals where the original has them.
func setName(res *photos.Resource, original, fileName string) {
	name := original
	if res.Role != photos.RoleOriginal {
		old, ext := path.Ext(original), path.Ext(fileName)
		if old != "" && old == strings.ToUpper(old) {
			ext = strings.ToUpper(ext)
		}
		name = strings.TrimSuffix(original, old) + suffixes[res.Role] + ext
	}
	res.Name = valid(name)
	if res.Name != name {
		res.NameRaw = []byte(name)
	}
}

// valid is s as UTF-8, which JSON needs.
func valid(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }
