package s3_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/crc64nvme"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"lightfast/objectstore"
	"lightfast/objectstore/s3"
	"lightfast/objectstore/storetest"
)

// through opens a store behind a proxy that does to each request what choose
// says, in the bucket of the whole test.
func through(t *testing.T, srv storetest.Server, choose func(n int, r *http.Request) storetest.Fault) (*s3.Store, s3.Options) {
	t.Helper()
	o := options(srv)
	o.Endpoint, o.Prefix = storetest.NewFaultProxy(t, srv, 0, choose).URL, strings.ToLower(t.Name())
	return open(t, o), o
}

// once does f to the first request that is one.
func once(f storetest.Fault, is func(r *http.Request) bool) func(int, *http.Request) storetest.Fault {
	return times(1, f, is)
}

// times does f to the first n requests that are one.
func times(n int64, f storetest.Fault, is func(r *http.Request) bool) func(int, *http.Request) storetest.Fault {
	var left atomic.Int64
	left.Store(n)
	return func(_ int, r *http.Request) storetest.Fault {
		if is(r) && left.Add(-1) >= 0 {
			return f
		}
		return storetest.None
	}
}

// always does f to every request that is one.
func always(f storetest.Fault, is func(r *http.Request) bool) func(int, *http.Request) storetest.Fault {
	return times(1<<62, f, is)
}

func every(*http.Request) bool { return true }

// of tells requests by method and the end of their key.
func of(method, key string) func(r *http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method && strings.HasSuffix(r.URL.Path, "/"+key) }
}

func isComplete(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

func put(t *testing.T, s objectstore.Store, key string, body []byte) (objectstore.Info, error) {
	return s.Put(t.Context(), key, bytes.NewReader(body), int64(len(body)), sha256.Sum256(body), objectstore.PutOptions{ContentType: "image/heic", Filename: "Über  \"uns\".heic"})
}

func TestFaults(t *testing.T) {
	srv := storetest.MinIO(t)
	for _, c := range []struct {
		name string
		run  func(*testing.T, storetest.Server)
	}{
		{"SilentStoreKeepsAllPromises", silentStoreKeepsAllPromises},
		{"SilentStoreIsReadBack", silentStoreIsReadBack},
		{"DamageOnTheWayIsRefused", damageOnTheWayIsRefused},
		{"LostAnswerOfPutIsExists", lostAnswerOfPutIsExists},
		{"LostAnswerOfComplete", lostAnswerOfComplete},
		{"CutStreamIsUnavailable", cutStreamIsUnavailable},
		{"ConflictIsRepeated", conflictIsRepeated},
		{"SpoiltRequestIsSentAgain", spoiltRequestIsSentAgain},
		{"SpoiltAnswerIsNoOtherEndpoint", spoiltAnswerIsNoOtherEndpoint},
		{"RefusalForNothingIsNoEnd", refusalForNothingIsNoEnd},
		{"OtherPartsThanTheStoreHas", otherPartsThanTheStoreHas},
		{"WholeStreamKnowsItsSum", wholeStreamKnowsItsSum},
		{"ObjectsTellBrowsersWhatTheyAre", objectsTellBrowsersWhatTheyAre},
		{"AnswersConfirmChecksums", answersConfirmChecksums},
		{"WrongKeysAreDenied", wrongKeysAreDenied},
		{"OwnCertificateAuthority", ownCertificateAuthority},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.run(t, srv) })
	}
}

func silentStoreKeepsAllPromises(t *testing.T, srv storetest.Server) {
	_, o := through(t, srv, always(storetest.DropChecksums, every))
	var n atomic.Int64
	storetest.Run(t, func(t *testing.T) func() objectstore.Store {
		o := o
		o.Prefix += fmt.Sprintf("/%d", n.Add(1))
		return func() objectstore.Store { return open(t, o) }
	})
}

func silentStoreIsReadBack(t *testing.T, srv storetest.Server) {
	var gets, md5s atomic.Int64
	var rot atomic.Bool
	var log bytes.Buffer
	_, o := through(t, srv, func(_ int, r *http.Request) storetest.Fault {
		if r.Header.Get("Content-Md5") != "" {
			md5s.Add(1)
		}
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".heic") {
			gets.Add(1)
			if rot.Load() {
				return storetest.FlipAnswer
			}
		}
		return storetest.DropChecksums
	})
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	s := open(t, o)
	for i, key := range []string{"a.heic", "b.heic"} {
		if _, err := put(t, s, key, []byte("body")); err != nil {
			t.Fatal(err)
		}
		if gets.Load() != int64(i+1) || md5s.Load() != int64(i) {
			t.Errorf("after %s: %d read back, %d with MD5", key, gets.Load(), md5s.Load())
		}
	}
	if n := strings.Count(log.String(), "read back"); n != 1 {
		t.Errorf("the log says it %d times:\n%s", n, log.String())
	}
	rot.Store(true)
	if _, err := put(t, s, "c.heic", []byte("body")); !errors.Is(err, objectstore.Checksum) {
		t.Errorf("Put of what reads back otherwise = %v, want checksum", err)
	}
}

