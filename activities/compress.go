package activities

import (
	"bytes"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"lightfast/photos"
)

// compression says how a resource may be stored.
type compression int

const (
	asIs       compression = iota
	ifItPays               // nobody views it in a bucket
	ifSamples              // a picture, on request: only where samples say that it pays
	headLength = 512       // of what mayCompress wants to see of a file
)

// compressLeast is the smallest resource worth it: below it a compressed object
// takes as many blocks of a disk.
const compressLeast = 4 << 10

// packedMost is the most that the compressed form of n bytes may have: to save
// less than a tenth is not worth an object that takes zstd to read.
func packedMost(n int64) int64 { return n - n/10 }

// coded are extensions of what is compressed already.
var coded = []string{".jpg", ".jpeg", ".jpe", ".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".png", ".gif", ".webp",
	".mov", ".mp4", ".m4v", ".hevc", ".avi", ".mts", ".m2ts", ".mpg", ".3gp", ".mkv", ".webm", ".m4a", ".mp3", ".aac",
	".zip", ".gz", ".xz", ".bz2", ".zst", ".7z"}

// raster are extensions of pictures that some cameras and programs write
// without compression.
var raster = []string{".tif", ".tiff", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".raf", ".orf", ".rw2", ".pef", ".srw", ".raw"}

// structured are extensions of plists and of the journals that Photos writes.
var structured = []string{".plist", ".plj", ".aae", ".xmp"}

// mayCompress decides by what a resource is and by its first bytes, without
// looking further. head is asked for only where it matters.
func mayCompress(res photos.Resource, size int64, onRequest bool, head func() ([]byte, error)) (compression, error) {
	ext := strings.ToLower(path.Ext(res.Name))
	if size < compressLeast || slices.Contains(coded, ext) {
		return asIs, nil
	}
	if res.Role == photos.RoleRAW || slices.Contains(raster, ext) {
		if onRequest {
			return ifSamples, nil
		}
		return asIs, nil
	}
	if unseen(res.Role) && slices.Contains(structured, ext) {
		return ifItPays, nil
	}
	b, err := head()
	if err != nil {
		return asIs, err
	}
	if bytes.HasPrefix(b, []byte("SQLite format 3\x00")) ||
		unseen(res.Role) && (bytes.HasPrefix(b, []byte("bplist00")) || isText(b)) {
		return ifItPays, nil
	}
	return asIs, nil
}

// unseen roles are those that nobody looks at in a bucket.
func unseen(r photos.Role) bool {
	switch r {
	case photos.RoleLibrary, photos.RoleOther, photos.RoleAdjustment, photos.RoleSidecar:
		return true
	}
	return false
}

// isText reports whether b may be the beginning of a text in UTF-8.
func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return !utf8.FullRune(b) // cut off at the end
		}
		if r < ' ' && !strings.ContainsRune("\t\n\r\f", r) {
			return false
		}
		b = b[n:]
	}
	return true
}

// sampleLength is that of one sample.
const sampleLength = 128 << 10

// samplesPay compresses the middle and the end of a file. Both must become
// smaller by a tenth. Its beginning is no witness: thumbnails and tables lie
// there, and the same 256 KiB that shrink to 0.07 begin a TIFF of 0.57. buf
// has room for one sample.
func samplesPay(r io.ReaderAt, size int64, buf []byte) (bool, error) {
	n := min(sampleLength, size)
	for _, off := range []int64{(size - n) / 2, size - n} {
		b := buf[:n]
		if _, err := readAt(r, b, off); err != nil {
			return false, err
		}
		var to counter
		if err := compress(&to, n, func(w io.Writer) error { _, err := w.Write(b); return err }); err != nil {
			return false, err
		}
		if int64(to) > packedMost(n) {
			return false, nil
		}
	}
	return true, nil
}

// readAt fills b. The end of the file right behind it is no failure.
func readAt(r io.ReaderAt, b []byte, off int64) (int, error) {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		err = photos.ErrChanged // shorter than it said
	}
	return n, err
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
