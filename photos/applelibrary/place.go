package applelibrary

import (
	"cmp"
	"fmt"

	"lightfast/photos"
)

// maxPlace bounds what is decoded; real ones have 2 KB.
const maxPlace = 1 << 18

// decodePlace fills in the names of p from Apple's archived answer to where
// its coordinates are, a PLRevGeoLocationInfo. It takes what it understands.
func decodePlace(data []byte, p *photos.Place) error {
	if len(data) > maxPlace {
		return fmt.Errorf("place of %d bytes", len(data))
	}
	a, err := parseArchive(data)
	if err != nil {
		return fmt.Errorf("place: %w", err)
	}
	root := a.follow(a.top, "root")
	postal := a.follow(root, "postalAddress") // a CNPostalAddress
	text := func(o object, key string) string { return a.text(a.follow(o, key)) }
	p.Street, p.City, p.State = text(postal, "_street"), text(postal, "_city"), text(postal, "_state")
	p.District, p.County = text(postal, "_subLocality"), text(postal, "_subAdministrativeArea")
	p.PostalCode, p.Country = text(postal, "_postalCode"), text(postal, "_country")
	p.CountryCode = cmp.Or(text(postal, "_ISOCountryCode"), text(root, "countryCode"))
	p.Address = text(root, "addressString")
	areas := a.follow(a.follow(root, "mapItem"), "sortedPlaceInfos")
	smallest := a.target(a.first(a.value(areas, "NS.objects")))
	p.Name = cmp.Or(text(smallest, "name"), p.Address)
	return nil
}
