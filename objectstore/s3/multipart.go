package s3

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/minio/crc64nvme"
	"github.com/minio/minio-go/v7"

	"lightfast/objectstore"
)

// Limits of S3.
const (
	maxParts = 10_000
	maxSize  = 5 << 40
)

// Begin implements objectstore.Uploads. It does not look whether key exists:
// AWS documents no condition for this request.
func (s *Store) Begin(ctx context.Context, key string, size, partSize int64, o objectstore.PutOptions) (objectstore.Upload, error) {
	if err := check("begin", key); err != nil {
		return objectstore.Upload{}, err
	}
	if size < 0 || size > maxSize || partSize <= 0 || (size+partSize-1)/partSize > maxParts {
		err := fmt.Errorf("%d bytes in parts of %d; S3 takes %d parts and 5 TiB", size, partSize, maxParts)
		return objectstore.Upload{}, &objectstore.Error{Class: objectstore.Invalid, Op: "begin", Key: key, Err: err}
	}
	id, err := s.core.NewMultipartUpload(ctx, s.bucket, s.prefix+key, minio.PutObjectOptions{
		ContentType:        contentType(o.ContentType),
		ContentDisposition: disposition(o.Filename),
		UserMetadata: userMetadata(o, map[string]string{
			"x-amz-checksum-algorithm": "CRC64NVME",
			"x-amz-checksum-type":      "FULL_OBJECT",
		}),
	})
	if err != nil {
		return objectstore.Upload{}, fail(ctx, "begin", key, err)
	}
	return objectstore.Upload{Key: key, ID: id, Size: size, PartSize: partSize}, nil
}

// PutPart implements objectstore.Uploads.
func (s *Store) PutPart(ctx context.Context, u objectstore.Upload, n int, r io.ReaderAt, off, size int64, crc uint64) (objectstore.Part, error) {
	if err := check("put part", u.Key); err != nil {
		return objectstore.Part{}, err
	}
	p, err := s.putPart(ctx, u, n, r, off, size, crc)
	if isCut(err) {
		// versitygw hangs up on a part of an upload that it does not know.
		if _, e := s.core.ListObjectParts(ctx, s.bucket, s.prefix+u.Key, u.ID, 0, 1); isClass(e, objectstore.NotFound) {
			err = e
		}
	}
	return p, fail(ctx, "put part", u.Key, err)
}

func (s *Store) putPart(ctx context.Context, u objectstore.Upload, n int, r io.ReaderAt, off, size int64, crc uint64) (objectstore.Part, error) {
	var none objectstore.Part
	var md5sum string
	if s.silent.Load() {
		m, c := md5.New(), crc64nvme.New()
		if err := digest(io.MultiWriter(m, c), r, off, size); err != nil {
			return none, err
		}
		if c.Sum64() != crc {
			return none, fmt.Errorf("%w: part %d has %016x", objectstore.Checksum, n, c.Sum64())
		}
		md5sum = base64.StdEncoding.EncodeToString(m.Sum(nil))
	}
	want := encodeCRC(crc)
	var p minio.ObjectPart
	err := again(ctx, func() error {
		return sending(ctx, r, off, size, func(ctx context.Context, body io.Reader) (err error) {
			p, err = s.core.PutObjectPart(ctx, s.bucket, s.prefix+u.Key, u.ID, n, body, size, minio.PutObjectPartOptions{
				Md5Base64:            md5sum,
				CustomHeader:         http.Header{"X-Amz-Checksum-Crc64nvme": {want}},
				DisableContentSha256: true,
			})
			return err
		})
	})
	switch {
	case err != nil:
		return none, err
	case p.ChecksumCRC64NVME == "" && md5sum == "":
		s.keepsSilent()
		return s.putPart(ctx, u, n, r, off, size, crc) // now with MD5
	case p.ChecksumCRC64NVME != "" && p.ChecksumCRC64NVME != want:
		return none, fmt.Errorf("%w: the store has %s for part %d", objectstore.Checksum, p.ChecksumCRC64NVME, n)
	}
	return objectstore.Part{Number: n, Size: size, CRC64: crc, ETag: p.ETag}, nil
}

// Parts implements objectstore.Uploads. CRC64 is 0 where the store says none.
func (s *Store) Parts(ctx context.Context, u objectstore.Upload) ([]objectstore.Part, error) {
	if err := check("parts", u.Key); err != nil {
		return nil, err
	}
	var parts []objectstore.Part
	for after := 0; ; {
		page, err := s.core.ListObjectParts(ctx, s.bucket, s.prefix+u.Key, u.ID, after, 0)
		if err != nil {
			return nil, fail(ctx, "parts", u.Key, err)
		}
		for _, p := range page.ObjectParts {
			crc, _ := decodeCRC(p.ChecksumCRC64NVME)
			parts = append(parts, objectstore.Part{Number: p.PartNumber, Size: p.Size, CRC64: crc, ETag: strings.Trim(p.ETag, `"`)})
		}
		if !page.IsTruncated || page.NextPartNumberMarker <= after {
			return parts, nil
		}
		after = page.NextPartNumberMarker
	}
}

