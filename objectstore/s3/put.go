package s3

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7"

	"lightfast/objectstore"
)

// Put implements objectstore.Store. Info has no time: the answer has none.
func (s *Store) Put(ctx context.Context, key string, r io.ReaderAt, size int64, sum objectstore.SHA256, o objectstore.PutOptions) (objectstore.Info, error) {
	if err := check("put", key); err != nil {
		return objectstore.Info{}, err
	}
	for try := 1; ; try++ {
		info, err := s.put(ctx, key, r, size, sum, o)
		refused := isClass(err, objectstore.Precondition)
		if !refused && !isCut(err) {
			return info, fail(ctx, "put", key, err)
		}
		// Of a cut connection nobody knows whether it cut off a success, or a
		// refusal: versitygw hangs up on a body that it does not want.
		there, e := s.Stat(ctx, key)
		switch {
		case e == nil:
			return there, &objectstore.Error{Class: objectstore.Exists, Op: "put", Key: key}
		case !refused:
			return info, fail(ctx, "put", key, err)
		case !errors.Is(e, objectstore.NotFound):
			return objectstore.Info{}, e
		case try == 2: // it is said to exist, and is not there
			return info, fail(ctx, "put", key, err)
		}
	}
}

func (s *Store) put(ctx context.Context, key string, r io.ReaderAt, size int64, sum objectstore.SHA256, o objectstore.PutOptions) (objectstore.Info, error) {
	var none objectstore.Info
	want := base64.StdEncoding.EncodeToString(sum[:])
	opts := minio.PutObjectOptions{
		ContentType:          contentType(o.ContentType),
		ContentDisposition:   disposition(o.Filename),
		UserMetadata:         userMetadata(o, map[string]string{"x-amz-checksum-sha256": want}),
		DisableContentSha256: true, // the header above is checked as well, and kept
	}
	opts.SetMatchETagExcept("*")
	var md5sum string
	if s.silent.Load() {
		h := md5.New()
		if err := digest(h, r, 0, size); err != nil {
			return none, err
		}
		md5sum = base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	var up minio.UploadInfo
	err := again(ctx, func() error {
		return sending(ctx, r, 0, size, func(ctx context.Context, body io.Reader) (err error) {
			up, err = s.core.PutObject(ctx, s.bucket, s.prefix+key, body, size, md5sum, "", opts)
			return err
		})
	})
	if err != nil {
		return none, err
	}
	if up.ChecksumSHA256 == "" {
		s.keepsSilent()
		h := sha256.New()
		if err := s.readBack(ctx, key, h); err != nil {
			return none, err
		}
		up.ChecksumSHA256 = base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	if up.ChecksumSHA256 != want {
		return none, fmt.Errorf("%w: the store has %s", objectstore.Checksum, up.ChecksumSHA256)
	}
	return objectstore.Info{Key: key, Size: size, ETag: up.ETag, SHA256: &sum, ContentSize: o.ContentSize}, nil
}

// contentSize is the name of the user metadata that has PutOptions.ContentSize.
const contentSize = "lf-size"

// userMetadata adds to headers what o wants to be kept beside the object.
func userMetadata(o objectstore.PutOptions, headers map[string]string) map[string]string {
	if o.ContentSize != 0 {
		headers[contentSize] = strconv.FormatInt(o.ContentSize, 10)
	}
	return headers
}

// sending calls send with a body that is closed for good when it returns.
func sending(ctx context.Context, r io.ReaderAt, off, size int64, send func(ctx context.Context, body io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b := &body{src: r, file: fileOf(r), off: off, size: size, abort: cancel}
	err := send(withBody(ctx, b), b)
	if e := b.close(); e != nil {
		return e
	}
	return err
}

// again repeats try for the refusals that mean nothing more than "now not" and
// that minio-go does not repeat: AWS answers 409 to racing conditional writes,
// a request that waited long in a queue of ours has an old signature, and what
// was spoilt on its way arrives whole the next time.
func again(ctx context.Context, try func() error) error {
	const most = 4
	for n := 1; ; n++ {
		err := try()
		conflict := isCode(err, "ConditionalRequestConflict")
		other := isCode(err, "RequestTimeTooSkewed") || isClass(err, objectstore.Checksum) || isCode(err, minio.InvalidPart)
		if n == most || !conflict && !(other && n == 1) {
			return err
		}
		select {
		case <-time.After(time.Duration(n) * (50 + rand.N[time.Duration](100)) * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// keepsSilent notes that the store does not answer with our checksums.
func (s *Store) keepsSilent() {
	if !s.silent.Swap(true) {
		s.log.Warn("the store does not confirm checksums; every object is read back", "bucket", s.bucket)
	}
}

// readBack feeds the object to h.
func (s *Store) readBack(ctx context.Context, key string, h hash.Hash) error {
	r, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(h, r)
	return err
}

// digest feeds r[off:off+size] to h.
func digest(h io.Writer, r io.ReaderAt, off, size int64) error {
	n, err := io.Copy(h, io.NewSectionReader(r, off, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return &sourceError{err}
	}
	return nil
}

func encodeCRC(crc uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc))
}

// decodeCRC is false for what is no whole-object CRC64.
func decodeCRC(s string) (uint64, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}
