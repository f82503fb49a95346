package activities

import (
	"path"
	"strings"
)

// mediaTypes of what libraries hold; the table of package mime differs between
// machines, and what a bucket shows must not.
var mediaTypes = map[string]string{
	".aae": "application/xml", ".avif": "image/avif", ".bmp": "image/bmp", ".gif": "image/gif",
	".heic": "image/heic", ".heif": "image/heif", ".jpeg": "image/jpeg", ".jpg": "image/jpeg",
	".json": "application/json", ".m4a": "audio/mp4", ".m4v": "video/x-m4v", ".mov": "video/quicktime",
	".mp4": "video/mp4", ".pdf": "application/pdf", ".plist": "application/x-plist", ".png": "image/png",
	".tif": "image/tiff", ".tiff": "image/tiff", ".webp": "image/webp", ".xmp": "application/rdf+xml",
	".dng": "image/x-adobe-dng", ".cr2": "image/x-canon-cr2", ".cr3": "image/x-canon-cr3",
	".nef": "image/x-nikon-nef", ".arw": "image/x-sony-arw", ".raf": "image/x-fuji-raf", ".orf": "image/x-olympus-orf",
}

// contentType of a file by its name, "" for unknown.
func contentType(name string) string {
	return mediaTypes[strings.ToLower(path.Ext(name))]
}
