package activities

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/minio/crc64nvme"

	"lightfast/objectstore"
	"lightfast/photos"
)

// packedPartSize is that of compressed objects: a part has to be in memory
// until the store has it, since a file has no such bytes to send them from.
func packedPartSize(size int64) int64 { return partSizeOf(size, 8<<20) }

// canPack reports whether the budget allows to compress and send an object in
// parts of this size. One of 32 MiB does, up to 72 GB of content.
func (s *storing) canPack(partSize int64) bool {
	return partSize+readBuffer+encoderMemory <= s.a.Budget.Max()
}

const readBuffer = 256 << 10

// errEnough ends a pass when the store has all that is missing.
var errEnough = errors.New("no part is missing any more")

// sendPacked compresses the file once more and sends the parts that are
// missing, one at a time. Those that the store has cost the compressing only.
func (s *storing) sendPacked(ctx context.Context, r photos.Reader, u uploadDoc, have []objectstore.Part) ([]objectstore.Part, error) {
	p, err := s.newParts(ctx, u, have)
	if err != nil {
		return nil, err
	}
	lease, err := s.a.Budget.AcquireBeside(ctx, u.PartSize+readBuffer, encoderMemory, false)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	part, buf := lease.Buffer()[:0:u.PartSize], lease.Buffer()[u.PartSize:]
	to := &packedParts{sendingParts: p, ctx: ctx, buf: part, next: 1}
	if to.missing() {
		src := io.NewSectionReader(r, 0, r.Size())
		err = compress(to, r.Size(), func(w io.Writer) error { return readAll(ctx, src, r.Size(), buf, w) })
		if err == nil {
			err = to.end()
		}
	}
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return p.all, nil
}

// packedParts cuts a compressed stream into parts and sends those that are
// missing.
type packedParts struct {
	*sendingParts
	ctx  context.Context // of a Write
	buf  []byte          // of the part that is being made, up to its capacity
	next int             // its number
}

func (p *packedParts) Write(b []byte) (int, error) {
	written := len(b)
	for len(b) > 0 {
		n := min(len(b), cap(p.buf)-len(p.buf))
		p.buf = append(p.buf, b[:n]...)
		b = b[n:]
		if len(p.buf) == cap(p.buf) {
			if err := p.finish(); err != nil {
				return 0, err
			}
		}
	}
	return written, nil
}

// end comes after the last Write.
func (p *packedParts) end() error {
	if len(p.buf) > 0 {
		if err := p.finish(); err != nil {
			return err
		}
	}
	if p.missing() {
		return changed(p.next)
	}
	return nil
}

// finish sends the part that is in the buffer if the store has it not. It
// is compared with pass one before: what differs must not leave.
func (p *packedParts) finish() error {
	if p.next > len(p.all) || int64(len(p.buf)) != p.u.lengthOf(p.next) || crc64nvme.Checksum(p.buf) != p.u.PartCRC[p.next-1] {
		return changed(p.next)
	}
	if !p.has(p.next) {
		if err := p.put(p.ctx, p.next, bytes.NewReader(p.buf), 0); err != nil {
			return err
		}
		if !p.missing() {
			return errEnough
		}
	}
	p.buf = p.buf[:0]
	p.next++
	return nil
}

// missing reports whether the store lacks a part.
func (p *packedParts) missing() bool {
	for i := range p.all {
		if !p.has(i + 1) {
			return true
		}
	}
	return false
}

func changed(n int) error {
	return fmt.Errorf("part %d is not what pass one made of it: %w", n, photos.ErrChanged)
}
