package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/minio/crc64nvme"

	"lightfast/internal/budget"
	"lightfast/internal/exit"
	"lightfast/internal/window"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/photos"
)

// inlineMost is the largest resource that lies in its page: an object and a
// request each would cost more than the bytes.
const inlineMost = 16 << 10

// content is what was read of a resource.
type content struct {
	sum         [32]byte
	crc         uint64
	size        int64
	fingerprint string
}

func (s *storing) store1(ctx context.Context, res photos.Resource) (manifest.Resource, error) {
	r, err := s.source.Open(ctx, res)
	if err != nil {
		return manifest.Resource{}, err
	}
	defer r.Close()
	return s.storeFrom(ctx, res, r)
}

// pieceLeast is where content is not kept in memory any more while it is sent:
// a buffer that stays in the processor's cache is read into, hashed, and read
// into again. The store takes the bytes from the file, and refuses what has
// another hash.
const pieceLeast = 256 << 10

func (s *storing) storeFrom(ctx context.Context, res photos.Resource, r photos.Reader) (manifest.Resource, error) {
	how, err := s.how(res, r)
	if err != nil {
		return manifest.Resource{}, err
	}
	n := max(r.Size(), 1)
	buffer, beside := min(n, pieceLeast), int64(0)
	if how != asIs {
		buffer, beside = n+packedMost(n), encoderMemory
	}
	if n <= smallAsset && buffer+beside <= s.a.Budget.Max() {
		leave, err := s.window.Enter(ctx, window.Small)
		if err != nil {
			return manifest.Resource{}, err
		}
		sent := s.out.Sent
		defer func() { leave(s.out.Sent - sent) }()
		lease, err := s.a.Budget.AcquireBeside(ctx, buffer, beside, true)
		if err != nil {
			return manifest.Resource{}, err
		}
		defer lease.Release()
		return s.storeSmall(ctx, res, r, how, lease)
	}
	return s.storeLarge(ctx, res, r, how)
}

// how looks at a file for how it may be stored.
func (s *storing) how(res photos.Resource, r photos.Reader) (compression, error) {
	return mayCompress(res, r.Size(), s.doc.Compress, func() ([]byte, error) {
		b := make([]byte, min(headLength, r.Size()))
		_, err := readAt(r, b, 0)
		return b, err
	})
}

// storeSmall hashes a resource and sends it, or what is made of it in the rest
// of the lease, in one request.
func (s *storing) storeSmall(ctx context.Context, res photos.Resource, r photos.Reader, how compression, lease *budget.Lease) (manifest.Resource, error) {
	size := r.Size()
	buf, room := lease.Buffer(), []byte(nil)
	body := io.ReaderAt(r)
	if size <= int64(len(buf)) { // all of it stays there
		buf, room = buf[:size], buf[size:]
		body = bytes.NewReader(buf)
	}
	c, err := readSmall(ctx, res, r, buf)
	if err != nil {
		return manifest.Resource{}, err
	}
	if err := s.fit(res, c); err != nil {
		return manifest.Resource{}, err
	}
	m := stored(res, c)
	if inlined(res, c.size) {
		m.Inline, m.Key, m.StoredSize = append([]byte{}, buf...), "", 0
		s.out.Fresh++
		return m, nil
	}
	if known, err := s.known(ctx, &m); known || err != nil {
		return m, err
	}
	sent, sum := body, c.sum
	packed, err := packSmall(buf, room, how)
	if err != nil {
		return m, err
	}
	if packed != nil {
		size = int64(len(packed))
		m, sent, sum = compressed(m, size), bytes.NewReader(packed), sha256.Sum256(packed)
	}
	info, err := s.openRun.store.Put(ctx, m.Key, sent, size, sum, putOptions(m))
	if errors.Is(err, objectstore.Exists) {
		crc := crc64nvme.New()
		if _, err := io.Copy(crc, io.NewSectionReader(body, 0, c.size)); err != nil {
			return m, err
		}
		c.crc = crc.Sum64()
		lease.Release() // to read what is there may take another
		return m, s.accept(ctx, &m, info, c)
	}
	if err != nil {
		return m, err
	}
	s.sent(size)
	s.stored(m)
	return m, nil
}

// readSmall reads a resource once, by way of buf.
func readSmall(ctx context.Context, res photos.Resource, r photos.Reader, buf []byte) (content, error) {
	sum, apple := sha256.New(), photos.NewFingerprint()
	to := io.Writer(sum) // Apple's hash costs as much again, where nobody knows what it should be
	if res.Fingerprint != "" {
		to = io.MultiWriter(sum, apple)
	}
	if err := readAll(ctx, r, r.Size(), buf, to); err != nil {
		return content{}, fmt.Errorf("read %s: %w", res.Name, err)
	}
	if err := r.Unchanged(); err != nil {
		return content{}, err
	}
	c := content{sum: [32]byte(sum.Sum(nil)), size: r.Size()}
	if res.Fingerprint != "" {
		c.fingerprint = apple.String()
	}
	return c, nil
}

// packSmall returns the compressed form of content if it is to be stored so,
// else nil.
func packSmall(content, room []byte, how compression) ([]byte, error) {
	if how == asIs {
		return nil, nil
	}
	if how == ifSamples {
		if pays, err := samplesPay(bytes.NewReader(content), int64(len(content)), room); err != nil || !pays {
			return nil, err
		}
	}
	packed, fits, err := pack(content, room)
	if err != nil || !fits {
		return nil, err
	}
	return packed, nil
}

