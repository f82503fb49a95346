package s3

import (
	"context"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"lightfast/objectstore"
)

// List implements objectstore.Store, a thousand keys a request.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		if err := objectstore.CheckPrefix(prefix); err != nil {
			yield(objectstore.Info{}, &objectstore.Error{Class: objectstore.Invalid, Op: "list", Key: prefix, Err: err})
			return
		}
		opts := minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true, FetchOwner: new(bool)}
		for o := range s.core.ListObjectsIter(ctx, s.bucket, opts) {
			if o.Err != nil {
				yield(objectstore.Info{}, fail(ctx, "list", prefix, o.Err))
				return
			}
			key := strings.TrimPrefix(o.Key, s.prefix)
			if strings.HasSuffix(key, "/") {
				continue // a folder that somebody made in a browser
			}
			if !yield(objectstore.Info{Key: key, Size: o.Size, Modified: o.LastModified}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil { // of which minio-go says nothing
			yield(objectstore.Info{}, err)
		}
	}
}
