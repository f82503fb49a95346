package storetest

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/minio/crc64nvme"

	"lightfast/objectstore"
)

// partSize is the least that S3 takes for a part that is not the last.
const partSize = 5 << 20

// film is two whole parts and a rest.
func film() []byte { return Bytes(9, 2*partSize+12_345) }

func begin(t *testing.T, s objectstore.Store, key string, size int) objectstore.Upload {
	t.Helper()
	u, err := s.Begin(t.Context(), key, int64(size), partSize, objectstore.PutOptions{ContentType: "video/quicktime", Filename: "Ferien 漢字.mov"})
	if err != nil {
		t.Fatalf("Begin(%s): %v", key, err)
	}
	if u.Key != key || u.ID == "" || u.Size != int64(size) || u.PartSize != partSize {
		t.Fatalf("Begin(%s) = %+v", key, u)
	}
	return u
}

// span of part n of body.
func span(body []byte, n int) []byte {
	return body[(n-1)*partSize : min(n*partSize, len(body))]
}

// send sends the parts ns of body.
func send(t *testing.T, s objectstore.Store, u objectstore.Upload, body []byte, ns ...int) []objectstore.Part {
	t.Helper()
	parts := make([]objectstore.Part, len(ns))
	var wg sync.WaitGroup
	for i, n := range ns {
		wg.Go(func() {
			b := span(body, n)
			p, err := s.PutPart(t.Context(), u, n, bytes.NewReader(body), int64(n-1)*partSize, int64(len(b)), crc64nvme.Checksum(b))
			if err != nil {
				t.Errorf("PutPart(%d): %v", n, err)
			} else if p.Number != n || p.Size != int64(len(b)) || p.CRC64 != crc64nvme.Checksum(b) {
				t.Errorf("PutPart(%d) = %+v, want %d bytes of %x", n, p, len(b), crc64nvme.Checksum(b))
			}
			parts[i] = p
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return parts
}

func wantParts(t *testing.T, s objectstore.Store, u objectstore.Upload, want []objectstore.Part) {
	t.Helper()
	got, err := s.Parts(t.Context(), u)
	if err != nil {
		t.Fatalf("Parts: %v", err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Parts (-want +got):\n%s", diff)
	}
}

func complete(t *testing.T, s objectstore.Store, u objectstore.Upload, parts []objectstore.Part, body []byte) {
	t.Helper()
	info, err := s.Complete(t.Context(), u, parts, crc64nvme.Checksum(body))
	if err != nil {
		t.Fatalf("Complete: %v", err)
	}
	wantInfo(t, info, u.Key, body)
	if info.CRC64 == nil {
		t.Error("Complete gives no CRC64")
	}
}

func uploadBecomesAnObject(t *testing.T, open func() objectstore.Store) {
	s, body := open(), film()
	u := begin(t, s, "blobs/f.mov", len(body))
	parts := send(t, s, u, body, 3, 1, 2)
	slices.SortFunc(parts, func(a, b objectstore.Part) int { return a.Number - b.Number })
	wantParts(t, s, u, parts)
	complete(t, s, u, parts, body)
	wantObject(t, s, "blobs/f.mov", body)
	wantKeys(t, s, "", "blobs/f.mov")
	_, err := s.Begin(t.Context(), "blobs/f.mov", 1, partSize, objectstore.PutOptions{})
	if err != nil { // it may look, and need not
		wantClass(t, "Begin of a key that exists", err, objectstore.Exists)
	}
}

func uploadIsInvisibleUntilComplete(t *testing.T, open func() objectstore.Store) {
	s, body := open(), film()
	u := begin(t, s, "blobs/f.mov", len(body))
	send(t, s, u, body, 1, 2, 3)
	wantKeys(t, s, "")
	wantKeys(t, s, "blobs/")
	_, err := s.Stat(t.Context(), "blobs/f.mov")
	wantClass(t, "Stat", err, objectstore.NotFound)
	_, err = s.Get(t.Context(), "blobs/f.mov", 0, -1)
	wantClass(t, "Get", err, objectstore.NotFound)
}

func uploadResumes(t *testing.T, open func() objectstore.Store) {
	body := film()
	first := open()
	u := begin(t, first, "blobs/f.mov", len(body))
	sent := send(t, first, u, body, 1, 3)

	s := open()
	wantParts(t, s, u, sent)
	parts := slices.Insert(sent, 1, send(t, s, u, body, 2)...)
	wantParts(t, open(), u, parts)
	complete(t, s, u, parts, body)
	wantObject(t, open(), "blobs/f.mov", body)
}

func uploadIsFoundByItsKey(t *testing.T, open func() objectstore.Store) {
	s, body := open(), film()
	if found, err := s.Find(t.Context(), "blobs/f.mov"); err != nil || len(found) != 0 {
		t.Errorf("Find in an empty store = %v, %v", found, err)
	}
	begin(t, s, "blobs/f", len(body))
	begin(t, s, "blobs/f.mov.other", len(body))
	old := begin(t, s, "blobs/f.mov", len(body))
	u := begin(t, s, "blobs/f.mov", len(body))

	found, err := open().Find(t.Context(), "blobs/f.mov")
	if err != nil {
		t.Fatal(err)
	}
	want := []objectstore.Upload{{Key: u.Key, ID: u.ID}, {Key: old.Key, ID: old.ID}}
	if len(found) == 2 && found[0].ID == old.ID { // the store's clock may count whole seconds
		slices.Reverse(want)
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Fatalf("Find (-want +got):\n%s", diff)
	}
	// What Find gives is enough to go on with, where the caller knows the sizes.
	s = open()
	found[0].Size, found[0].PartSize = int64(len(body)), partSize
	complete(t, s, found[0], send(t, s, found[0], body, 1, 2, 3), body)
	wantObject(t, s, "blobs/f.mov", body)
}

func partWithWrongSumIsRefused(t *testing.T, open func() objectstore.Store) {
	s, body := open(), film()
	u := begin(t, s, "blobs/f.mov", len(body))
	sent := send(t, s, u, body, 1)
	_, err := s.PutPart(t.Context(), u, 2, bytes.NewReader(body), partSize, partSize, crc64nvme.Checksum(span(body, 1)))
	wantClass(t, "PutPart with a wrong sum", err, objectstore.Checksum)
	wantParts(t, s, u, sent)
}

func partSentAgainReplaces(t *testing.T, open func() objectstore.Store) {
	s, body := open(), film()
	u := begin(t, s, "blobs/f.mov", len(body))
	send(t, s, u, Bytes(8, len(body)), 1)
	parts := send(t, s, u, body, 1, 2, 3)
	wantParts(t, s, u, parts)
	complete(t, s, u, parts, body)
	wantObject(t, s, "blobs/f.mov", body)
}

func completeRefusesWrongSum(t *testing.T, open func() objectstore.Store) {
	s, body := open(), film()
	u := begin(t, s, "blobs/f.mov", len(body))
	parts := send(t, s, u, body, 1, 2, 3)
	_, err := s.Complete(t.Context(), u, parts, crc64nvme.Checksum(body)+1)
	wantClass(t, "Complete with a wrong sum", err, objectstore.Checksum)
	wantKeys(t, s, "")
	complete(t, s, u, parts, body)
}

func completeNeverReplaces(t *testing.T, open func() objectstore.Store) {
	s, body := open(), film()
	u := begin(t, s, "blobs/f.mov", len(body))
	parts := send(t, s, u, body, 1, 2, 3)
	put(t, s, "blobs/f.mov", []byte("first"))
	_, err := s.Complete(t.Context(), u, parts, crc64nvme.Checksum(body))
	wantClass(t, "Complete of a key that exists", err, objectstore.Exists)
	wantObject(t, s, "blobs/f.mov", []byte("first"))
	if err := s.Abort(t.Context(), u); err != nil {
		t.Errorf("Abort after it: %v", err)
	}
	wantObject(t, s, "blobs/f.mov", []byte("first"))
}

func completeTwice(t *testing.T, open func() objectstore.Store) {
	s, body := open(), film()
	u := begin(t, s, "blobs/f.mov", len(body))
	parts := send(t, s, u, body, 1, 2, 3)
	complete(t, s, u, parts, body)
	for _, again := range []objectstore.Store{s, open()} {
		_, err := again.Complete(t.Context(), u, parts, crc64nvme.Checksum(body))
		if c := objectstore.ClassOf(err); err != nil && c != objectstore.NotFound && c != objectstore.Exists {
			t.Errorf("second Complete = %v, want not found, exists or success", err)
		}
	}
	wantObject(t, s, "blobs/f.mov", body)
}

func abortForgets(t *testing.T, open func() objectstore.Store) {
	s, body := open(), film()
	u := begin(t, s, "blobs/f.mov", len(body))
	parts := send(t, s, u, body, 1, 2, 3)
	for range 2 {
		if err := s.Abort(t.Context(), u); err != nil {
			t.Errorf("Abort: %v", err)
		}
	}
	wantForgotten(t, s, u, body, parts)
	wantKeys(t, s, "")
	if found, err := s.Find(t.Context(), u.Key); err != nil || len(found) != 0 {
		t.Errorf("Find after Abort = %v, %v", found, err)
	}
}

func unknownUpload(t *testing.T, open func() objectstore.Store) {
	s, body := open(), film()
	u := begin(t, s, "blobs/other.mov", len(body))
	parts := send(t, s, u, body, 1, 2, 3)
	if err := s.Abort(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{u.ID, "no-such-id"} {
		wantForgotten(t, s, objectstore.Upload{Key: "blobs/f.mov", ID: id, Size: u.Size, PartSize: u.PartSize}, body, parts)
	}
}

func wantForgotten(t *testing.T, s objectstore.Store, u objectstore.Upload, body []byte, parts []objectstore.Part) {
	t.Helper()
	_, err := s.Parts(t.Context(), u)
	wantClass(t, "Parts of a forgotten upload", err, objectstore.NotFound)
	_, err = s.PutPart(t.Context(), u, 1, bytes.NewReader(body), 0, partSize, crc64nvme.Checksum(span(body, 1)))
	wantClass(t, "PutPart of a forgotten upload", err, objectstore.NotFound)
	_, err = s.Complete(t.Context(), u, parts, crc64nvme.Checksum(body))
	wantClass(t, "Complete of a forgotten upload", err, objectstore.NotFound)
	if err := s.Abort(t.Context(), u); err != nil {
		t.Errorf("Abort of a forgotten upload: %v", err)
	}
}
