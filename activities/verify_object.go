package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"lightfast/catalog"
	"lightfast/manifest"
	"lightfast/objectstore"
)

// isOurs reports whether a key that is no blob's is one of the format.
func isOurs(key string) bool {
	_, page := manifest.ParsePageKey(key)
	_, _, head := manifest.ParseHeadKey(key)
	_, _, pending := manifest.ParsePendingKey(key)
	_, _, _, interim := manifest.ParseInterimKey(key)
	return key == manifest.ConfigKey || page || head || pending || interim ||
		strings.HasPrefix(key, manifest.ReceiptPrefix) || strings.HasPrefix(key, "prunes/")
}

// VerifyChecksums asks the store for the checksum of every blob. A
// repetition goes on where the last attempt ended.
func (a *Activities) VerifyChecksums(ctx context.Context, e catalog.Epoch) error {
	return a.verifyStep(ctx, e, func(ctx context.Context, r *openRun) error {
		return a.lookAtEach(ctx, r, a.Catalog.UncheckedObjects)
	})
}

// looking is how many objects are asked for at once: a Stat costs a round
// trip and no bytes.
const looking = 16

// lookAtEach looks at the objects that list returns, several at once, and
// notes what it finds a batch at a time.
func (a *Activities) lookAtEach(ctx context.Context, r *openRun, list func(ctx context.Context, e catalog.Epoch, after string, n int) ([]catalog.Object, error)) error {
	for after := ""; ; {
		objects, err := list(ctx, r.epoch, after, verifyBatch)
		if err != nil || len(objects) == 0 {
			return err
		}
		after = objects[len(objects)-1].Key
		g, each := errgroup.WithContext(ctx)
		g.SetLimit(looking)
		for i := range objects {
			g.Go(func() error { return lookAt(each, r.store, &objects[i]) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if err := a.Catalog.CheckedObjects(ctx, r.epoch, objects); err != nil {
			return err
		}
	}
}

// lookAt compares what the store says of a blob with what its key and its
// page say. The hash in the key is that of the stored bytes only where they
// are not compressed.
func lookAt(ctx context.Context, s objectstore.Store, o *catalog.Object) (err error) {
	d := manifest.Damage{Key: o.Key}
	info, err := s.Stat(ctx, o.Key)
	hash, _ := manifest.ParseBlobKey(o.Key)
	comparable := err == nil && info.SHA256 != nil && !strings.HasSuffix(o.Key, manifest.ZstdSuffix)
	switch {
	case errors.Is(err, objectstore.NotFound):
		d.Missing, d.Why = true, "missing in the repository"
	case err != nil:
		return err
	case info.Size != o.Size:
		d.ETag, d.Why = info.ETag, fmt.Sprintf("damaged in the repository: %d bytes, not %d", info.Size, o.Size)
	case comparable && *info.SHA256 != objectstore.SHA256(hash):
		d.ETag, d.Why = info.ETag, "damaged in the repository: the store's checksum is of other bytes"
	default:
		o.Proven = comparable
		return nil
	}
	o.Damage, err = json.Marshal(d)
	return err
}
