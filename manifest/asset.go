package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Asset is one line of a page.
type Asset struct {
	ID     string `json:"id"`
	Orphan bool   `json:"orphan,omitempty"` // a file that no asset of the library explains
	Added  int64  `json:"added,omitempty"`  // Unix milliseconds; pages are in order of (added, id)

	// Metadata is an object that the format does not look into.
	Metadata  json.RawMessage `json:"metadata"`
	Resources []Resource      `json:"resources"`

	Extra Extra `json:"-"`
}

// Zstd is the Encoding of a blob that was compressed, whose key ends in
// ".zst". An encoding that a reader does not know makes one resource
// unreadable, not its page.
const Zstd = "zstd"

// Resource is one file of an asset. It is stored (SHA256 is set, and its
// bytes are in the object Key or in Inline), or absent for a Reason.
type Resource struct {
	Role        string `json:"role"`
	Name        string `json:"name"`
	NameRaw     []byte `json:"name_raw,omitempty"` // of a name that is no UTF-8
	Path        string `json:"path,omitempty"`
	PathRaw     []byte `json:"path_raw,omitempty"`
	UTI         string `json:"uti,omitempty"`
	Size        int64  `json:"size"` // of the content when stored; else what is known, or -1
	Fingerprint string `json:"fingerprint,omitempty"`
	ModTime     int64  `json:"mtime,omitempty"` // Unix nanoseconds

	SHA256     *Hash  `json:"sha256,omitempty"` // of the content
	Key        string `json:"key,omitempty"`
	Encoding   string `json:"encoding,omitempty"`    // "" or Zstd
	StoredSize int64  `json:"stored_size,omitempty"` // of the object, where that is not Size
	Inline     []byte `json:"inline,omitempty"`      // the content itself

	Reason  string `json:"reason,omitempty"`  // absent and not stored
	Warning string `json:"warning,omitempty"` // of a kept one: why it is absent now
	Since   string `json:"since,omitempty"`   // RFC 3339: kept from earlier, absent since

	Extra Extra `json:"-"`
}

// Stored reports whether the repository has the content.
func (r Resource) Stored() bool { return r.SHA256 != nil }

// EncodeAsset returns the asset as one line of canonical JSON, without a
// newline: equal assets have equal lines, whatever the order and spelling of
// what is in Metadata. It refuses what DecodeAsset would refuse.
func EncodeAsset(a Asset) ([]byte, error) {
	if len(a.Metadata) == 0 {
		a.Metadata = json.RawMessage("{}")
	}
	if a.Resources == nil {
		a.Resources = []Resource{}
	}
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("encode asset %q: %w", a.ID, err)
	}
	line, err := encode(a)
	if err != nil {
		return nil, fmt.Errorf("encode asset %q: %w", a.ID, err)
	}
	if len(line) > MaxAsset {
		return nil, fmt.Errorf("encode asset %q: %d bytes are more than %d", a.ID, len(line), MaxAsset)
	}
	return line, nil
}

// DecodeAsset reads a line of a page, with or without its newline. It fails
// with *DamagedError. Keys of a decoded asset are well-formed blob keys.
func DecodeAsset(line []byte) (Asset, error) {
	if len(line) > MaxAsset+1 {
		return Asset{}, &DamagedError{"asset", fmt.Errorf("%d bytes are more than %d", len(line), MaxAsset)}
	}
	var a Asset
	if err := decode(line, &a); err != nil {
		return Asset{}, &DamagedError{"asset", err}
	}
	if err := a.check(); err != nil {
		return Asset{}, &DamagedError{fmt.Sprintf("asset %q", a.ID), err}
	}
	return a, nil
}

func (a *Asset) check() error {
	if a.ID == "" || !utf8.ValidString(a.ID) {
		return errors.New("no id that is text")
	}
	if !bytes.HasPrefix(skipSpace(a.Metadata), []byte("{")) {
		return errors.New("metadata is not an object")
	}
	for i := range a.Resources {
		if err := a.Resources[i].check(); err != nil {
			return fmt.Errorf("resource %d: %w", i, err)
		}
	}
	return nil
}

func (r *Resource) check() error {
	switch {
	case r.Key != "" && !isBlobKey(r.Key):
		return fmt.Errorf("key %q is not that of a blob", r.Key)
	case !r.Stored() && (r.Key != "" || r.Inline != nil):
		return errors.New("content without a hash")
	case r.Stored() && r.Size < 0:
		return errors.New("content of unknown size")
	case r.Stored() && r.Key == "" && int64(len(r.Inline)) != r.Size:
		return errors.New("hash without its content")
	case r.Stored() && r.Reason != "":
		return errors.New("stored, and absent for a reason")
	}
	return nil
}

func isBlobKey(key string) bool {
	_, ok := ParseBlobKey(key)
	return ok
}
