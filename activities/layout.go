package activities

import (
	"crypto/sha256"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"lightfast/catalog"
	"lightfast/internal/atomicfile"
	"lightfast/internal/safename"
	"lightfast/manifest"
	"lightfast/photos"
)

// Layout is how a restore arranges files.
type Layout string

const (
	LayoutLibrary Layout = "library" // every file at its path in the library
	LayoutDates   Layout = "dates"   // 2024/2024-05-17/NAME
	LayoutAlbums  Layout = "albums"  // Folder/Album/NAME
	LayoutFlat    Layout = "flat"    // NAME
)

// Layouts are all that there are.
var Layouts = []Layout{LayoutLibrary, LayoutDates, LayoutAlbums, LayoutFlat}

// Where files go that a layout has no place for.
const (
	undated  = "undated"  // dates: taken at a time that nobody knows
	unsorted = "Unsorted" // albums: in no album
	pathless = "unplaced" // library: of no known path
)

// restoreFile is one resource with the names that it gets. A resource in
// several albums has several; one whose path leads out of the target none.
type restoreFile struct {
	manifest.Resource
	Paths    [][]byte `json:"paths"`              // below the target, slash-separated, perhaps no UTF-8
	Sidecars [][]byte `json:"sidecars,omitempty"` // one beside each of Paths, or none at all
	Renamed  bool     `json:"renamed,omitempty"`
}

// placer gives files their names. Clashes are settled here, before anything
// is written and in the order of pages (date added, then id), so that a rerun
// finds the same names.
type placer struct {
	layout Layout
	target atomicfile.Names // matters to layout library alone
	names  catalog.Planner
	space  space // of names that files of the snapshot take
}

// place names the resources of one asset.
func (p placer) place(asset manifest.Asset, m photos.Metadata, resources []manifest.Resource) ([]restoreFile, error) {
	files := make([]restoreFile, len(resources))
	for i, res := range resources {
		files[i].Resource = res
	}
	if p.layout == LayoutLibrary {
		for i := range files {
			if err := p.placeAtPath(asset, &files[i]); err != nil {
				return nil, err
			}
		}
		return files, nil
	}
	for _, folder := range folders(p.layout, m) {
		if err := p.placeIn(folder, asset, m, files); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// placeAtPath keeps the path that a file had, byte for byte where the target
// can hold it. Two resources of one path and content are one file.
func (p placer) placeAtPath(asset manifest.Asset, f *restoreFile) error {
	old, ok := libraryPath(asset, f.Resource)
	if !ok {
		return nil
	}
	parts := strings.Split(old, "/")
	for i, part := range parts {
		if p.target.Plain || p.target.Text && !utf8.ValidString(part) {
			parts[i] = safename.Name(part)
		} else {
			parts[i] = safename.Fit(part)
		}
	}
	whole := strings.Join(parts, "/")
	whole, err := p.take(p.space, whole, f.SHA256.String())
	f.Paths, f.Renamed = [][]byte{[]byte(whole)}, whole != old
	return err
}

// take returns a path for owner, with a number if it is another's.
func (p placer) take(s space, whole, owner string) (string, error) {
	folder, name := path.Split(whole)
	by := sha256.Sum256([]byte(owner + whole))
	for try := 1; ; {
		if try > 1 {
			whole = folder + safename.Number(name, try)
		}
		next, err := p.names.Take([][]byte{p.key(s, whole)}, by[:])
		if err != nil || next == 0 {
			return whole, err
		}
		try = max(next, try+1)
	}
}

// libraryPath returns where a resource was in its library, or false for a
// path that no library has.
func libraryPath(asset manifest.Asset, res manifest.Resource) (string, bool) {
	p := res.Path
	if res.PathRaw != nil {
		p = string(res.PathRaw)
	}
	if p == "" {
		return path.Join(pathless, safename.Name(asset.ID), safename.Name(res.Name)), true
	}
	if strings.ContainsRune(p, 0) || path.IsAbs(p) || path.Clean(p) != p || p == "." || p == ".." || strings.HasPrefix(p, "../") {
		return "", false
	}
	return p, true
}

// folders of an asset, made of safe names.
func folders(l Layout, m photos.Metadata) []string {
	switch l {
	case LayoutDates:
		// The date at the place of capture, whatever the zone of this host.
		if t, err := time.Parse(time.RFC3339, m.Date); err == nil {
			return []string{t.Format("2006/2006-01-02")}
		}
		return []string{undated}
	case LayoutAlbums:
		var all []string
		for _, album := range m.Albums {
			parts := strings.Split(album, "/")
			for i, part := range parts {
				parts[i] = safename.Name(part)
			}
			all = append(all, strings.Join(parts, "/"))
		}
		if all == nil {
			all = []string{unsorted}
		}
		return all
	}
	return []string{"."}
}

// placeIn gives all files of an asset names in one folder. They share a stem
// and, where another asset has one of them, a number: the film of a Live
// Photo stays with its still.
func (p placer) placeIn(folder string, asset manifest.Asset, m photos.Metadata, files []restoreFile) error {
	for try := 1; ; {
		names, keys := make([]string, len(files)), make([][]byte, len(files))
		taken := map[string]bool{}
		for i, f := range files {
			base := baseName(m, f.Resource, try)
			names[i] = path.Join(folder, base)
			for n := 2; taken[safename.Fold(names[i])]; n++ {
				names[i] = path.Join(folder, safename.Number(base, n))
			}
			taken[safename.Fold(names[i])] = true
			keys[i] = p.key(p.space, names[i])
		}
		next, err := p.names.Take(keys, []byte(asset.ID))
		if err != nil {
			return err
		}
		if next == 0 {
			for i := range files {
				files[i].Paths = append(files[i].Paths, []byte(names[i]))
				files[i].Renamed = files[i].Renamed || path.Base(names[i]) != files[i].Name
			}
			return nil
		}
		try = max(next, try+1)
	}
}

// baseName is the name of a resource, with the stem that its asset has and
// what tells it from the others of that asset.
func baseName(m photos.Metadata, res manifest.Resource, try int) string {
	original, name := m.OriginalFilename, res.Name
	if original == "" {
		original = name
	}
	stem := strings.TrimSuffix(original, path.Ext(original))
	rest, ok := strings.CutPrefix(name, stem)
	if !ok {
		rest = path.Ext(name)
	}
	name = safename.Name(stem + rest)
	if try > 1 {
		name = safename.Number(name, try)
	}
	return name
}

// space sets names apart that are taken for different ends.
type space string

const (
	fileSpace    space = ""
	trialSpace   space = "trial"
	sidecarSpace space = "sidecar"
)

// key stands for all paths that the target takes as one.
func (p placer) key(s space, whole string) []byte {
	if p.layout != LayoutLibrary || p.target.Folds {
		whole = safename.Fold(whole)
	}
	if s != fileSpace {
		whole = string(s) + "\x00" + whole // no path has that
	}
	sum := sha256.Sum256([]byte(whole))
	return sum[:16]
}