// stored describes a resource whose content is c, kept as a plain blob.
func stored(res photos.Resource, c content) manifest.Resource {
	m := describe(res)
	sum := manifest.Hash(c.sum)
	m.SHA256, m.Size, m.Key = &sum, c.size, manifest.BlobKey(sum, manifest.Extension(res.Name))
	if res.Fingerprint != "" && c.fingerprint != res.Fingerprint && m.Warning == "" {
		m.Warning = string(photos.FingerprintMismatch)
	}
	return m
}

// compressed is m kept in an object of storedSize bytes that holds its content
// compressed.
func compressed(m manifest.Resource, storedSize int64) manifest.Resource {
	m.Key, m.Encoding, m.StoredSize = m.Key+manifest.ZstdSuffix, manifest.Zstd, storedSize
	return m
}

// inlined: recipes and sidecars, which nobody views in a bucket.
func inlined(res photos.Resource, size int64) bool {
	return size <= inlineMost && (res.Role == photos.RoleAdjustment || res.Role == photos.RoleSidecar)
}

// known looks a content up in the catalog. Whatever its extension was when it
// was stored first, and whether it was compressed, that is the object.
func (s *storing) known(ctx context.Context, m *manifest.Resource) (bool, error) {
	b, ok, err := s.a.Catalog.Blob(ctx, s.repo, *m.SHA256)
	if err != nil || !ok {
		return false, err
	}
	m.Key, m.Encoding, m.StoredSize = b.Key, b.Encoding, 0
	if b.Encoding != "" {
		m.StoredSize = b.StoredSize
	}
	s.out.Known++
	return true, nil
}

func (s *storing) stored(m manifest.Resource) {
	b := blobOf(m)
	s.answered()
	s.out.Fresh++
	s.out.Bytes += b.StoredSize
	s.blobs = append(s.blobs, b)
}

func (s *storing) sent(n int64) {
	s.out.Sent += n
	s.a.Progress.sent(n)
}

// accept takes an object that was there before us as ours if its content is.
// A compressed one may have another length than ours: m gets it.
func (s *storing) accept(ctx context.Context, m *manifest.Resource, info objectstore.Info, c content) error {
	same, err := false, error(nil)
	if m.Encoding == "" {
		same, err = sameContent(ctx, s.openRun.store, info, c)
	} else {
		same, err = s.samePacked(ctx, *m, info)
	}
	if err != nil {
		return err
	}
	if !same {
		return &exit.Error{Code: exit.Destination, What: "object " + m.Key, Err: errors.New("its content is not what its name says"),
			Do: "move it away and run the same command again"}
	}
	if m.Encoding != "" {
		m.StoredSize = info.Size
	}
	s.out.Known++
	s.blobs = append(s.blobs, blobOf(*m))
	return nil
}

// samePacked reports whether a compressed object holds the content of m: by
// the size that the store keeps beside it, else by reading it. Its bytes may
// be another compressor's.
func (s *storing) samePacked(ctx context.Context, m manifest.Resource, info objectstore.Info) (bool, error) {
	if info.ContentSize != 0 {
		return info.ContentSize == m.Size, nil
	}
	err := fetch(ctx, s.openRun.store, s.a.Budget, m, io.Discard)
	if problem, ok := errors.AsType[*fileProblem](err); ok && problem.damaged {
		return false, nil
	}
	return err == nil, err
}

// sameContent compares an object with what we hold: by the checksum that the
// store keeps, else by reading it.
func sameContent(ctx context.Context, store objectstore.Store, info objectstore.Info, c content) (bool, error) {
	switch {
	case info.Size != c.size:
		return false, nil
	case info.SHA256 != nil:
		return *info.SHA256 == c.sum, nil
	case info.CRC64 != nil && c.crc != 0:
		return *info.CRC64 == c.crc, nil
	}
	// What differs may have been spoilt on its way here, and the answer "no"
	// ends a run: four readings have to agree on it.
	others := map[[32]byte]int{}
	for range 8 {
		sum, err := sumOf(ctx, store, info)
		if err != nil || sum == c.sum {
			return err == nil, err
		}
		if others[sum]++; others[sum] == 4 {
			return false, nil
		}
	}
	return false, &objectstore.Error{Class: objectstore.Unavailable, Op: "compare", Key: info.Key, Err: errors.New("each reading gives other bytes")}
}

// sumOf reads an object. One that ends early is no other content.
func sumOf(ctx context.Context, store objectstore.Store, info objectstore.Info) (sum [32]byte, err error) {
	body, err := store.Get(ctx, info.Key, 0, -1)
	if err != nil {
		return sum, err
	}
	defer body.Close()
	h := sha256.New()
	n, err := io.Copy(h, body)
	if err == nil && n != info.Size {
		err = &objectstore.Error{Class: objectstore.Unavailable, Op: "compare", Key: info.Key, Err: fmt.Errorf("%d of %d bytes came", n, info.Size)}
	}
	return [32]byte(h.Sum(nil)), err
}

// putOptions show a blob in a bucket browser as what it is.
func putOptions(m manifest.Resource) objectstore.PutOptions {
	if m.Encoding != "" {
		return objectstore.PutOptions{ContentType: "application/zstd", Filename: m.Name + manifest.ZstdSuffix, ContentSize: m.Size}
	}
	return objectstore.PutOptions{ContentType: contentType(m.Name), Filename: m.Name}
}
