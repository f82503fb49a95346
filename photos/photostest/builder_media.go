package photostest

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"strings"
	"sync"
)

// picture is a JPEG of 8 by 8 pixels, which all photos have in common; what
// tells them apart is a comment.
var picture = sync.OnceValue(func() []byte {
	img := image.NewGray(image.Rect(0, 0, 8, 8))
	for i := range 64 {
		img.SetGray(i%8, i/8, color.Gray{Y: uint8(i * 37)})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		panic(err) // from memory to memory
	}
	return b.Bytes()
})

const recipe = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>adjustmentFormatIdentifier</key><string>com.apple.photo</string>
<key>adjustmentFormatVersion</key><string>1.9</string>
</dict></plist>
`

// writeMedia writes a file of about that many bytes, never fewer than its
// kind needs, and returns how many. JPEGs can be shown by any program.
func writeMedia(w io.Writer, ext string, size int64, noise io.Reader) (int64, error) {
	ext = strings.ToLower(ext)
	switch ext {
	case ".plist":
		n, err := io.WriteString(w, recipe)
		return int64(n), err
	case ".mov", ".cr2":
	default:
		return writeJPEG(w, size, noise)
	}
	head := []byte("II*\x00\x10\x00\x00\x00CR\x02\x00")
	if ext == ".mov" {
		head = []byte("\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  \x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x00")
		size = max(size, 2000)
		binary.BigEndian.PutUint64(head[28:], uint64(size-20))
	}
	size = max(size, 2000)
	if _, err := w.Write(head); err != nil {
		return 0, err
	}
	n, err := io.CopyN(w, noise, size-int64(len(head)))
	return n + int64(len(head)), err
}

func writeJPEG(w io.Writer, size int64, noise io.Reader) (int64, error) {
	const most, least = 0xFFFF - 2, 32 // bytes in a comment
	p := picture()
	if _, err := w.Write(p[:2]); err != nil {
		return 0, err
	}
	total := int64(len(p))
	for left := max(size-total-4, least); left > 0; {
		n := min(left, most)
		if _, err := w.Write([]byte{0xFF, 0xFE, byte((n + 2) >> 8), byte(n + 2)}); err != nil {
			return 0, err
		}
		if _, err := io.CopyN(w, noise, n); err != nil {
			return 0, err
		}
		total += n + 4
		left -= n + 4
	}
	_, err := w.Write(p[2:])
	return total, err
}
