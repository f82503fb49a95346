package applelibrary

import (
	"cmp"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"lightfast/photos"
)

// appleEpoch is 2001-01-01 UTC in Unix seconds.
const appleEpoch = 978_307_200

// instant is the time that Apple's number says, to the microsecond. It is
// false for none and for what no calendar of four digits holds: both occur.
func instant(n sql.NullFloat64) (time.Time, bool) {
	if !n.Valid || math.IsNaN(n.Float64) || math.Abs(n.Float64) > 1e12 {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(n.Float64)
	t := time.Unix(int64(whole)+appleEpoch, int64(math.Round(fraction*1e6))*1000).UTC()
	return t, t.Year() >= 1 && t.Year() <= 9999
}

// metadata of the asset, as a restore wants it.
func (a *assetRow) metadata() photos.Metadata {
	m := photos.Metadata{
		UUID:        valid(a.uuid),
		Kind:        photos.Other,
		TZName:      valid(a.zone),
		Trashed:     a.trashed != 0,
		Hidden:      a.hidden != 0,
		Favorite:    a.favorite != 0,
		Shared:      a.shared(),
		Title:       valid(a.title),
		Description: valid(a.description),
		Keywords:    set(a.keywords),
		Duration:    positive(a.duration),
		Camera:      a.cameraOf(),
		Types:       a.types(),
		Width:       int(a.width),
		Height:      int(a.height),
		Edited:      a.edited(),
		EditFormat:  valid(a.editFormat),
	}
	switch a.kind {
	case 0:
		m.Kind = photos.Photo
	case 1:
		m.Kind = photos.Video
	}
	if a.orientation >= 1 && a.orientation <= 8 {
		m.Orientation = int(a.orientation)
	}
	name := a.name()
	m.OriginalFilename = valid(name)
	if m.OriginalFilename != name {
		m.NameRaw = []byte(name)
	}
	if a.burst != "" {
		m.Burst = &photos.Burst{UUID: valid(a.burst), Key: a.burstPick&16 != 0, Selected: a.burstPick&8 != 0}
	}
	a.setDates(&m)
	a.setPlace(&m)
	a.setAlbums(&m)
	a.setFaces(&m)
	return m
}

func (a *assetRow) name() string { return cmp.Or(a.originalName, a.filename) }

func (a *assetRow) setDates(m *photos.Metadata) {
	zone := time.UTC
	if o := a.offset.Float64; a.offset.Valid && math.Abs(o) <= 14*3600 {
		seconds := int(o)
		m.TZOffset = &seconds
		// RFC 3339 has no seconds in its offsets; the instant stays.
		zone = time.FixedZone("", int(math.Round(o/60))*60)
	}
	t, ok := instant(a.taken)
	if local := t.In(zone); ok && local.Year() >= 1 && local.Year() <= 9999 {
		m.Date = local.Format(time.RFC3339Nano)
	} else if raw := a.taken.Float64; a.taken.Valid && !math.IsInf(raw, 0) {
		m.DateRaw = &raw
	}
	if t, ok := instant(a.modified); ok {
		m.Modified = t.Format(time.RFC3339Nano)
	}
	if t, ok := instant(a.added); ok {
		m.Added = t.Format(time.RFC3339Nano)
	}
}

func (a *assetRow) setAlbums(m *photos.Metadata) {
	for _, item := range a.albums {
		m.Albums = append(m.Albums, item.Path)
	}
	m.Albums = set(m.Albums)
	m.AlbumItems = a.albums
	slices.SortFunc(m.AlbumItems, func(x, y photos.AlbumItem) int {
		return cmp.Or(cmp.Compare(x.UUID, y.UUID), cmp.Compare(x.Path, y.Path), cmp.Compare(x.Order, y.Order))
	})
}

// setFaces turns Apple's rectangles over. Their centres are fractions of the
// picture as it is shown, whatever its orientation, from the bottom left; the
// size is a fraction of the longer side.
func (a *assetRow) setFaces(m *photos.Metadata) {
	for _, f := range a.faces {
		if f.name != "" {
			m.Persons = append(m.Persons, valid(f.name))
		}
		w, h := float64(a.width), float64(a.height)
		if w <= 0 || h <= 0 {
			w, h = float64(f.sourceWidth), float64(f.sourceHeight)
		}
		size := positive(f.size) * max(w, h)
		// A person whom the user added by hand has no place in the picture.
		if size == 0 || !f.x.Valid || !f.y.Valid || !(w > 0 && h > 0) {
			continue
		}
		face := photos.Face{Name: valid(f.name), X: f.x.Float64, Y: 1 - f.y.Float64, W: size / w, H: size / h}
		if isFraction(face.X) && isFraction(face.Y) {
			m.Faces = append(m.Faces, face)
		}
	}
	m.Persons = set(m.Persons)
	slices.SortFunc(m.Faces, func(x, y photos.Face) int {
		return cmp.Or(cmp.Compare(x.X, y.X), cmp.Compare(x.Y, y.Y), cmp.Compare(x.Name, y.Name))
	})
}

func isFraction(f float64) bool { return f >= 0 && f <= 1 }

// positive is n, or 0 for what no camera measures and no JSON holds.
func positive(n sql.NullFloat64) float64 {
	if n.Float64 > 0 && n.Float64 < 1e12 {
		return n.Float64
	}
	return 0
}

// cameraOf returns nil where nothing is known.
func (a *assetRow) cameraOf() *photos.Camera {
	c := photos.Camera{
		Make: valid(a.maker), Model: valid(a.camera), Lens: valid(a.lens), ISO: int(max(a.iso, 0)),
		Aperture: positive(a.aperture), Exposure: positive(a.exposure), FocalLength: positive(a.focalLength),
	}
	if c == (photos.Camera{}) {
		return nil
	}
	return &c
}

func (a *assetRow) setPlace(m *photos.Metadata) {
	lat, lon := a.latitude, a.longitude
	// -180, -180 is Apple's "nowhere".
	if !lat.Valid || !lon.Valid || !(math.Abs(lat.Float64) <= 90) || !(math.Abs(lon.Float64) <= 180) {
		return
	}
	m.Place = &photos.Place{Latitude: lat.Float64, Longitude: lon.Float64}
	_ = decodePlace(a.place, m.Place) // coordinates are enough where the names cannot be read
}

// addedMillis orders assets in pages.
func (a *assetRow) addedMillis() int64 {
	t, ok := instant(a.added)
	if !ok {
		return 0
	}
	return t.UnixMilli()
}

var subtypes = map[int64]string{
	1: "panorama", 2: "live", 10: "screenshot", 100: "", // 100 is a shared movie, said elsewhere
	101: "slow_motion", 102: "time_lapse", 103: "screen_recording",
}

func (a *assetRow) types() []string {
	var types []string
	add := func(is bool, name string) {
		if is {
			types = append(types, name)
		}
	}
	name, known := subtypes[a.subtype]
	add(name != "", name)
	add(!known && a.subtype != 0, "subtype_"+strconv.FormatInt(a.subtype, 10))
	add(a.depth != 0, "portrait")
	// The same numbers in either column. ZHDRTYPE also has 4 for the normal
	// half of an HDR pair, 5 for films and 10 for pictures with a gain map.
	add(a.rendered == 3, "hdr")
	add(a.rendered == 6, "panorama")
	add(a.captureDevice == 1, "selfie")
	add(a.burst != "", "burst")
	add(a.referenced(), "referenced")
	add(a.syndicated(), "syndicated")
	add(slices.ContainsFunc(a.resources, func(r resourceRow) bool { return r.kind == kindRAW }), "raw")
	return set(types)
}

// mediaToken changes when the database says that bytes may be others. What
// is here or in iCloud is no part of it, nor what Photos makes by itself.
func (a *assetRow) mediaToken() string {
	lines := []string{a.originalHash, fmt.Sprint(a.adjusted.Valid, a.adjusted.Float64)}
	for _, r := range a.resources {
		if r.recipe&1 == 0 && r.version < 3 && r.kind != kindCloud {
			lines = append(lines, fmt.Sprint(r.kind, r.version, r.recipe, r.size, r.fingerprint))
		}
	}
	slices.Sort(lines[2:])
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:16])
}

// orphan makes an asset of a file that no row explains.
func orphan(f file) photos.Asset {
	res := photos.Resource{Role: photos.RoleOther, Size: f.size, ModTime: f.mtime}
	setPath(&res, f.path)
	base := path.Base(f.path)
	res.Name = valid(base)
	id := "orphan:" + f.path
	if res.PathRaw != nil {
		res.NameRaw = []byte(base)
		id = "orphan:" + strconv.Quote(f.path) // two names must not become one
	}
	return photos.Asset{
		ID:        photos.AssetID(id),
		Orphan:    true,
		Metadata:  photos.Metadata{OriginalFilename: res.Name, NameRaw: res.NameRaw, Kind: photos.Other},
		Resources: []photos.Resource{res},
	}
}
