package activities

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/minio/crc64nvme"
	"golang.org/x/sync/errgroup"

	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/photos"
)

const (
	partSize      = 16 << 20 // up to 100 GB; see partSizeOf
	partsInFlight = 3        // of one file
	hashBuffer    = 1 << 20
)

// partSizeOf keeps an object under S3's 10,000 parts with room to spare.
func partSizeOf(size int64) int64 {
	const most, mib = 9000, 1 << 20
	if size <= most*partSize {
		return partSize
	}
	return (size/most + mib) / mib * mib
}

// uploadDoc is what the catalog keeps of a large object on its way: what pass
// one found, and where pass two sends it.
type uploadDoc struct {
	Sum         manifest.Hash      `json:"sha256"`
	CRC         uint64             `json:"crc64"`
	PartCRC     []uint64           `json:"part_crc64"`
	Size        int64              `json:"size"`
	PartSize    int64              `json:"part_size"`
	Fingerprint string             `json:"fingerprint,omitempty"`
	Upload      objectstore.Upload `json:"upload"` // ID is "" before it began
}

// storeLarge reads a file twice: pass one hashes it, pass two sends the parts
// that the store does not have, each with the checksum of pass one, so that
// the store itself refuses bytes that changed in between. Both are recorded:
// a killed process goes on with the part that was on its way.
func (s *storing) storeLarge(ctx context.Context, res photos.Resource, r photos.Reader) (manifest.Resource, error) {
	source := fmt.Sprintf("%d/%s/%s/%s", s.lib, s.asset.ID, res.Role, res.Path+"@"+res.Token())
	u, err := s.passOne(ctx, source, res, r)
	if err != nil {
		return manifest.Resource{}, err
	}
	c := content{sum: u.Sum, crc: u.CRC, size: u.Size, fingerprint: u.Fingerprint}
	m := stored(res, c)
	known, err := s.known(ctx, &m)
	if err == nil && !known {
		err = s.passTwo(ctx, source, res, r, m, u, c)
	}
	if err == nil && (!known || u.Upload.ID != "") {
		err = s.tidy(ctx, m.Key)
	}
	if err != nil {
		return m, err
	}
	return m, s.a.Catalog.SetUpload(ctx, s.repo, source, nil)
}

func (s *storing) passOne(ctx context.Context, source string, res photos.Resource, r photos.Reader) (u uploadDoc, err error) {
	doc, err := s.a.Catalog.Upload(ctx, s.repo, source)
	if err != nil {
		return u, err
	}
	if doc != nil {
		err := json.Unmarshal(doc, &u)
		if err == nil && u.Size == r.Size() && u.PartSize > 0 {
			return u, nil
		}
		u = uploadDoc{} // a record that makes no sense costs reading, never the asset
	}
	lease, err := s.a.Budget.Acquire(ctx, hashBuffer, false)
	if err != nil {
		return u, err
	}
	defer lease.Release()
	u.Size, u.PartSize = r.Size(), partSizeOf(r.Size())
	whole, sum := crc64nvme.New(), sha256.New()
	var apple *photos.Fingerprint
	if res.Fingerprint != "" {
		apple = photos.NewFingerprint()
	}
	part := crc64nvme.New()
	for off := int64(0); off < u.Size; {
		n := min(hashBuffer, u.Size-off, u.PartSize-off%u.PartSize)
		b := lease.Buffer()[:n]
		if _, err := io.ReadFull(r, b); err != nil {
			return u, fmt.Errorf("read %s: %w", res.Name, err)
		}
		sum.Write(b)
		whole.Write(b)
		part.Write(b)
		if apple != nil {
			apple.Write(b)
		}
		off += n
		if off%u.PartSize == 0 || off == u.Size {
			u.PartCRC = append(u.PartCRC, part.Sum64())
			part.Reset()
		}
		if err := ctx.Err(); err != nil {
			return u, err
		}
	}
	if err := r.Unchanged(); err != nil {
		return u, err
	}
	u.Sum, u.CRC = manifest.Hash(sum.Sum(nil)), whole.Sum64()
	if apple != nil {
		u.Fingerprint = apple.String()
	}
	return u, s.saveUpload(ctx, source, u)
}

