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
		Albums:      set(a.albums),
		Persons:     set(a.persons),
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
