package manifest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Where pages end. The rule is part of the format only in so far as every
// writer that follows it finds the pages of the others again.
const (
	pageAssets  = 2000
	pageBytes   = 4 << 20
	pageEndBits = 9
)

// Page is a finished slice of a snapshot's assets.
type Page struct {
	Hash   Hash // of the uncompressed bytes
	Assets int
	Size   int64 // uncompressed

	body []byte
}

// Compress returns the object to put under PageKey(p.Hash). A page that the
// repository has already never needs it. Safe for many goroutines.
func (p *Page) Compress() ([]byte, error) {
	enc, err := encoder()
	if err != nil {
		return nil, err
	}
	return enc.EncodeAll(p.body, nil), nil
}

// A window of 1 MiB keeps the encoder small; a larger one gains nothing on
// pages, which are 300 KiB on average.
var encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
})

// Pager cuts a stream of assets into pages. Where it cuts depends on the ids
// alone, within bounds of length: a changed asset changes its own page, an
// appended one the last. Not safe for many goroutines.
type Pager struct {
	body   []byte
	assets int
	sum    hash.Hash
}

// NewPager returns a pager at the start of a page.
func NewPager() *Pager { return &Pager{sum: sha256.New()} }

// Add appends the line of the asset id, as EncodeAsset returned it, and
// returns the page if it ends here, else nil. A page ends after an asset
// for which the first 8 bytes of the SHA-256 of its id, big-endian, end in
// nine zero bits, after 2,000 assets, or when it has 4 MiB or more. line is
// not kept.
func (p *Pager) Add(id string, line []byte) (*Page, error) {
	if len(line) == 0 || len(line) > MaxAsset {
		return nil, fmt.Errorf("page: line of %d bytes for %q", len(line), id)
	}
	p.body = append(append(p.body, line...), '\n')
	p.assets++
	p.sum.Write(p.body[len(p.body)-len(line)-1:])
	if p.assets < pageAssets && len(p.body) < pageBytes && !endsPage(id) {
		return nil, nil
	}
	return p.Flush()
}

// Flush returns what is left as the last page, nil for nothing, and starts
// a new one.
func (p *Pager) Flush() (*Page, error) {
	if p.assets == 0 {
		return nil, nil
	}
	page := &Page{Assets: p.assets, Size: int64(len(p.body)), body: p.body}
	p.sum.Sum(page.Hash[:0])
	p.sum.Reset()
	p.assets, p.body = 0, make([]byte, 0, len(p.body))
	return page, nil
}

func endsPage(id string) bool {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:8])&(1<<pageEndBits-1) == 0
}
