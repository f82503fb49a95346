package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/minio/crc64nvme"

	"lightfast/internal/ratelimit"
)

// Sink is an S3 server in this process that compares every body with its
// checksum and forgets it: for objects that no disk has room for, as fast as
// they come or at a rate of its own. Objects up to sinkKeeps bytes that are
// no blobs it has for those who ask. Signatures it does not look at. Of a
// multipart object it proves the parts, and takes the sender's word for the
// whole.
type Sink struct {
	Server // its Process is nil

	limit *ratelimit.Limiter
	http  http.Server

	mu      sync.Mutex // guards what follows
	objects map[string]*sunk
	uploads map[string]*sinkUpload
	taken   int64
}

// sinkKeeps is more than any page has.
const sinkKeeps = 8 << 20

type sunk struct {
	size     int64
	data     []byte // nil: forgotten
	header   http.Header
	modified time.Time
}

type sinkUpload struct {
	key   string
	began time.Time
	parts map[int]sinkPart
}

type sinkPart struct {
	size int64
	crc  string
}

// NewSink starts a Sink on a free port, without limit. It has every bucket.
func NewSink() (*Sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Sink{Server: Server{Endpoint: "http://" + l.Addr().String(), AccessKey: "lightfast", SecretKey: "lightfast-secret"},
		limit: ratelimit.New(nil), objects: map[string]*sunk{}, uploads: map[string]*sinkUpload{}}
	s.http.Handler = s
	go s.http.Serve(l) // ended by Close
	return s, nil
}

// Close ends the server and its connections.
func (s *Sink) Close() error { return s.http.Close() }

// SetRate is how many bytes of bodies it takes a second from now on, in all; 0
// for any number.
func (s *Sink) SetRate(bytes int64) error {
	t, err := ratelimit.ParseTable(fmt.Sprintf("%db", bytes))
	if err == nil {
		s.limit.Set(t)
	}
	return err
}

// Taken returns how many bytes of bodies came.
func (s *Sink) Taken() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// Last returns the object of the greatest key that begins with prefix, a
// bucket and what follows; nil if there is none.
func (s *Sink) Last(prefix string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := ""
	for key := range s.objects {
		if strings.HasPrefix(key, prefix) {
			last = max(last, key)
		}
	}
	if last == "" {
		return nil
	}
	return s.objects[last].data
}

// sinkError is an answer in the words of S3.
type sinkError struct {
	status int
	code   string
}

func (e *sinkError) Error() string { return e.code }

var (
	errNoKey    = &sinkError{http.StatusNotFound, "NoSuchKey"}
	errNoUpload = &sinkError{http.StatusNotFound, "NoSuchUpload"}
	errExists   = &sinkError{http.StatusPreconditionFailed, "PreconditionFailed"}
	errDigest   = &sinkError{http.StatusBadRequest, "BadDigest"}
	errRequest  = &sinkError{http.StatusBadRequest, "InvalidRequest"}
)

func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := s.serve(w, r)
	if e, ok := errors.AsType[*sinkError](err); ok {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(e.status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", e.code)
		}
	} else if err != nil {
		panic(http.ErrAbortHandler) // the sender is gone
	}
}

func (s *Sink) serve(w http.ResponseWriter, r *http.Request) error {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	id := q.Get("uploadId")
	switch {
	case bucket == "":
		return errRequest
	case key == "" && q.Has("uploads"):
		return s.listUploads(w, bucket, q.Get("prefix"))
	case key == "" && r.Method == http.MethodGet:
		return s.list(w, bucket, q.Get("prefix"), q.Get("max-keys"))
	case key == "":
		return nil // a bucket is made
	}
	key = bucket + "/" + key
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		return s.begin(w, key)
	case r.Method == http.MethodPost && id != "":
		return s.complete(w, r, key, id)
	case r.Method == http.MethodPut && id != "":
		return s.putPart(w, r, id, q.Get("partNumber"))
	case r.Method == http.MethodPut:
		return s.put(w, r, key)
	case r.Method == http.MethodGet && id != "":
		return s.listParts(w, id, q.Get("part-number-marker"))
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return s.get(w, r, key)
	case r.Method == http.MethodDelete && id != "":
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return errRequest
}

