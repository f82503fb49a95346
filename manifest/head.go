package manifest

import (
	"errors"
	"fmt"
	"time"
)

// Head makes a snapshot exist: everything that it names is in the repository.
// With Complete false it is an interim or pending head, which promises less.
type Head struct {
	Format     int       `json:"format"`
	Complete   bool      `json:"complete"`
	ID         string    `json:"id"` // a SnapshotID
	Repository string    `json:"repository"`
	Library    Library   `json:"library"`
	Host       Host      `json:"host"`
	Run        string    `json:"run"`
	Time       time.Time `json:"time"`
	ScannedAt  time.Time `json:"scanned_at,omitzero"`
	Parent     string    `json:"parent,omitempty"` // id of the snapshot before, of this library

	Pages    []PageRef        `json:"pages"` // in order
	Totals   Totals           `json:"totals"`
	Reasons  map[string]int64 `json:"reasons,omitempty"`  // absent resources by reason
	Accepted []string         `json:"accepted,omitempty"` // reasons that the user takes for no hole
	Excluded map[string]int64 `json:"excluded,omitempty"` // assets left out on purpose, by label, each once; all labels asked for
	Warnings []string         `json:"warnings,omitempty"` // of the scan, one line each

	Extra Extra `json:"-"`
}

// Library is the source of a snapshot.
type Library struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Version string `json:"version"`

	Extra Extra `json:"-"`
}

// Host is where the source was read.
type Host struct {
	ID   string `json:"id"`
	Name string `json:"name"`

	Extra Extra `json:"-"`
}

// PageRef names a page and says what to expect of it.
type PageRef struct {
	SHA256     Hash  `json:"sha256"` // of the uncompressed bytes
	Assets     int   `json:"assets"`
	Size       int64 `json:"size"` // uncompressed
	StoredSize int64 `json:"stored_size"`

	Extra Extra `json:"-"`
}

// Totals counts what a snapshot has. Orphans are not among Assets.
type Totals struct {
	Assets     int64 `json:"assets"`
	Orphans    int64 `json:"orphans"`
	Resources  int64 `json:"resources"`
	Stored     int64 `json:"stored"`
	Kept       int64 `json:"kept"`       // stored, but absent now
	Bytes      int64 `json:"bytes"`      // content of all stored resources
	Incomplete int64 `json:"incomplete"` // assets with holes

	Extra Extra `json:"-"`
}

// EncodeHead returns canonical JSON and a newline, and sees to Format.
func EncodeHead(h Head) ([]byte, error) {
	h.Format, h.Time, h.ScannedAt = Format, h.Time.UTC(), h.ScannedAt.UTC()
	if h.Pages == nil {
		h.Pages = []PageRef{}
	}
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("encode head: %w", err)
	}
	return encodeObject("head", MaxHead, h)
}

// DecodeHead fails with *TooNewError or *DamagedError. Whether the head is
// the one that its key names is for the caller to compare.
func DecodeHead(data []byte) (Head, error) {
	var h Head
	if err := decodeObject("head", MaxHead, data, &h); err != nil {
		return Head{}, err
	}
	if err := h.check(); err != nil {
		return Head{}, &DamagedError{"head", err}
	}
	return h, nil
}

func (h *Head) check() error {
	if !isSegment(h.ID) {
		return fmt.Errorf("id %q cannot be part of a key", h.ID)
	}
	if h.Library.ID == "" {
		return errors.New("no library id")
	}
	for i, p := range h.Pages {
		if p.SHA256.IsZero() || p.Assets < 0 || p.Size < 0 || p.StoredSize < 0 {
			return fmt.Errorf("page %d is no page", i)
		}
	}
	return checkTimes(h.Time, h.ScannedAt)
}