func (s *storing) saveUpload(ctx context.Context, source string, u uploadDoc) error {
	doc, err := json.Marshal(u)
	if err != nil {
		return err
	}
	return s.a.Catalog.SetUpload(ctx, s.repo, source, doc)
}

// passTwo brings the object under its key, by whatever way is left to go.
func (s *storing) passTwo(ctx context.Context, source string, res photos.Resource, r photos.Reader, m manifest.Resource, u uploadDoc, c content) error {
	store := s.openRun.store
	// Another host, or an attempt whose answer was lost, may have put it there.
	info, err := store.Stat(ctx, m.Key)
	if err == nil {
		return s.thereAlready(ctx, m, u, info, c)
	} else if !errors.Is(err, objectstore.NotFound) {
		return err
	}
	parts, err := s.resume(ctx, source, res, m, &u)
	if err != nil {
		return err
	}
	parts, err = s.sendParts(ctx, r, u, parts)
	if errors.Is(err, photos.ErrChanged) {
		return s.abort(ctx, source, u, err)
	} else if err != nil {
		return s.forgetIfGone(ctx, source, u, err)
	}
	if err := r.Unchanged(); err != nil {
		return s.abort(ctx, source, u, err)
	}
	_, err = store.Complete(ctx, u.Upload, parts, u.CRC)
	switch {
	case err == nil:
		s.stored(m)
		return nil
	case errors.Is(err, objectstore.Exists), errors.Is(err, objectstore.NotFound):
		// Another attempt or host was quicker, or it was complete already, or
		// the store has forgotten it, or the answer is another's.
		if info, statErr := store.Stat(ctx, m.Key); statErr == nil {
			return s.thereAlready(ctx, m, u, info, c)
		}
	case errors.Is(err, objectstore.Checksum):
		return s.abort(ctx, source, u, fmt.Errorf("%w (%w)", photos.ErrChanged, err))
	}
	return s.forgetIfGone(ctx, source, u, err)
}

// thereAlready ends an upload whose object exists.
func (s *storing) thereAlready(ctx context.Context, m manifest.Resource, u uploadDoc, info objectstore.Info, c content) error {
	if err := s.accept(ctx, m, info, c); err != nil {
		return err
	}
	if u.Upload.ID == "" {
		return nil
	}
	return s.openRun.store.Abort(ctx, u.Upload)
}

// tidy ends what is left of other uploads of an object that is there: of an
// attempt that ran at the same time, of a Begin whose answer was lost. Whoever
// is still at work on one finds the object.
func (s *storing) tidy(ctx context.Context, key string) error {
	ups, err := s.openRun.store.Find(ctx, key)
	for _, u := range ups {
		err = errors.Join(err, s.openRun.store.Abort(ctx, u))
	}
	if errors.Is(err, objectstore.Denied) {
		return nil // a key that may do no more than store
	}
	return err
}

// resume returns the parts that the store has of the recorded upload and that
// are ours by their checksums; without a usable one it begins another, and
// records it before the first part leaves.
func (s *storing) resume(ctx context.Context, source string, res photos.Resource, m manifest.Resource, u *uploadDoc) ([]objectstore.Part, error) {
	if u.Upload.ID != "" {
		parts, err := s.openRun.store.Parts(ctx, u.Upload)
		if err == nil {
			return slices.DeleteFunc(parts, func(p objectstore.Part) bool { return !u.has(p) }), nil
		}
		if !errors.Is(err, objectstore.NotFound) {
			return nil, err
		}
		s.a.Log.Warn("the store has forgotten an upload; it begins anew", "asset", s.name, "key", m.Key)
	} else if parts, err := s.found(ctx, m.Key, u); err != nil || parts != nil {
		if err != nil {
			return nil, err
		}
		return parts, s.saveUpload(ctx, source, *u)
	}
	up, err := s.openRun.store.Begin(ctx, m.Key, u.Size, u.PartSize, putOptions(res))
	if err != nil {
		return nil, err
	}
	u.Upload = up
	return nil, s.saveUpload(ctx, source, *u)
}