// take reads a body at the rate of the sink, into h and into keep.
func (s *Sink) take(r *http.Request, h hash.Hash, keep io.Writer) error {
	if r.ContentLength < 0 || r.Header.Get("Content-Encoding") == "aws-chunked" {
		return errRequest
	}
	buf := make([]byte, min(r.ContentLength, 256<<10)+1)
	for {
		n, err := r.Body.Read(s.limit.Piece(buf))
		h.Write(buf[:n])
		keep.Write(buf[:n])
		s.mu.Lock()
		s.taken += int64(n)
		s.mu.Unlock()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.limit.Wait(r.Context(), n); err != nil {
			return err
		}
	}
}

func (s *Sink) put(w http.ResponseWriter, r *http.Request, key string) error {
	s.mu.Lock()
	_, there := s.objects[key]
	s.mu.Unlock()
	if there && r.Header.Get("If-None-Match") == "*" {
		return errExists
	}
	o, h := &sunk{size: r.ContentLength, header: http.Header{}, modified: time.Now()}, sha256.New()
	keep := &kept{to: o}
	if r.ContentLength > sinkKeeps || strings.Contains(key, "/blobs/") {
		keep.to = nil
	}
	if err := s.take(r, h, keep); err != nil {
		return err
	}
	sum := base64.StdEncoding.EncodeToString(h.Sum(nil))
	if r.Header.Get("X-Amz-Checksum-Sha256") != sum {
		return errDigest
	}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			o.header[name] = values
		}
	}
	o.header.Set("X-Amz-Checksum-Sha256", sum)
	o.header.Set("ETag", etag(sum))
	if err := s.insert(key, o, r); err != nil {
		return err
	}
	w.Header().Set("ETag", etag(sum))
	w.Header().Set("X-Amz-Checksum-Sha256", sum)
	return nil
}

// insert decides between those who came at the same time.
func (s *Sink) insert(key string, o *sunk, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.objects[key]; there && r.Header.Get("If-None-Match") == "*" {
		return errExists
	}
	s.objects[key] = o
	return nil
}

// kept is where a body goes that is wanted again.
type kept struct{ to *sunk }

func (k *kept) Write(b []byte) (int, error) {
	if k.to != nil {
		k.to.data = append(k.to.data, b...)
	}
	return len(b), nil
}

func etag(sum string) string { return `"` + hex.EncodeToString([]byte(sum))[:32] + `"` }

func (s *Sink) get(w http.ResponseWriter, r *http.Request, key string) error {
	s.mu.Lock()
	o := s.objects[key]
	s.mu.Unlock()
	if o == nil || r.Method == http.MethodGet && o.data == nil && o.size > 0 {
		return errNoKey
	}
	maps.Copy(w.Header(), o.header)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Last-Modified", o.modified.UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Length", strconv.FormatInt(o.size, 10))
	if r.Method == http.MethodGet {
		w.Write(o.data)
	}
	return nil
}

func (s *Sink) list(w http.ResponseWriter, bucket, prefix, most string) error {
	n, err := strconv.Atoi(most)
	if err != nil {
		n = 1 << 30 // all in one answer
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Contents []struct {
			Key, LastModified string
			Size              int64
		}
	}{}
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if name, ok := strings.CutPrefix(key, bucket+"/"); ok && strings.HasPrefix(name, prefix) && len(answer.Contents) < n {
			o := s.objects[key]
			answer.Contents = append(answer.Contents, struct {
				Key, LastModified string
				Size              int64
			}{name, o.modified.UTC().Format(time.RFC3339), o.size})
		}
	}
	return xml.NewEncoder(w).Encode(answer)
}

func (s *Sink) begin(w http.ResponseWriter, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := fmt.Sprintf("upload-%d-%d", len(s.uploads), time.Now().UnixNano())
	s.uploads[id] = &sinkUpload{key: key, began: time.Now(), parts: map[int]sinkPart{}}
	_, err := fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
	return err
}