// Find implements objectstore.Uploads.
func (s *Store) Find(ctx context.Context, key string) ([]objectstore.Upload, error) {
	if err := check("find", key); err != nil {
		return nil, err
	}
	began := map[string]time.Time{}
	var uploads []objectstore.Upload
	for keyMarker, idMarker := "", ""; ; {
		// MinIO takes a whole key only; the others a prefix, and give its
		// longer neighbours as well.
		page, err := s.core.ListMultipartUploads(ctx, s.bucket, s.prefix+key, keyMarker, idMarker, "", 0)
		if err != nil {
			return nil, fail(ctx, "find", key, err)
		}
		for _, u := range page.Uploads {
			if u.Key == s.prefix+key {
				began[u.UploadID] = u.Initiated
				uploads = append(uploads, objectstore.Upload{Key: key, ID: u.UploadID})
			}
		}
		if !page.IsTruncated || page.NextKeyMarker == keyMarker && page.NextUploadIDMarker == idMarker {
			break
		}
		keyMarker, idMarker = page.NextKeyMarker, page.NextUploadIDMarker
	}
	slices.SortStableFunc(uploads, func(a, b objectstore.Upload) int { return began[b.ID].Compare(began[a.ID]) })
	return uploads, nil
}

// Complete implements objectstore.Uploads.
func (s *Store) Complete(ctx context.Context, u objectstore.Upload, parts []objectstore.Part, crc uint64) (objectstore.Info, error) {
	if err := check("complete", u.Key); err != nil {
		return objectstore.Info{}, err
	}
	info, err := s.complete(ctx, u, parts, crc)
	if err == nil {
		return info, nil
	}
	switch {
	case ctx.Err() != nil, isCode(err, minio.InvalidPart):
	case isClass(err, objectstore.Precondition):
		// Ours, if an answer was lost and minio-go has repeated the request, or
		// somebody else's, and then the upload is still there: the caller looks.
		err = objectstore.Exists
	case isCut(err), isClass(err, objectstore.NotFound):
		// It may have happened and only the answer is lost.
		if there, e := s.Stat(ctx, u.Key); e == nil {
			if there.CRC64 != nil && *there.CRC64 == crc {
				return there, nil
			}
			err = objectstore.Exists
		}
	}
	return objectstore.Info{}, fail(ctx, "complete", u.Key, err)
}

func (s *Store) complete(ctx context.Context, u objectstore.Upload, parts []objectstore.Part, crc uint64) (objectstore.Info, error) {
	var none objectstore.Info
	if len(parts) == 0 {
		return none, fmt.Errorf("%w: no parts", objectstore.Invalid)
	}
	want := encodeCRC(crc)
	var size int64
	list := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		size += p.Size
		list[i] = minio.CompletePart{PartNumber: p.Number, ETag: p.ETag, ChecksumCRC64NVME: encodeCRC(p.CRC64)}
	}
	opts := minio.PutObjectOptions{UserMetadata: map[string]string{
		"x-amz-checksum-crc64nvme": want,
		"x-amz-checksum-type":      "FULL_OBJECT",
	}}
	opts.SetMatchETagExcept("*") // Complete alone decides: others may have been quicker since Begin
	var up minio.UploadInfo
	err := again(ctx, func() (err error) {
		up, err = s.core.CompleteMultipartUpload(ctx, s.bucket, s.prefix+u.Key, u.ID, list, opts)
		return err
	})
	if err != nil {
		return none, err
	}
	if up.ChecksumCRC64NVME == "" {
		s.keepsSilent()
		h := crc64nvme.New()
		if err := s.readBack(ctx, u.Key, h); err != nil {
			return none, err
		}
		up.ChecksumCRC64NVME = encodeCRC(h.Sum64())
	}
	if up.ChecksumCRC64NVME != want {
		return none, fmt.Errorf("%w: the store has %s", objectstore.Checksum, up.ChecksumCRC64NVME)
	}
	return objectstore.Info{Key: u.Key, Size: size, ETag: up.ETag, CRC64: &crc}, nil
}

// Abort implements objectstore.Uploads.
func (s *Store) Abort(ctx context.Context, u objectstore.Upload) error {
	if err := check("abort", u.Key); err != nil {
		return err
	}
	err := s.core.AbortMultipartUpload(ctx, s.bucket, s.prefix+u.Key, u.ID)
	if isClass(err, objectstore.NotFound) {
		return nil
	}
	return fail(ctx, "abort", u.Key, err)
}
