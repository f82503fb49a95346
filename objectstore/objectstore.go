// Package objectstore says what Lightfast needs of a destination: create-only,
// verified, all-or-nothing objects under slash-separated keys.
//
// The package knows nothing of photos. Drivers live in the folders below;
// storetest.Run proves a driver, and also runs for the user.
package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// Store is a destination. Keys are relative, slash-separated, of segments
// that are neither empty nor "." nor "..". Methods may be called from many
// goroutines and return soon after ctx ends. Errors are *Error, or ctx's, or
// wrap what a body's ReadAt said and then have no class.
type Store interface {
	// Put creates key with the size bytes of body, all or nothing. It returns
	// after the store has compared sum, the SHA-256 that the caller computed,
	// with what it received (Checksum if they differ) and the object is
	// durable. A key that exists is never touched: the error is Exists and
	// Info is the Stat of what is there; whether it is the same is for the
	// caller to decide. body is read from offset 0, again for a retry, and
	// not after Put has returned. A body that is a syscall.Conn is a file: its
	// bytes may be sent from there instead of by ReadAt, and so may a part's.
	Put(ctx context.Context, key string, body io.ReaderAt, size int64, sum SHA256, o PutOptions) (Info, error)

	// Get reads n bytes from offset off, to the end if n < 0 or there are
	// fewer. The caller closes. Reading from off = size is an empty stream,
	// from beyond it Invalid.
	Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)

	// Stat returns NotFound for a missing key.
	Stat(ctx context.Context, key string) (Info, error)

	// List yields what lies under prefix ("" for all, else ending in "/") in
	// byte order of keys, page by page, and ends at the first error. Info has
	// Key, Size and Modified only. Unfinished puts are never seen.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// Multipart sends one large object in parts; see Uploads.
	Uploads
}

// Uploads sends one object in parts that survive the death of the sender.
// Parts are numbered from 1; all but the last have the same length. Part and
// whole are verified by CRC64-NVME; the whole-object value given to Complete
// is what the store itself computes over the final bytes.
type Uploads interface {
	// Begin starts an upload of an object of size bytes to key. It may answer
	// Exists early, where the store looks.
	Begin(ctx context.Context, key string, size, partSize int64, o PutOptions) (Upload, error)

	// PutPart sends part number n of body[off:off+size] and returns after the
	// store has verified crc. Sending a part again replaces it.
	PutPart(ctx context.Context, u Upload, n int, body io.ReaderAt, off, size int64, crc uint64) (Part, error)

	// Parts yields what the store holds of u in order of number: NotFound if
	// it has forgotten the upload (MinIO does after 24 h).
	Parts(ctx context.Context, u Upload) ([]Part, error)

	// Find returns the unfinished uploads of exactly this key, newest first.
	Find(ctx context.Context, key string) ([]Upload, error)

	// Complete makes the object of parts visible under its key, create-only
	// and only if its bytes have crc. It may be repeated: an upload that is
	// complete already answers NotFound or Exists, with the caller to look at
	// the object, or success where the store remembers or the driver has
	// looked. Exists leaves the upload for Abort.
	Complete(ctx context.Context, u Upload, parts []Part, crc uint64) (Info, error)

	// Abort forgets u and its parts. An upload that is gone is success.
	Abort(ctx context.Context, u Upload) error
}

// Summed is a stream of a whole object that knows what the store says of it.
type Summed interface {
	// SHA256 is nil where the store says nothing.
	SHA256() *SHA256
}

// SHA256 of some content.
type SHA256 [32]byte

// PutOptions go with an object as a browser of the bucket sees it.
type PutOptions struct {
	ContentType string // "" for application/octet-stream
	Filename    string // original name, for Content-Disposition; may hold anything

	// ContentSize is the length of what a transformed object (compressed, say)
	// was made of; 0 for one that is its own content.
	ContentSize int64
}

// Info describes an object.
type Info struct {
	Key      string
	Size     int64
	ETag     string
	Modified time.Time // by the store's clock

	// What the store says of the content; nil where it says nothing. A
	// multipart object has a CRC64 only.
	SHA256 *SHA256
	CRC64  *uint64

	// ContentSize is that of PutOptions, 0 where there was none or the store
	// keeps none.
	ContentSize int64
}

// Upload is an unfinished multipart upload. PartSize and Size are 0 from Find.
type Upload struct {
	Key      string `json:"key"`
	ID       string `json:"id"`
	Size     int64  `json:"size"`
	PartSize int64  `json:"part_size"`
}

// Part is one piece that the store has verified.
type Part struct {
	Number int    `json:"n"`
	Size   int64  `json:"size"`
	CRC64  uint64 `json:"crc64"`
	ETag   string `json:"etag"`
}

// Class of a failure, for callers to act on. Ask with errors.Is(err, class).
type Class string

const (
	NotFound     Class = "not found"
	Exists       Class = "exists"
	Denied       Class = "denied"            // credentials or rights
	Checksum     Class = "checksum mismatch" // what arrived is not what was announced
	Precondition Class = "precondition"      // another state than was asked for
	Throttled    Class = "throttled"         // the store asks for less
	Unavailable  Class = "unavailable"       // network, 5xx, a part that stood still
	Full         Class = "full"              // no room or no quota
	Invalid      Class = "invalid"           // a request that can never succeed
)

func (c Class) Error() string { return string(c) }

// Retry reports whether the same call may succeed later without anybody
// doing anything. Checksum is one: bytes may have changed on the way.
func (c Class) Retry() bool { return c == Throttled || c == Unavailable || c == Checksum }

// Error is every failure of a store.
type Error struct {
	Class Class
	Op    string // "put", "get", …
	Key   string
	Err   error // what the server or system said; may be nil
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s %s: %s", e.Op, e.Key, e.Class)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error        { return e.Err }
func (e *Error) Is(target error) bool { return target == e.Class }

// ClassOf returns the class of err, or "" for an error that has none.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return ""
}

// Sweeper is a store on which a dead process leaves temporary files behind.
type Sweeper interface {
	// Sweep removes the unfinished puts of this host whose process is gone,
	// and its unfinished uploads except those in keep. It never touches what
	// a living process writes, nor anything that it did not create.
	Sweep(ctx context.Context, keep []Upload) error
}