// found looks in the store for an upload of the same key of which no record
// is left, and takes over the one that has parts of ours.
func (s *storing) found(ctx context.Context, key string, u *uploadDoc) ([]objectstore.Part, error) {
	ups, err := s.openRun.store.Find(ctx, key)
	if err != nil {
		if errors.Is(err, objectstore.Denied) {
			return nil, nil // a key that may not list uploads can still make one
		}
		return nil, err
	}
	for _, up := range ups {
		up.Size, up.PartSize = u.Size, u.PartSize
		parts, err := s.openRun.store.Parts(ctx, up)
		if err != nil && !errors.Is(err, objectstore.NotFound) && !errors.Is(err, objectstore.Denied) {
			return nil, err
		}
		if parts = slices.DeleteFunc(parts, func(p objectstore.Part) bool { return !u.has(p) }); len(parts) > 0 {
			u.Upload = up
			return parts, nil
		}
	}
	return nil, nil
}

// has reports whether the store's part is the one that pass one saw.
func (u *uploadDoc) has(p objectstore.Part) bool {
	return p.Number >= 1 && p.Number <= len(u.PartCRC) && p.CRC64 == u.PartCRC[p.Number-1] && p.Size == u.lengthOf(p.Number)
}

func (u *uploadDoc) lengthOf(n int) int64 {
	return min(u.PartSize, u.Size-int64(n-1)*u.PartSize)
}

// sendParts sends what is missing, a few parts at a time, straight from the
// file: their checksums are known, so no buffer is needed.
func (s *storing) sendParts(ctx context.Context, r photos.Reader, u uploadDoc, have []objectstore.Part) ([]objectstore.Part, error) {
	all := make([]objectstore.Part, len(u.PartCRC))
	for _, p := range have {
		all[p.Number-1] = p
		s.a.Progress.part(s.name, p.Size)
	}
	run, err := s.a.Catalog.Run(ctx, s.epoch)
	if err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(partsInFlight)
	for i := range all {
		if all[i].Number != 0 {
			continue
		}
		g.Go(func() error {
			n := i + 1
			if err := s.a.whilePaused(gctx, run.Workflow); err != nil {
				return err
			}
			p, err := s.openRun.store.PutPart(gctx, u.Upload, n, r, int64(i)*u.PartSize, u.lengthOf(n), u.PartCRC[i])
			if errors.Is(err, objectstore.Checksum) {
				return u.whose(r, n, err)
			} else if err != nil {
				return err
			}
			all[i] = p
			s.answered()
			s.a.Progress.part(s.name, p.Size)
			s.a.Progress.sent(p.Size)
			// At once in the catalog: a process that dies must not make the
			// figures of the run forget what it sent.
			return s.a.Catalog.AddSent(ctx, s.epoch, s.item, p.Size)
		})
	}
	return all, g.Wait()
}

// whose says whether a part that the store refused was spoilt on its way,
// which another try may mend, or is not what pass one read.
func (u uploadDoc) whose(r photos.Reader, n int, refused error) error {
	h := crc64nvme.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, int64(n-1)*u.PartSize, u.lengthOf(n))); err != nil {
		return err
	}
	if h.Sum64() == u.PartCRC[n-1] {
		return refused
	}
	return fmt.Errorf("%w (%w)", photos.ErrChanged, refused)
}

// forgetIfGone lets the next attempt begin anew where the store does not know
// the upload any more.
func (s *storing) forgetIfGone(ctx context.Context, source string, u uploadDoc, err error) error {
	if !errors.Is(err, objectstore.NotFound) {
		return err
	}
	u.Upload = objectstore.Upload{}
	if saveErr := s.saveUpload(ctx, source, u); saveErr != nil {
		return saveErr
	}
	return &objectstore.Error{Class: objectstore.Unavailable, Op: "upload", Key: "parts", Err: err}
}

// abort gives an upload up whose source is not what pass one read.
func (s *storing) abort(ctx context.Context, source string, u uploadDoc, why error) error {
	err := s.openRun.store.Abort(ctx, u.Upload)
	return errors.Join(why, err, s.a.Catalog.SetUpload(ctx, s.repo, source, nil))
}

// sweep removes what dead processes of this host left at the store.
func (a *Activities) sweep(ctx context.Context, r *openRun) error {
	sweeper, ok := r.store.(objectstore.Sweeper)
	if !ok {
		return nil
	}
	docs, err := a.Catalog.Uploads(ctx, r.repo)
	if err != nil {
		return err
	}
	keep, err := decodeUploads(docs)
	if err != nil {
		return err
	}
	return sweeper.Sweep(ctx, keep)
}
