package manifest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory of the decoder, whatever a frame asks for.
const maxWindow = 8 << 20

// ReadPage yields the assets of the page object r in order and ends at the
// first error. All of the page is read, bounded by MaxPage, and compared
// with want before the first asset is yielded. It fails with *DamagedError,
// or with the error of r.
func ReadPage(r io.Reader, want Hash) iter.Seq2[Asset, error] {
	return func(yield func(Asset, error) bool) {
		body, err := readBody(r, want)
		if err != nil {
			yield(Asset{}, err)
			return
		}
		for line := range bytes.Lines(body) {
			a, err := DecodeAsset(line)
			if err != nil {
				err = &DamagedError{"page " + want.String(), err}
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

// readBody tells a store that fails from a page that is damaged: the first
// is worth another try.
func readBody(r io.Reader, want Hash) ([]byte, error) {
	damaged := func(err error) error { return &DamagedError{"page " + want.String(), err} }
	src := &failure{r: io.LimitReader(r, MaxPage)} // empty frames cost nothing but time
	dec, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(MaxPage))
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	defer dec.Close()

	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(dec, MaxPage+1))
	switch {
	case src.err != nil:
		return nil, fmt.Errorf("read page %s: %w", want, src.err)
	case err != nil:
		return nil, damaged(err)
	case n > MaxPage:
		return nil, damaged(fmt.Errorf("more than %d bytes", MaxPage))
	case sha256.Sum256(body.Bytes()) != want:
		return nil, damaged(errors.New("hash mismatch"))
	}
	return body.Bytes(), nil
}

// failure remembers an error of r other than its end.
type failure struct {
	r   io.Reader
	err error
}

func (f *failure) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}
