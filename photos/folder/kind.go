package folder

import (
	"path"
	"strings"

	"lightfast/photos"
)

// kinds by extension; everything else is photos.Other and backed up all the
// same.
var kinds = func() map[string]photos.Kind {
	m := map[string]photos.Kind{}
	for _, ext := range strings.Fields(`jpg jpeg jpe jfif heic heif hif avif png gif tif tiff bmp webp jxl jp2 psd psb svg dng raw arw srf sr2
		cr2 cr3 crw nef nrw orf raf rw2 rwl pef srw x3f erf mrw mef mos iiq 3fr fff gpr kdc dcr insp`) {
		m[ext] = photos.Photo
	}
	for _, ext := range strings.Fields(`mov mp4 m4v qt avi mkv webm mpg mpeg mpe m2v mts m2ts ts vob wmv asf flv 3gp 3g2 ogv mod tod dv mxf
		insv lrv 360`) {
		m[ext] = photos.Video
	}
	return m
}()

func kindOf(name string) photos.Kind {
	if k, ok := kinds[lowerExt(name)]; ok {
		return k
	}
	return photos.Other
}

func isSidecar(name string) bool {
	ext := lowerExt(name)
	return ext == "aae" || ext == "xmp"
}

// isLitter tells what an operating system leaves behind from what a person
// put there.
func isLitter(name string) bool {
	return name == ".DS_Store" || name == "Thumbs.db" || strings.HasPrefix(name, "._")
}

func lowerExt(name string) string {
	return strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))
}

func stem(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }
