package activities

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/minio/crc64nvme"
	"golang.org/x/sync/errgroup"

	"lightfast/internal/window"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/photos"
)

const (
	usualPartSize = 16 << 20 // up to 100 GB; see partSizeOf
	partsInFlight = 4        // of one file at most, if the window has room for them
	hashBuffer    = 1 << 20
)

// partSize is the least size of parts of what is stored as it is.
func (a *Activities) partSize() int64 {
	if a.PartSize > 0 {
		return a.PartSize
	}
	return usualPartSize
}

// partSizeOf is at least least, and keeps an object under S3's 10,000 parts
// with room to spare.
func partSizeOf(size, least int64) int64 {
	const most, mib = 9000, 1 << 20
	if size <= most*least {
		return least
	}
	return (size/most + mib) / mib * mib
}

// uploadDoc is what the catalog keeps of a large object on its way: what pass
// one found, and where pass two sends it. CRCs and sizes are those of the
// object, which is the content or its compressed form.
type uploadDoc struct {
	Sum         manifest.Hash      `json:"sha256"` // of the content
	CRC         uint64             `json:"crc64"`
	PartCRC     []uint64           `json:"part_crc64"`
	Size        int64              `json:"size"`
	PartSize    int64              `json:"part_size"`
	Fingerprint string             `json:"fingerprint,omitempty"`
	Encoding    string             `json:"encoding,omitempty"`
	Content     int64              `json:"content,omitempty"` // bytes of content, where there is an Encoding
	Upload      objectstore.Upload `json:"upload"`            // ID is "" before it began
}

func (u *uploadDoc) contentSize() int64 {
	if u.Encoding != "" {
		return u.Content
	}
	return u.Size
}

// storeLarge reads a file twice: pass one hashes it, pass two sends the parts
// that the store does not have, each with the checksum of pass one, so that
// the store itself refuses bytes that changed in between. Both are recorded:
// a killed process goes on with the part that was on its way.
//
// What is compressed is compressed in both passes, and never kept: its bytes
// follow from the content.
func (s *storing) storeLarge(ctx context.Context, res photos.Resource, r photos.Reader, how compression) (manifest.Resource, error) {
	source := fmt.Sprintf("%d/%s/%s/%s", s.lib, s.asset.ID, res.Role, res.Path+"@"+res.Token())
	u, err := s.passOne(ctx, source, res, r, how)
	if err != nil {
		return manifest.Resource{}, err
	}
	return s.storeHashed(ctx, source, fileOrigin{s, r}, res, u)
}

// storeHashed stores what pass one has seen, and forgets the record of it.
func (s *storing) storeHashed(ctx context.Context, source string, from origin, res photos.Resource, u uploadDoc) (manifest.Resource, error) {
	c := content{sum: u.Sum, crc: u.CRC, size: u.contentSize(), fingerprint: u.Fingerprint}
	if err := s.fit(res, c); err != nil {
		return manifest.Resource{}, errors.Join(err, s.a.Catalog.SetUpload(ctx, s.repo, source, nil))
	}
	m := stored(res, c)
	known, err := s.known(ctx, &m)
	if err == nil && !known {
		if u.Encoding != "" {
			m = compressed(m, u.Size)
		}
		err = s.passTwo(ctx, source, from, &m, u, c)
	}
	if err == nil && (!known || u.Upload.ID != "") {
		err = s.tidy(ctx, m.Key)
	}
	if err != nil {
		return m, err
	}
	return m, s.a.Catalog.SetUpload(ctx, s.repo, source, nil)
}

func (s *storing) passOne(ctx context.Context, source string, res photos.Resource, r photos.Reader, how compression) (u uploadDoc, err error) {
	doc, err := s.a.Catalog.Upload(ctx, s.repo, source)
	if err != nil {
		return u, err
	}
	if doc != nil {
		err := json.Unmarshal(doc, &u)
		if err == nil && u.contentSize() == r.Size() && u.PartSize > 0 && (u.Encoding == "" || s.canPack(u.PartSize)) {
			return u, nil
		}
		u = uploadDoc{} // a record that makes no sense costs reading, never the asset
	}
	beside := int64(0)
	if how != asIs && s.canPack(packedPartSize(r.Size())) {
		beside = encoderMemory
	}
	lease, err := s.a.Budget.AcquireBeside(ctx, hashBuffer, beside, false)
	if err != nil {
		return u, err
	}
	defer lease.Release()
	packs := beside != 0
	if packs {
		if packs, err = samplesPay(r, r.Size(), lease.Buffer()); err != nil {
			return u, err
		}
	}
	if u, err = digest(ctx, res, r, s.a.partSize(), packs, lease.Buffer()); err != nil {
		return u, err
	}
	return u, s.saveUpload(ctx, source, u)
}

// digest is what pass one reads a file for.
func digest(ctx context.Context, res photos.Resource, r photos.Reader, partSize int64, packs bool, buf []byte) (u uploadDoc, err error) {
	sum, plain := sha256.New(), newPartSums(partSizeOf(r.Size(), partSize))
	to := []io.Writer{sum, plain}
	var apple *photos.Fingerprint
	if res.Fingerprint != "" {
		apple = photos.NewFingerprint()
		to = append(to, apple)
	}
	read := func(to ...io.Writer) error {
		return readAll(ctx, r, r.Size(), buf, io.MultiWriter(to...))
	}
	packed := newPartSums(packedPartSize(r.Size()))
	if packs {
		err = compress(packed, r.Size(), func(w io.Writer) error { return read(append(to, w)...) })
	} else {
		err = read(to...)
	}
	if err != nil {
		return u, fmt.Errorf("read %s: %w", res.Name, err)
	}
	if err := r.Unchanged(); err != nil {
		return u, err
	}
	plain.end()
	packed.end()
	if packs && packed.size <= packedMost(plain.size) {
		u = packed.doc()
		u.Encoding, u.Content = manifest.Zstd, plain.size
	} else {
		u = plain.doc()
	}
	u.Sum = manifest.Hash(sum.Sum(nil))
	if apple != nil {
		u.Fingerprint = apple.String()
	}
	return u, nil
}

// readAll copies size bytes from r to w, by way of buf.
func readAll(ctx context.Context, r io.Reader, size int64, buf []byte, w io.Writer) error {
	for size > 0 {
		b := buf[:min(int64(len(buf)), size)]
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		size -= int64(len(b))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// partSums takes an object and keeps the checksums of its parts and of the
// whole.
type partSums struct {
	partSize, size int64
	whole, part    hash.Hash64
	parts          []uint64
}

func newPartSums(partSize int64) *partSums {
	return &partSums{partSize: partSize, whole: crc64nvme.New(), part: crc64nvme.New()}
}

func (p *partSums) Write(b []byte) (int, error) {
	p.whole.Write(b)
	for rest := b; len(rest) > 0; {
		n := min(int64(len(rest)), p.partSize-p.size%p.partSize)
		p.part.Write(rest[:n])
		rest = rest[n:]
		if p.size += n; p.size%p.partSize == 0 {
			p.endPart()
		}
	}
	return len(b), nil
}

func (p *partSums) endPart() {
	p.parts = append(p.parts, p.part.Sum64())
	p.part.Reset()
}

// end comes after the last byte.
func (p *partSums) end() {
	if p.size%p.partSize != 0 {
		p.endPart()
	}
}

func (p *partSums) doc() uploadDoc {
	return uploadDoc{CRC: p.whole.Sum64(), PartCRC: p.parts, Size: p.size, PartSize: p.partSize}
}

func (s *storing) saveUpload(ctx context.Context, source string, u uploadDoc) error {
	doc, err := json.Marshal(u)
	if err != nil {
		return err
	}
	return s.a.Catalog.SetUpload(ctx, s.repo, source, doc)
}

// origin is where pass two has the parts from.
type origin interface {
	// send sends the parts that the store does not have, and returns all.
	send(ctx context.Context, u uploadDoc, have []objectstore.Part) ([]objectstore.Part, error)
	Unchanged() error
}

type fileOrigin struct {
	s *storing
	photos.Reader
}

func (f fileOrigin) send(ctx context.Context, u uploadDoc, have []objectstore.Part) ([]objectstore.Part, error) {
	if u.Encoding == "" {
		return f.s.sendParts(ctx, f.Reader, u, have)
	}
	return f.s.sendPacked(ctx, f.Reader, u, have)
}

// passTwo brings the object under its key, by whatever way is left to go.
func (s *storing) passTwo(ctx context.Context, source string, from origin, m *manifest.Resource, u uploadDoc, c content) error {
	store := s.openRun.store
	// Another host, or an attempt whose answer was lost, may have put it there.
	info, err := store.Stat(ctx, m.Key)
	if err == nil {
		return s.thereAlready(ctx, m, u, info, c)
	} else if !errors.Is(err, objectstore.NotFound) {
		return err
	}
	parts, err := s.resume(ctx, source, *m, &u)
	if err != nil {
		return err
	}
	parts, err = from.send(ctx, u, parts)
	if errors.Is(err, photos.ErrChanged) {
		return s.abort(ctx, source, u, err)
	} else if err != nil {
		return s.forgetIfGone(ctx, source, u, err)
	}
	if err := from.Unchanged(); err != nil {
		return s.abort(ctx, source, u, err)
	}
	_, err = store.Complete(ctx, u.Upload, parts, u.CRC)
	switch {
	case err == nil:
		s.stored(*m)
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
func (s *storing) thereAlready(ctx context.Context, m *manifest.Resource, u uploadDoc, info objectstore.Info, c content) error {
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
func (s *storing) resume(ctx context.Context, source string, m manifest.Resource, u *uploadDoc) ([]objectstore.Part, error) {
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
	up, err := s.openRun.store.Begin(ctx, m.Key, u.Size, u.PartSize, putOptions(m))
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
	p, err := s.newParts(ctx, u, have)
	if err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(partsInFlight)
	for i := range p.all {
		n := i + 1
		if p.has(n) {
			continue
		}
		g.Go(func() error {
			err := p.put(gctx, n, r, int64(i)*u.PartSize)
			if errors.Is(err, objectstore.Checksum) {
				return u.whose(r, n, err)
			}
			return err
		})
	}
	return p.all, g.Wait()
}

// sendingParts is an upload on its way.
type sendingParts struct {
	*storing
	u        uploadDoc
	workflow string
	all      []objectstore.Part // of number 0: missing
}

func (s *storing) newParts(ctx context.Context, u uploadDoc, have []objectstore.Part) (*sendingParts, error) {
	p := &sendingParts{storing: s, u: u, all: make([]objectstore.Part, len(u.PartCRC))}
	for _, h := range have {
		p.all[h.Number-1] = h
		s.a.Progress.part(s.name, u.progress(h.Size))
	}
	run, err := s.a.Catalog.Run(ctx, s.epoch)
	p.workflow = run.Workflow
	return p, err
}

func (p *sendingParts) has(n int) bool { return p.all[n-1].Number != 0 }

// put sends part n, which begins at off of r.
func (p *sendingParts) put(ctx context.Context, n int, r io.ReaderAt, off int64) error {
	if err := p.a.whilePaused(ctx, p.workflow); err != nil {
		return err
	}
	leave, err := p.window.Enter(ctx, window.Part)
	if err != nil {
		return err
	}
	part, err := p.openRun.store.PutPart(ctx, p.u.Upload, n, r, off, p.u.lengthOf(n), p.u.PartCRC[n-1])
	leave(part.Size)
	if err != nil {
		return err
	}
	p.all[n-1] = part
	p.answered()
	p.a.Progress.part(p.name, p.u.progress(part.Size))
	p.a.Progress.sent(part.Size)
	// At once in the catalog, and whatever becomes of ctx: neither a process
	// that dies nor another part that fails must make the figures of the run
	// forget what was sent.
	return p.a.Catalog.AddSent(context.WithoutCancel(ctx), p.epoch, p.item, part.Size)
}

// progress is how much of the content n bytes of the object stand for.
func (u *uploadDoc) progress(n int64) int64 {
	return int64(float64(n) / float64(max(u.Size, 1)) * float64(u.contentSize()))
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
