package applelibrary

import (
	"cmp"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"lightfast/photos"
)

func (v *version) metadata() photos.Metadata {
	m := v.assetRow.metadata()
	if v.special < 0 || v.special > 9 {
		m.Types = set(append(m.Types, "subtype_"+strconv.FormatInt(v.special, 10)))
	}
	m.EditData = v.editData
	if m.Place != nil {
		v.setAreas(m.Place)
	}
	return m
}

// Kinds of places, by osxphotos. 44 is a body of water.
const (
	placeCountry  = 1
	placeState    = 2
	placeCounty   = 4
	placeCity     = 16
	placeDistrict = 43
)

// setAreas fills in the names of p: of each kind that of the smallest area.
func (v *version) setAreas(p *photos.Place) {
	slices.SortStableFunc(v.areas, func(x, y place) int {
		return cmp.Or(cmp.Compare(x.area.Float64, y.area.Float64), cmp.Compare(y.kind, x.kind))
	})
	for _, area := range v.areas {
		name := valid(area.name)
		p.Name = cmp.Or(p.Name, name)
		p.CountryCode = cmp.Or(p.CountryCode, valid(area.code))
		switch area.kind {
		case placeCountry:
			p.Country = cmp.Or(p.Country, name)
		case placeState:
			p.State = cmp.Or(p.State, name)
		case placeCounty:
			p.County = cmp.Or(p.County, name)
		case placeCity:
			p.City = cmp.Or(p.City, name)
		case placeDistrict:
			p.District = cmp.Or(p.District, name)
		}
	}
}

// note takes in a property of how the picture was taken.
func (v *version) note(name, value string) {
	number := func() (n sql.NullFloat64) {
		f, err := strconv.ParseFloat(value, 64)
		return sql.NullFloat64{Float64: f, Valid: err == nil}
	}
	switch name {
	case noteMake:
		v.maker = value
	case noteModel:
		v.camera = value
	case noteLens:
		v.lens = value
	case noteISO:
		v.iso = int64(positive(number()))
	case noteAperture:
		v.aperture = number()
	case noteExposure:
		v.exposure = number()
	case noteFocal:
		v.focalLength = number()
	}
}

// mediaToken changes with every edit and with the originals. Rows of files
// that Photos made come and go with the files, so they are no part of it.
func (v *version) mediaToken() string {
	lines := []string{v.edit}
	for _, m := range []*master{v.master, v.raw, v.nonRaw} {
		if m != nil {
			lines = append(lines, m.uuid+" "+m.fingerprint)
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:16])
}
