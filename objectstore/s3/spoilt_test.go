package s3_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net/http"
	"testing"

	"github.com/minio/crc64nvme"

	"lightfast/objectstore"
	"lightfast/objectstore/storetest"
)

// upload sends body to key as an object of one part.
func upload(t *testing.T, s objectstore.Store, key string, body []byte) (objectstore.Upload, []objectstore.Part, uint64) {
	t.Helper()
	crc := crc64nvme.Checksum(body)
	u, err := s.Begin(t.Context(), key, int64(len(body)), 5<<20, objectstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.PutPart(t.Context(), u, 1, bytes.NewReader(body), 0, int64(len(body)), crc)
	if err != nil {
		t.Fatal(err)
	}
	return u, []objectstore.Part{p}, crc
}

func spoiltRequestIsSentAgain(t *testing.T, srv storetest.Server) {
	put1 := once(storetest.FlipRequest, of(http.MethodPut, "a"))
	part := once(storetest.FlipRequest, of(http.MethodPut, "b"))
	complete := once(storetest.FlipRequest, isComplete)
	s, _ := through(t, srv, func(n int, r *http.Request) storetest.Fault { return put1(n, r) + part(n, r) + complete(n, r) })
	if _, err := put(t, s, "a", []byte("body")); err != nil {
		t.Errorf("Put that was spoilt once: %v", err)
	}
	u, parts, crc := upload(t, s, "b", []byte("body"))
	if info, err := s.Complete(t.Context(), u, parts, crc); err != nil || info.Size != 4 {
		t.Errorf("Complete that was spoilt once = %+v, %v", info, err)
	}
}

func spoiltAnswerIsNoOtherEndpoint(t *testing.T, srv storetest.Server) {
	isBegin := func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploads") }
	list := once(storetest.Truncate, func(r *http.Request) bool { return r.URL.Query().Has("list-type") })
	begin := always(storetest.Truncate, isBegin)
	s, _ := through(t, srv, func(n int, r *http.Request) storetest.Fault { return list(n, r) + begin(n, r) }) // and New succeeds
	if _, err := s.Begin(t.Context(), "a", 4, 5<<20, objectstore.PutOptions{}); !errors.Is(err, objectstore.Unavailable) {
		t.Errorf("Begin with an answer that breaks off = %v, want unavailable", err)
	}
}

func refusalForNothingIsNoEnd(t *testing.T, srv storetest.Server) {
	first, all := once(storetest.Answer412, of(http.MethodPut, "a")), always(storetest.Answer412, of(http.MethodPut, "b"))
	stat := always(storetest.Answer412, of(http.MethodHead, "c"))
	s, _ := through(t, srv, func(n int, r *http.Request) storetest.Fault { return first(n, r) + all(n, r) + stat(n, r) })
	if _, err := put(t, s, "a", []byte("body")); err != nil {
		t.Errorf("Put that was refused once for nothing: %v", err)
	}
	if _, err := put(t, s, "b", []byte("body")); !errors.Is(err, objectstore.Precondition) {
		t.Errorf("Put that is always refused for nothing = %v, want precondition", err)
	}
	if _, err := s.Stat(t.Context(), "c"); !errors.Is(err, objectstore.Unavailable) {
		t.Errorf("Stat that is refused for a condition which it has not = %v, want unavailable", err)
	}
}

func otherPartsThanTheStoreHas(t *testing.T, srv storetest.Server) {
	s, _ := through(t, srv, always(storetest.None, every))
	u, parts, crc := upload(t, s, "a", []byte("body"))
	wrong := []objectstore.Part{parts[0]}
	wrong[0].ETag = "0123456789abcdef0123456789abcdef"
	if _, err := s.Complete(t.Context(), u, wrong, crc); !errors.Is(err, objectstore.Precondition) {
		t.Errorf("Complete of parts that are not there = %v, want precondition", err)
	}
	if _, err := s.Complete(t.Context(), u, parts, crc); err != nil {
		t.Errorf("Complete of those that are: %v", err)
	}
}

func wholeStreamKnowsItsSum(t *testing.T, srv storetest.Server) {
	s, _ := through(t, srv, always(storetest.None, every))
	body := []byte("body")
	if _, err := put(t, s, "a", body); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		off, n int64
		want   bool
	}{{0, -1, true}, {0, 2, false}, {1, -1, false}} {
		r, err := s.Get(t.Context(), "a", tt.off, tt.n)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		sum := r.(objectstore.Summed).SHA256()
		if (sum != nil) != tt.want || sum != nil && *sum != sha256.Sum256(body) {
			t.Errorf("sum of the stream of %d from %d = %x", tt.n, tt.off, sum)
		}
	}
}
