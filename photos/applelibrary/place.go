package applelibrary

import (
	"fmt"

	"howett.net/plist"

	"lightfast/photos"
)

// maxPlace bounds what is decoded; real ones have 2 KB.
const maxPlace = 1 << 18

// archived is one object of a keyed archive: a text, or a dictionary of
// references to other objects. Only the keys named here are followed, each
// one level deep, so that no archive can make the reader walk for long.
type archived struct {
	text string
	refs struct {
		Postal  plist.UID   `plist:"postalAddress"`
		Address plist.UID   `plist:"addressString"`
		Map     plist.UID   `plist:"mapItem"`
		Sorted  plist.UID   `plist:"sortedPlaceInfos"`
		Objects []plist.UID `plist:"NS.objects"`
		Name    plist.UID   `plist:"name"`
		Street  plist.UID   `plist:"_street"`
		City    plist.UID   `plist:"_city"`
		State   plist.UID   `plist:"_state"`
		Code    plist.UID   `plist:"_postalCode"`
		Country plist.UID   `plist:"_country"`
		ISO     plist.UID   `plist:"_ISOCountryCode"`
		RootISO plist.UID   `plist:"countryCode"`
	}
}

func (a *archived) UnmarshalPlist(unmarshal func(any) error) error {
	if unmarshal(&a.text) != nil {
		_ = unmarshal(&a.refs) // an object of another kind, of which nothing is needed
	}
	return nil
}

// decodePlace fills in the names of p from Apple's archived answer to where
// its coordinates are. It takes what it understands.
func decodePlace(data []byte, p *photos.Place) (err error) {
	if len(data) > maxPlace {
		return fmt.Errorf("place of %d bytes", len(data))
	}
	defer func() {
		if r := recover(); r != nil { // the decoder reads foreign bytes
			err = fmt.Errorf("place: %v", r)
		}
	}()
	var archive struct {
		Top struct {
			Root plist.UID `plist:"root"`
		} `plist:"$top"`
		Objects []archived `plist:"$objects"`
	}
	if _, err := plist.Unmarshal(data, &archive); err != nil {
		return fmt.Errorf("place: %w", err)
	}
	at := func(id plist.UID) (a archived) {
		if id > 0 && uint64(id) < uint64(len(archive.Objects)) { // object 0 is $null
			a = archive.Objects[id]
		}
		return a
	}
	text := func(ids ...plist.UID) string {
		for _, id := range ids {
			if s := at(id).text; s != "" {
				return valid(s)
			}
		}
		return ""
	}
	root := at(archive.Top.Root).refs
	address := at(root.Postal).refs
	p.Street, p.City, p.State = text(address.Street), text(address.City), text(address.State)
	p.PostalCode, p.Country = text(address.Code), text(address.Country)
	p.CountryCode = text(address.ISO, root.RootISO)
	if places := at(at(root.Map).refs.Sorted).refs.Objects; len(places) > 0 {
		p.Name = text(at(places[0]).refs.Name) // the smallest comes first
	}
	if p.Name == "" {
		p.Name = text(root.Address)
	}
	return nil
}
