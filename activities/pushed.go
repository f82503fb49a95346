package activities

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"lightfast/internal/spool"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/photos"
)

// storePushed stores what is too large for the spool: it is pushed once to be
// hashed, every byte forgotten, and once more into parts, those that the store
// has passed over. It is read no faster than the store takes it; what is in
// memory is one part.
func (s *storing) storePushed(ctx context.Context, want photos.Resource) (m manifest.Resource, err error) {
	lease, err := s.lease(ctx, spool.Need{Copy: sizeOf(want), Library: s.doc.Source.Path})
	if err != nil {
		return m, err
	}
	defer s.release(lease)
	source := fmt.Sprintf("%d/%s/%s/%s@icloud:%d:%s", s.lib, s.asset.ID, want.Role, want.Path, want.Size, want.Fingerprint)
	u, err := s.passOnePushed(ctx, source, want)
	if err != nil {
		return m, err
	}
	if err := lease.Filled(); err != nil {
		return m, err
	}
	return s.storeHashed(ctx, source, pushedOrigin{s, want}, want, u)
}

func (s *storing) passOnePushed(ctx context.Context, source string, want photos.Resource) (u uploadDoc, err error) {
	doc, err := s.a.Catalog.Upload(ctx, s.repo, source)
	if err != nil {
		return u, err
	}
	if doc != nil && json.Unmarshal(doc, &u) == nil && u.PartSize > 0 && (want.Size < 0 || u.Size == want.Size) {
		return u, nil
	}
	var (
		sum   hash.Hash
		apple *photos.Fingerprint
		parts *partSums
	)
	err = s.push(ctx, want, func() io.Writer {
		sum, apple, parts = sha256.New(), photos.NewFingerprint(), newPartSums(packedPartSize(sizeOf(want)))
		return io.MultiWriter(sum, apple, parts)
	})
	if err != nil {
		return u, err
	}
	parts.end()
	u = parts.doc()
	u.Sum, u.Fingerprint = manifest.Hash(sum.Sum(nil)), apple.String()
	if err := s.fit(want, content{size: u.Size, fingerprint: u.Fingerprint}); err != nil {
		return u, err
	}
	return u, s.saveUpload(ctx, source, u)
}

// push has the fetcher push the resource to what to returns, which is a new
// one for each request.
func (s *storing) push(ctx context.Context, res photos.Resource, to func() io.Writer) error {
	res.Reason = photos.ICloudOnly
	return s.ask(ctx, func(ctx context.Context, w *watchdog) error {
		return s.cloud.fetcher.Push(ctx, s.asset.ID, res, watched{to(), w})
	})
}

type watched struct {
	w   io.Writer
	dog *watchdog
}

func (w watched) Write(b []byte) (n int, err error) {
	w.dog.during(func() { n, err = w.w.Write(b) })
	return n, err
}

// pushedOrigin sends parts of what is pushed once more.
type pushedOrigin struct {
	s   *storing
	res photos.Resource
}

func (o pushedOrigin) Unchanged() error { return nil } // a part that is another does not leave

func (o pushedOrigin) send(ctx context.Context, u uploadDoc, have []objectstore.Part) ([]objectstore.Part, error) {
	p, err := o.s.newParts(ctx, u, have)
	if err != nil {
		return nil, err
	}
	lease, err := o.s.a.Budget.Acquire(ctx, u.PartSize, false)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	to := &packedParts{sendingParts: p}
	if to.missing() {
		err = o.s.push(ctx, o.res, func() io.Writer {
			to = &packedParts{sendingParts: p, ctx: ctx, buf: lease.Buffer()[:0:u.PartSize], next: 1}
			return to
		})
		if err == nil {
			err = to.end()
		}
	}
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return p.all, nil
}