func damageOnTheWayIsRefused(t *testing.T, srv storetest.Server) {
	s, _ := through(t, srv, always(storetest.FlipRequest, func(r *http.Request) bool { return r.Method == http.MethodPut && r.ContentLength > 0 }))
	if _, err := put(t, s, "a", []byte("body")); !errors.Is(err, objectstore.Checksum) {
		t.Errorf("Put with a byte flipped = %v, want checksum", err)
	}
	if _, err := s.Stat(t.Context(), "a"); !errors.Is(err, objectstore.NotFound) {
		t.Errorf("Stat after it = %v, want not found", err)
	}
	u, err := s.Begin(t.Context(), "b", 4, 5<<20, objectstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.PutPart(t.Context(), u, 1, strings.NewReader("body"), 0, 4, crc64nvme.Checksum([]byte("body")))
	if !errors.Is(err, objectstore.Checksum) {
		t.Errorf("PutPart with a byte flipped = %v, want checksum", err)
	}
}

func lostAnswerOfPutIsExists(t *testing.T, srv storetest.Server) {
	s, _ := through(t, srv, once(storetest.CutAfter, of(http.MethodPut, "a")))
	info, err := put(t, s, "a", []byte("body"))
	if !errors.Is(err, objectstore.Exists) || info.SHA256 == nil || *info.SHA256 != sha256.Sum256([]byte("body")) {
		t.Errorf("Put = %+v, %v, want exists with our checksum", info, err)
	}
}

func lostAnswerOfComplete(t *testing.T, srv storetest.Server) {
	first := once(storetest.CutAfter, isComplete)
	s, _ := through(t, srv, func(n int, r *http.Request) storetest.Fault {
		if isComplete(r) && strings.HasSuffix(r.URL.Path, "/always") {
			return storetest.CutAfter
		}
		return first(n, r)
	})
	body := []byte("body")
	crc := crc64nvme.Checksum(body)
	for _, key := range []string{"once", "always"} {
		u, err := s.Begin(t.Context(), key, 4, 5<<20, objectstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.PutPart(t.Context(), u, 1, bytes.NewReader(body), 0, 4, crc)
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Complete(t.Context(), u, []objectstore.Part{p}, crc)
		if errors.Is(err, objectstore.Exists) { // the repetition met the first
			info, err = s.Stat(t.Context(), key)
		}
		if err != nil || info.Size != 4 || info.CRC64 == nil || *info.CRC64 != crc {
			t.Errorf("Complete, answer lost %s = %+v, %v", key, info, err)
		}
	}
}

func cutStreamIsUnavailable(t *testing.T, srv storetest.Server) {
	s, _ := through(t, srv, always(storetest.CutAnswer, of(http.MethodGet, "a")))
	if _, err := put(t, s, "a", storetest.Bytes(1, 100_000)); err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(t.Context(), "a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, objectstore.Unavailable) {
		t.Errorf("reading a stream that is cut = %d bytes, %v, want unavailable", n, err)
	}
}

func conflictIsRepeated(t *testing.T, srv storetest.Server) {
	some, all := times(2, storetest.Answer409, of(http.MethodPut, "a")), always(storetest.Answer409, of(http.MethodPut, "b"))
	s, _ := through(t, srv, func(n int, r *http.Request) storetest.Fault { return some(n, r) + all(n, r) })
	if _, err := put(t, s, "a", []byte("body")); err != nil {
		t.Errorf("Put after two conflicts: %v", err)
	}
	if _, err := put(t, s, "b", []byte("body")); !errors.Is(err, objectstore.Unavailable) {
		t.Errorf("Put with conflicts for ever = %v, want unavailable", err)
	}
}

func objectsTellBrowsersWhatTheyAre(t *testing.T, srv storetest.Server) {
	s, o := through(t, srv, always(storetest.None, every))
	if _, err := put(t, s, "a", []byte("body")); err != nil {
		t.Fatal(err)
	}
	c, err := minio.New(strings.TrimPrefix(srv.Endpoint, "http://"), &minio.Options{Creds: o.Credentials, Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	info, err := c.StatObject(t.Context(), o.Bucket, o.Prefix+"/a", minio.StatObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := `inline; filename="_ber _uns_.heic"; filename*=UTF-8''%C3%9Cber%20%20%22uns%22.heic`; info.Metadata.Get("Content-Disposition") != want {
		t.Errorf("Content-Disposition = %s, want %s", info.Metadata.Get("Content-Disposition"), want)
	}
	if info.ContentType != "image/heic" {
		t.Errorf("Content-Type = %s", info.ContentType)
	}
}

// The costly way is for other stores: MinIO and versitygw confirm.
func answersConfirmChecksums(t *testing.T, srv storetest.Server) {
	for name, srv := range map[string]storetest.Server{"minio": srv, "versitygw": storetest.Versitygw(t)} {
		var log bytes.Buffer
		o := options(srv)
		o.Prefix, o.Log = "confirm", slog.New(slog.NewTextHandler(&log, nil))
		s := open(t, o)
		if _, err := put(t, s, "a", []byte("body")); err != nil {
			t.Fatal(err)
		}
		body := []byte("body")
		u, err := s.Begin(t.Context(), "b", 4, 5<<20, objectstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.PutPart(t.Context(), u, 1, bytes.NewReader(body), 0, 4, crc64nvme.Checksum(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Complete(t.Context(), u, []objectstore.Part{p}, crc64nvme.Checksum(body)); err != nil {
			t.Fatal(err)
		}
		if log.Len() > 0 {
			t.Errorf("%s: %s", name, log.String())
		}
		sum, crc := objectstore.SHA256(sha256.Sum256(body)), crc64nvme.Checksum(body)
		if info, err := s.Stat(t.Context(), "a"); err != nil || info.SHA256 == nil || *info.SHA256 != sum {
			t.Errorf("%s: Stat of a put = %+v, %v, want its SHA-256", name, info, err)
		}
		if info, err := s.Stat(t.Context(), "b"); err != nil || info.CRC64 == nil || *info.CRC64 != crc {
			t.Errorf("%s: Stat of an upload = %+v, %v, want its CRC64", name, info, err)
		}
	}
}

func wrongKeysAreDenied(t *testing.T, srv storetest.Server) {
	for _, keys := range [][2]string{{srv.AccessKey, "wrong-secret"}, {"nobody", "wrong-secret"}, {"", ""}} {
		o := options(srv)
		o.Credentials = credentials.NewStaticV4(keys[0], keys[1], "")
		_, err := s3.New(t.Context(), o)
		if !errors.Is(err, objectstore.Denied) {
			t.Errorf("New with keys %q = %v, want denied", keys[0], err)
		}
		if strings.Contains(fmt.Sprintf("%+v %+v", err, o), "wrong-secret") {
			t.Errorf("New tells the secret: %v", err)
		}
	}
}

func ownCertificateAuthority(t *testing.T, srv storetest.Server) {
	front := storetest.NewTLSProxy(t, srv)
	o := options(srv)
	o.Endpoint, o.Prefix = front.URL, "tls"
	if _, err := s3.New(t.Context(), o); !errors.Is(err, objectstore.Invalid) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("New with an unknown authority = %v, want invalid, and why", err)
	}
	o.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(o.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, open(t, o), "a", []byte("body")); err != nil {
		t.Errorf("Put with the authority known: %v", err)
	}
}

func TestWhatIsNoS3IsNamed(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := map[string]int{"fine": 200, "missing": 404, "denied": 403, "moved": 302}[strings.Trim(r.URL.Path, "/")]
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		io.WriteString(w, "<!DOCTYPE html><html><body>Welcome</body></html>")
	}))
	t.Cleanup(web.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, tt := range []struct {
		endpoint, bucket string
		want             objectstore.Class
		says             string
	}{
		{web.URL, "fine", objectstore.Invalid, "no S3"},
		{web.URL, "missing", objectstore.Invalid, "no S3"},
		{web.URL, "denied", objectstore.Invalid, "no S3"},
		{web.URL, "moved", objectstore.Invalid, "no S3"},
		{strings.Replace(web.URL, "http:", "https:", 1), "fine", objectstore.Invalid, "speaks http"},
		{"http://" + l.Addr().String(), "fine", objectstore.Unavailable, "refused"},
		{"127.0.0.1:9000", "fine", objectstore.Invalid, "URL"},
		{"http://user:hush@127.0.0.1:9000", "fine", objectstore.Invalid, "URL"},
	} {
		o := s3.Options{Endpoint: tt.endpoint, Bucket: tt.bucket, Credentials: credentials.NewStaticV4("key", "secret", "")}
		_, err := s3.New(t.Context(), o)
		if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.says) || strings.Contains(fmt.Sprint(err), "hush") {
			t.Errorf("New(%s, %s) = %v, want %s and %q", tt.endpoint, tt.bucket, err, tt.want, tt.says)
		}
	}
}
