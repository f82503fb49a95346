package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"lightfast/objectstore"
)

// Get implements objectstore.Store. What fails at the call fails here, not at
// the first Read.
func (s *Store) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if err := check("get", key); err != nil {
		return nil, err
	}
	r, err := s.get(ctx, key, off, n)
	return r, fail(ctx, "get", key, err)
}

func (s *Store) get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	var opts minio.GetObjectOptions
	switch {
	case off < 0:
		return nil, fmt.Errorf("%w: offset %d", objectstore.Invalid, off)
	case n == 0:
		return s.emptyAt(ctx, key, off)
	case n > 0:
		opts.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	case off > 0:
		opts.Set("Range", fmt.Sprintf("bytes=%d-", off))
	default:
		// Servers have none for a range. Not opts.Checksum: minio-go would hash
		// every byte a second time.
		opts.Set("x-amz-checksum-mode", "ENABLED")
	}
	body, _, header, err := s.core.GetObject(ctx, s.bucket, s.prefix+key, opts)
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok && r.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return s.emptyAt(ctx, key, off)
	} else if err != nil {
		return nil, err
	}
	if (n > 0 || off > 0) && !strings.HasPrefix(header.Get("Content-Range"), fmt.Sprintf("bytes %d-", off)) {
		body.Close()
		return nil, fmt.Errorf("%w: the store does not read from an offset", objectstore.Invalid)
	}
	return &reader{ctx: ctx, key: key, body: body, sum: decodeSHA256(header.Get("x-amz-checksum-sha256"))}, nil
}

// emptyAt is the empty rest of an object, where S3 has no range for it.
func (s *Store) emptyAt(ctx context.Context, key string, off int64) (io.ReadCloser, error) {
	info, err := s.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	if off > info.Size {
		return nil, fmt.Errorf("%w: offset %d of %d bytes", objectstore.Invalid, off, info.Size)
	}
	return io.NopCloser(bytes.NewReader(nil)), nil
}

// reader gives the errors of a stream their class.
type reader struct {
	ctx  context.Context
	key  string
	body io.ReadCloser
	sum  *objectstore.SHA256
}

var _ objectstore.Summed = (*reader)(nil)

// SHA256 implements objectstore.Summed.
func (r *reader) SHA256() *objectstore.SHA256 { return r.sum }

func (r *reader) Read(b []byte) (int, error) {
	n, err := r.body.Read(b)
	if err != nil && err != io.EOF {
		err = fail(r.ctx, "get", r.key, err)
	}
	return n, err
}

func (r *reader) Close() error { return r.body.Close() }

// Stat implements objectstore.Store.
func (s *Store) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	if err := check("stat", key); err != nil {
		return objectstore.Info{}, err
	}
	o, err := s.core.StatObject(ctx, s.bucket, s.prefix+key, minio.StatObjectOptions{Checksum: true})
	if err != nil {
		return objectstore.Info{}, fail(ctx, "stat", key, err)
	}
	info := objectstore.Info{Key: key, Size: o.Size, ETag: o.ETag, Modified: o.LastModified}
	info.SHA256 = decodeSHA256(o.ChecksumSHA256)
	if crc, ok := decodeCRC(o.ChecksumCRC64NVME); ok {
		info.CRC64 = &crc
	}
	for name, value := range o.UserMetadata { // in whatever case the server sends it
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 && strings.EqualFold(name, contentSize) {
			info.ContentSize = n
		}
	}
	return info, nil
}

// decodeSHA256 is nil for what is none, also a composite value ("…-3"): that
// is the hash of hashes.
func decodeSHA256(s string) *objectstore.SHA256 {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != len(objectstore.SHA256{}) {
		return nil
	}
	return (*objectstore.SHA256)(b)
}
