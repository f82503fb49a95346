package activities_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"testing"

	"lightfast/activities"
	"lightfast/objectstore"
	"lightfast/photos"
)

// A Begin whose answer was lost leaves an upload that nobody knows.
func TestAnUploadThatNobodyKnowsIsAborted(t *testing.T) {
	lib := newMemory()
	film := noise(1, 2*parts)
	lib.put("a.mov", photos.RoleOriginal, film)
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	key := blobKey(film, "mov")
	if _, err := h.store.Store.Begin(t.Context(), key, int64(len(film)), parts, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if out, err := h.storeAsset(h.only(p)); err != nil || out != activities.OutcomeDone {
		t.Fatalf("%s, %v", out, err)
	}
	if ups, err := h.store.Find(t.Context(), key); err != nil || len(ups) > 0 {
		t.Errorf("uploads left: %v, %v", ups, err)
	}
	h.finish(p)
	h.holds("a.mov", film)
}

// A store that was away is no reason to give up on an asset sooner.
func TestTriesOfAStoreThatWasAwayDoNotCount(t *testing.T) {
	lib := newMemory()
	content := noise(1, 1000)
	lib.put("a.jpg", photos.RoleOriginal, content)
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	in := h.only(p)
	in.Lane = activities.Large
	for _, class := range []objectstore.Class{objectstore.Unavailable, objectstore.Throttled, objectstore.Unavailable, objectstore.Unavailable,
		objectstore.Checksum, objectstore.Checksum, objectstore.Unavailable, objectstore.Checksum} {
		h.store.before = refuse(class)
		if out, err := h.storeAsset(in); err == nil {
			t.Fatalf("%s: it was given up: %s", class, out)
		}
	}
	h.store.before = refuse(objectstore.Checksum) // the fourth
	if out, err := h.storeAsset(in); err != nil || out != activities.OutcomeDone {
		t.Fatalf("%s, %v, want it listed as a problem", out, err)
	}
	h.store.before = nil
	if res := h.finish(p); res.Assets.Failed != 1 {
		t.Errorf("result %+v", res.Assets)
	}
}

// spoilt is a store behind a line that changes a byte of the first readings.
type spoilt struct {
	objectstore.Store
	left int
	sum  *objectstore.SHA256 // of what is there, where the store says it
}

func (s *spoilt) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r, err := s.Store.Get(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	err = errors.Join(err, r.Close())
	if s.left--; s.left >= 0 {
		b[len(b)/2] ^= 1
	}
	return &summed{body: b, sum: s.sum}, err
}

// summed implements objectstore.Summed.
type summed struct {
	body []byte
	sum  *objectstore.SHA256
}

func (s *summed) Close() error                { return nil }
func (s *summed) SHA256() *objectstore.SHA256 { return s.sum }
func (s *summed) Read(p []byte) (int, error) {
	n := copy(p, s.body)
	if s.body = s.body[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestWhatIsSpoiltOnItsWayIsReadAgain(t *testing.T) {
	lib := newMemory()
	content := noise(1, 1000)
	lib.put("a.jpg", photos.RoleOriginal, content)
	folder := t.TempDir()
	h, other := newHost(t, lib, folder), newHost(t, lib, folder)
	p, q := h.prepare(), other.prepare()
	h.workOff(p)

	// The config, of which the store keeps a checksum.
	config, err := activities.ReadConfig(t.Context(), h.store.Store)
	if err != nil {
		t.Fatal(err)
	}
	body, err := h.store.Store.Get(t.Context(), "lightfast.json", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(body)
	body.Close()
	if err != nil {
		t.Fatal(err)
	}
	sum := objectstore.SHA256(sha256.Sum256(raw))
	got, err := activities.ReadConfig(t.Context(), &spoilt{Store: h.store.Store, left: 2, sum: &sum})
	if err != nil || got.Repository != config.Repository {
		t.Errorf("ReadConfig of a spoilt line = %+v, %v, want %+v", got, err, config)
	}

	// A blob that is there already, of which the store says nothing.
	other.store.Store = &spoilt{Store: other.store.Store, left: 3}
	if out, err := other.storeAsset(other.only(q)); err != nil || out != activities.OutcomeDone {
		t.Errorf("%s, %v", out, err)
	}
}
