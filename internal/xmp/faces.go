package xmp

import (
	"fmt"

	"lightfast/photos"
)

// faces writes where people are. A library has it as the picture is shown;
// regions are of the stored pixels, before a viewer turns them by their Exif
// orientation, and of a picture of the dimensions that they name.
func (d *description) faces(m photos.Metadata, orientation int) {
	var inside []photos.Face
	for _, f := range m.Faces {
		if f.X >= 0 && f.X <= 1 && f.Y >= 0 && f.Y <= 1 && f.W > 0 && f.W <= 1 && f.H > 0 && f.H <= 1 {
			inside = append(inside, stored(f, orientation))
		}
	}
	if inside == nil {
		return
	}
	width, height := m.Width, m.Height
	if lies(orientation) {
		width, height = height, width
	}
	d.line(3, `<mwg-rs:Regions rdf:parseType="Resource">`)
	if width > 0 && height > 0 {
		d.line(4, `<mwg-rs:AppliedToDimensions stDim:w="%d" stDim:h="%d" stDim:unit="pixel"/>`, width, height)
	}
	d.line(4, "<mwg-rs:RegionList><rdf:Bag>")
	for _, f := range inside {
		d.line(5, `<rdf:li rdf:parseType="Resource">`)
		d.line(6, `<mwg-rs:Area stArea:x="%s" stArea:y="%s" stArea:w="%s" stArea:h="%s" stArea:unit="normalized"/>`,
			fraction(f.X), fraction(f.Y), fraction(f.W), fraction(f.H))
		d.textAt(6, "mwg-rs:Type", "Face")
		d.textAt(6, "mwg-rs:Name", f.Name)
		d.line(5, "</rdf:li>")
	}
	d.line(4, "</rdf:Bag></mwg-rs:RegionList>")
	d.line(3, "</mwg-rs:Regions>")
}

func fraction(v float64) string { return fmt.Sprintf("%.6f", v) }

// lies reports whether pixels of that orientation are stored lying on a side.
func lies(orientation int) bool { return orientation >= 5 && orientation <= 8 }

// stored turns a face from how the picture is shown to how it is stored.
func stored(f photos.Face, orientation int) photos.Face {
	x, y := f.X, f.Y
	switch orientation {
	case 2:
		f.X = 1 - x
	case 3:
		f.X, f.Y = 1-x, 1-y
	case 4:
		f.Y = 1 - y
	case 5:
		f.X, f.Y = y, x
	case 6:
		f.X, f.Y = y, 1-x
	case 7:
		f.X, f.Y = 1-y, 1-x
	case 8:
		f.X, f.Y = 1-y, x
	}
	if lies(orientation) {
		f.W, f.H = f.H, f.W
	}
	return f
}
