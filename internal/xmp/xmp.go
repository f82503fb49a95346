// Package xmp says in XMP what a library knows of a picture, for a sidecar
// beside the file: IMG_0001.HEIC.xmp.
//
// The same metadata gives the same bytes, and any metadata well-formed XML:
// what XML cannot hold becomes U+FFFD. Nothing is said that the library does
// not say. The forms are those of Adobe's XMP specification (parts 1 and 2),
// of the IPTC photo metadata standard, and for faces of the Metadata Working
// Group (Guidelines for Handling Image Metadata 2.0, section 5.9).
package xmp

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"lightfast/photos"
)

// File is the picture or film that a sidecar is beside.
type File struct {
	Name        string
	Orientation int // Exif's, of its pixels; 0 where unknown or upright
}

const head = `<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Lightfast">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
    xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
    xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#"
    xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
    xmlns:exif="http://ns.adobe.com/exif/1.0/"
    xmlns:aux="http://ns.adobe.com/exif/1.0/aux/">
`

const foot = `  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
`

// Sidecar returns the sidecar of a file, nil where the library says no more
// of it than its name and its time of change.
func Sidecar(m photos.Metadata, f File) []byte {
	var d description
	d.alternative("dc:title", m.Title)
	d.alternative("dc:description", m.Description)
	d.list("dc:subject", "Bag", m.Keywords)
	d.list("lr:hierarchicalSubject", "Bag", hierarchy(m))
	d.list("Iptc4xmpExt:PersonInImage", "Bag", m.Persons)
	d.faces(m, f.Orientation)
	if m.Favorite {
		d.text("xmp:Rating", "5") // as osxphotos and other programs have it
	}
	for _, name := range []string{"photoshop:DateCreated", "exif:DateTimeOriginal", "xmp:CreateDate"} {
		d.text(name, date(m.Date))
	}
	if m.Place != nil {
		d.place(*m.Place)
	}
	if m.Camera != nil {
		d.camera(*m.Camera)
	}
	if m.UUID != "" {
		d.text("xmpMM:OriginalDocumentID", "uuid:"+m.UUID) // of the original and of what was made from it
	}
	if d.Len() == 0 {
		return nil
	}
	d.text("xmp:ModifyDate", date(m.Modified))
	d.text("xmpMM:PreservedFileName", m.OriginalFilename)
	d.text("photoshop:SidecarForExtension", strings.TrimPrefix(path.Ext(f.Name), "."))
	return slices.Concat([]byte(head), d.Bytes(), []byte(foot))
}

// hierarchy returns the keywords and, below "Albums", the albums. The
// keywords are in it once more because some programs (digiKam) read nothing
// else where it is there.
func hierarchy(m photos.Metadata) []string {
	all := slices.Clone(m.Keywords)
	for _, album := range m.Albums {
		all = append(all, "Albums|"+strings.NewReplacer("|", "_", "/", "|").Replace(album))
	}
	return all
}

// date returns a time as XMP has it, "" for what is none.
func date(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// description collects the properties of one rdf:Description.
type description struct{ bytes.Buffer }

func (d *description) line(indent int, format string, args ...any) {
	d.WriteString(strings.Repeat(" ", indent))
	fmt.Fprintf(d, format+"\n", args...)
}

// text writes a simple property, unless it is empty.
func (d *description) text(name, value string) { d.textAt(3, name, value) }

func (d *description) textAt(indent int, name, value string) {
	if value != "" {
		d.line(indent, "<%s>%s</%[1]s>", name, escape(value))
	}
}

// alternative writes a text that could be there in several languages.
func (d *description) alternative(name, value string) {
	if value != "" {
		d.line(3, `<%s><rdf:Alt><rdf:li xml:lang="x-default">%s</rdf:li></rdf:Alt></%[1]s>`, name, escape(value))
	}
}

// list writes an array of that kind, Bag or Seq, unless it is empty.
func (d *description) list(name, kind string, values []string) {
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	if len(values) == 0 {
		return
	}
	d.line(3, "<%s><rdf:%s>", name, kind)
	for _, v := range values {
		d.textAt(4, "rdf:li", v)
	}
	d.line(3, "</rdf:%s></%s>", kind, name)
}

func (d *description) place(p photos.Place) {
	if math.Abs(p.Latitude) <= 90 && math.Abs(p.Longitude) <= 180 {
		d.text("exif:GPSLatitude", coordinate(p.Latitude, "N", "S"))
		d.text("exif:GPSLongitude", coordinate(p.Longitude, "E", "W"))
	}
	d.text("Iptc4xmpCore:Location", cmp.Or(p.Name, p.Street, p.District))
	d.text("photoshop:City", p.City)
	d.text("photoshop:State", p.State)
	d.text("photoshop:Country", p.Country)
	d.text("Iptc4xmpCore:CountryCode", p.CountryCode)
}

// coordinate writes degrees as XMP does: degrees, minutes with a fraction,
// and the half of the globe.
func coordinate(degrees float64, positive, negative string) string {
	const minute = 100_000_000 // a fraction that is finer than a float of degrees at 180
	half := positive
	if degrees < 0 {
		half = negative
	}
	n := int64(math.Round(math.Abs(degrees) * 60 * minute))
	return fmt.Sprintf("%d,%d.%08d%s", n/(60*minute), n/minute%60, n%minute, half)
}

func (d *description) camera(c photos.Camera) {
	d.text("tiff:Make", c.Make)
	d.text("tiff:Model", c.Model)
	d.text("aux:Lens", c.Lens)
	if c.ISO > 0 {
		d.list("exif:ISOSpeedRatings", "Seq", []string{fmt.Sprint(c.ISO)})
	}
	d.text("exif:FNumber", rational(c.Aperture))
	d.text("exif:ExposureTime", rational(c.Exposure))
	d.text("exif:FocalLength", rational(c.FocalLength))
}

// rational writes a positive number as a fraction: one of 1 where it is as
// short as exposures are that cameras count so, else one of thousandths. It is
// "" for what is no such number.
func rational(v float64) string {
	switch {
	case !(v >= 1e-9 && v <= 1e9):
		return ""
	case v < 0.3:
		return fmt.Sprintf("1/%d", int64(math.Round(1/v)))
	}
	n, of := int64(math.Round(v*1000)), int64(1000)
	for _, prime := range []int64{2, 2, 2, 5, 5, 5} {
		if n%prime == 0 {
			n, of = n/prime, of/prime
		}
	}
	return fmt.Sprintf("%d/%d", n, of)
}

// escape makes text of anything.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
