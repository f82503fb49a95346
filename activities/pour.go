package activities

import (
	"context"
	"crypto/sha256"
	"io"

	"lightfast/internal/atomicfile"
	"lightfast/internal/window"
	"lightfast/manifest"
)

const copyBuffer = 256 << 10

// fetchPlain writes an object that is the content of a resource to f, and
// fails unless it is what its hash says.
func (w *writer) fetchPlain(ctx context.Context, res manifest.Resource, f *atomicfile.File) error {
	lease, err := w.Budget.Acquire(ctx, min(res.Size+1, copyBuffer), true)
	if err != nil {
		return err
	}
	defer lease.Release()
	h := sha256.New()
	err = w.pour(ctx, res, 0, res.Size, lease.Buffer(), func(b []byte, _ int64) error {
		h.Write(b)
		_, err := f.Write(b)
		return err
	})
	if err == nil && manifest.Hash(h.Sum(nil)) != *res.SHA256 {
		return errDamagedContent
	}
	return err
}

// pour reads an object from off to end and hands it on in pieces. Where a
// connection breaks it asks for the rest: as long as bytes move, a break is no
// failure.
func (w *writer) pour(ctx context.Context, res manifest.Resource, off, end int64, buf []byte, to func(b []byte, off int64) error) error {
	for off < end {
		n, err := w.pourOnce(ctx, res, off, end, buf, to)
		off += n
		if err != nil && !(n > 0 && isAway(err)) {
			return err
		}
	}
	return nil
}

// pourOnce pours what one request brings.
func (w *writer) pourOnce(ctx context.Context, res manifest.Resource, off, end int64, buf []byte, to func(b []byte, off int64) error) (moved int64, err error) {
	ask := end - off
	if end == res.Size {
		ask = -1 // to see if there is more
	}
	kind := window.Small
	if res.Size >= rangedLeast {
		kind = window.Part
	}
	leave, err := w.window.Enter(ctx, kind)
	if err != nil {
		return 0, err
	}
	defer func() { leave(moved) }()
	body, err := w.store.Get(ctx, res.Key, off, ask)
	if err != nil {
		return 0, orMissing(err)
	}
	defer body.Close()
	for off+moved < end {
		n, err := io.ReadFull(body, buf[:min(int64(len(buf)), end-off-moved)])
		if n > 0 {
			w.answered()
			if err := to(buf[:n], off+moved); err != nil {
				return moved, targetProblem(err)
			}
			moved += int64(n)
		}
		switch {
		case err == io.EOF && moved == 0: // it is too short
			return 0, errDamagedContent
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return moved, nil
		case err != nil:
			return moved, err
		}
	}
	if ask < 0 {
		if n, _ := io.ReadFull(body, buf[:1]); n > 0 {
			return moved, errDamagedContent
		}
	}
	return moved, nil
}