func (s *Sink) putPart(w http.ResponseWriter, r *http.Request, id, number string) error {
	h := crc64nvme.New()
	if err := s.take(r, h, io.Discard); err != nil {
		return err
	}
	crc := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, h.Sum64()))
	if r.Header.Get("X-Amz-Checksum-Crc64nvme") != crc {
		return errDigest
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		return errRequest
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[id]
	if u == nil {
		return errNoUpload
	}
	u.parts[n] = sinkPart{r.ContentLength, crc}
	w.Header().Set("ETag", etag(crc+crc+crc))
	w.Header().Set("X-Amz-Checksum-Crc64nvme", crc)
	return nil
}

// sinkParts are a page, as of any store.
const sinkParts = 1000

func (s *Sink) listParts(w http.ResponseWriter, id, after string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[id]
	if u == nil {
		return errNoUpload
	}
	from, _ := strconv.Atoi(after) // "" is 0
	fmt.Fprint(w, "<ListPartsResult>")
	n, truncated := 0, false
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		if number <= from {
			continue
		}
		if truncated = n == sinkParts; truncated {
			break
		}
		p := u.parts[number]
		fmt.Fprintf(w, "<Part><PartNumber>%d</PartNumber><Size>%d</Size><ETag>%s</ETag><ChecksumCRC64NVME>%s</ChecksumCRC64NVME></Part>", number, p.size, etag(p.crc+p.crc+p.crc), p.crc)
		n, from = n+1, number
	}
	_, err := fmt.Fprintf(w, "<IsTruncated>%t</IsTruncated><NextPartNumberMarker>%d</NextPartNumberMarker></ListPartsResult>", truncated, from)
	return err
}

func (s *Sink) listUploads(w http.ResponseWriter, bucket, prefix string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprint(w, "<ListMultipartUploadsResult>")
	for _, id := range slices.Sorted(maps.Keys(s.uploads)) {
		u := s.uploads[id]
		if name, ok := strings.CutPrefix(u.key, bucket+"/"); ok && strings.HasPrefix(name, prefix) {
			fmt.Fprint(w, "<Upload><Key>")
			xml.EscapeText(w, []byte(name))
			fmt.Fprintf(w, "</Key><UploadId>%s</UploadId><Initiated>%s</Initiated></Upload>", id, u.began.UTC().Format(time.RFC3339))
		}
	}
	_, err := fmt.Fprint(w, "</ListMultipartUploadsResult>")
	return err
}

func (s *Sink) complete(w http.ResponseWriter, r *http.Request, key, id string) error {
	var asked struct {
		Part []struct {
			PartNumber        int
			ETag              string
			ChecksumCRC64NVME string
		}
	}
	if err := xml.NewDecoder(r.Body).Decode(&asked); err != nil {
		return errRequest
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[id]
	switch {
	case u == nil:
		return errNoUpload
	case s.objects[key] != nil && r.Header.Get("If-None-Match") == "*":
		return errExists
	}
	o := &sunk{header: http.Header{}, modified: time.Now()}
	for i, p := range asked.Part {
		have, ok := u.parts[p.PartNumber]
		if !ok || p.PartNumber != i+1 || p.ChecksumCRC64NVME != have.crc || strings.Trim(p.ETag, `"`) != strings.Trim(etag(have.crc+have.crc+have.crc), `"`) {
			return &sinkError{http.StatusBadRequest, "InvalidPart"}
		}
		o.size += have.size
	}
	crc := r.Header.Get("X-Amz-Checksum-Crc64nvme")
	o.header.Set("X-Amz-Checksum-Crc64nvme", crc)
	o.header.Set("ETag", etag(crc+crc+crc))
	s.objects[key] = o
	delete(s.uploads, id)
	_, err := fmt.Fprintf(w, "<CompleteMultipartUploadResult><ETag>%s</ETag><ChecksumCRC64NVME>%s</ChecksumCRC64NVME></CompleteMultipartUploadResult>", etag(crc+crc+crc), crc)
	return err
}

// Wait returns when n bytes of bodies have come.
func (s *Sink) Wait(ctx context.Context, n int64) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.Taken() < n {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
