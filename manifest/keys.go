package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// ConfigKey is the key of the config.
const ConfigKey = "lightfast.json"

// What lies where, for listing.
const (
	BlobPrefix     = "blobs/"
	PagePrefix     = "pages/"
	SnapshotPrefix = "snapshots/"
	ReceiptPrefix  = "receipts/"
)

// ZstdSuffix ends the key of a compressed blob.
const ZstdSuffix = ".zst"

const pageSuffix = ".jsonl.zst"

// BlobKey returns the key of content with the extension ext, which is one
// that [Extension] returned. The key of a compressed blob has [ZstdSuffix]
// after that.
func BlobKey(h Hash, ext string) string {
	key := BlobPrefix + fanned(h)
	if ext != "" {
		key += "." + ext
	}
	return key
}

// ParseBlobKey returns the hash in the key of a blob, compressed or not.
func ParseBlobKey(key string) (h Hash, ok bool) {
	name, ok := strings.CutPrefix(key, BlobPrefix)
	if !ok {
		return Hash{}, false
	}
	name = strings.TrimSuffix(name, ZstdSuffix)
	if i := strings.IndexByte(name, '.'); i >= 0 {
		if Extension(name) != name[i+1:] || name[i+1:] == "" {
			return Hash{}, false
		}
		name = name[:i]
	}
	return parseFanned(name)
}

// Extension returns the extension of a file name in lower case if it may
// become part of a key: one to eight of a-z and 0-9, and not "zst". Else "".
func Extension(name string) string {
	ext := name[strings.LastIndexByte(name, '.')+1:]
	if len(ext) == 0 || len(ext) > 8 || len(ext) == len(name) {
		return ""
	}
	lower := []byte(ext)
	for i, c := range lower {
		switch {
		case 'A' <= c && c <= 'Z':
			lower[i] = c + 'a' - 'A'
		case (c < 'a' || c > 'z') && (c < '0' || c > '9'):
			return ""
		}
	}
	if string(lower) == "zst" {
		return ""
	}
	return string(lower)
}

// PageKey returns the key of the page whose uncompressed bytes have hash h.
func PageKey(h Hash) string { return PagePrefix + fanned(h) + pageSuffix }

// ParsePageKey is the inverse of PageKey.
func ParsePageKey(key string) (h Hash, ok bool) {
	name, a := strings.CutPrefix(key, PagePrefix)
	name, b := strings.CutSuffix(name, pageSuffix)
	if !a || !b {
		return Hash{}, false
	}
	return parseFanned(name)
}

// fanned spreads objects over 256 folders, for stores that list slowly.
func fanned(h Hash) string {
	s := h.String()
	return s[:2] + "/" + s
}

func parseFanned(name string) (Hash, bool) {
	folder, digits, _ := strings.Cut(name, "/")
	h, err := ParseHash(digits)
	return h, err == nil && folder == digits[:2]
}

// LibraryKey returns what stands for a library id in keys: the id itself if
// it is made of at most 64 letters, digits and dashes, else the first half of
// the SHA-256 of it. LibraryKey of a LibraryKey is the same.
func LibraryKey(id string) string {
	if isSegment(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

func isSegment(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= 64
}

// SnapshotID names the snapshot that a run makes. Ids sort by time.
func SnapshotID(t time.Time, run string) string { return stamp(t) + "-" + LibraryKey(run) }

func stamp(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// HeadKey returns the key of the head of a finished snapshot.
func HeadKey(library, id string) string { return snapshotKey(library, id) + ".json" }

// InterimKey returns the key of head number n of a run that is not finished.
func InterimKey(library, id string, n int) string {
	return snapshotKey(library, id) + ".interim-" + strconv.Itoa(n)
}

// PendingKey returns the key of what a run writes just before its head.
func PendingKey(library, id string) string { return snapshotKey(library, id) + ".pending" }

func snapshotKey(library, id string) string {
	return SnapshotPrefix + LibraryKey(library) + "/" + LibraryKey(id)
}

// ParseHeadKey returns the parts of the key of a head; library is a LibraryKey.
func ParseHeadKey(key string) (library, id string, ok bool) {
	library, id, rest, ok := parseSnapshotKey(key)
	return library, id, ok && rest == "json"
}

// ParsePendingKey returns the parts of a PendingKey.
func ParsePendingKey(key string) (library, id string, ok bool) {
	library, id, rest, ok := parseSnapshotKey(key)
	return library, id, ok && rest == "pending"
}

// ParseInterimKey returns the parts of an InterimKey.
func ParseInterimKey(key string) (library, id string, n int, ok bool) {
	library, id, rest, ok := parseSnapshotKey(key)
	digits, interim := strings.CutPrefix(rest, "interim-")
	n, err := strconv.Atoi(digits)
	return library, id, n, ok && interim && err == nil && n >= 0 && strconv.Itoa(n) == digits
}

func parseSnapshotKey(key string) (library, id, rest string, ok bool) {
	name, ok := strings.CutPrefix(key, SnapshotPrefix)
	library, name, _ = strings.Cut(name, "/")
	id, rest, _ = strings.Cut(name, ".")
	return library, id, rest, ok && isSegment(library) && isSegment(id)
}

// ReceiptKey returns the key of the receipt id that was finished at t.
func ReceiptKey(t time.Time, id string) string {
	return ReceiptPrefix + stamp(t) + "-" + LibraryKey(id) + ".json"
}
