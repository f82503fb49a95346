package storetest_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"github.com/minio/crc64nvme"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"lightfast/objectstore"
	"lightfast/objectstore/s3"
	"lightfast/objectstore/storetest"
)

// A server that takes anything would prove nothing.
func TestSinkRefusesWhatIsNotAsAnnounced(t *testing.T) {
	sink, err := storetest.NewSink()
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	s, err := s3.New(t.Context(), s3.Options{Endpoint: sink.Endpoint, Bucket: "photos", Credentials: credentials.NewStaticV4(sink.AccessKey, sink.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("12345"), 3000)
	put := func(key string, sum objectstore.SHA256) error {
		_, err := s.Put(t.Context(), key, bytes.NewReader(content), int64(len(content)), sum, objectstore.PutOptions{})
		return err
	}
	if err := put("pages/a", objectstore.SHA256{}); !errors.Is(err, objectstore.Checksum) {
		t.Errorf("Put with another checksum: %v, want %v", err, objectstore.Checksum)
	}
	if err := put("pages/a", sha256.Sum256(content)); err != nil {
		t.Error(err)
	}
	if err := put("pages/a", sha256.Sum256(content)); !errors.Is(err, objectstore.Exists) {
		t.Errorf("Put of what is there: %v, want %v", err, objectstore.Exists)
	}
	if got := sink.Last("photos/pages/"); !bytes.Equal(got, content) {
		t.Errorf("Last has %d bytes, want those %d that were put", len(got), len(content))
	}

	const part = 10_000
	crc := func(b []byte) uint64 { return crc64nvme.Checksum(b) }
	u, err := s.Begin(t.Context(), "blobs/a", int64(len(content)), part, objectstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutPart(t.Context(), u, 1, bytes.NewReader(content), 0, part, 1); !errors.Is(err, objectstore.Checksum) {
		t.Errorf("PutPart with another checksum: %v, want %v", err, objectstore.Checksum)
	}
	var parts []objectstore.Part
	for i, b := range slices.Collect(slices.Chunk(content, part)) {
		p, err := s.PutPart(t.Context(), u, i+1, bytes.NewReader(content), int64(i)*part, int64(len(b)), crc(b))
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p)
	}
	if listed, err := s.Parts(t.Context(), u); err != nil || !slices.Equal(listed, parts) {
		t.Errorf("Parts() = %v, %v, want %v", listed, err, parts)
	}
	if found, err := s.Find(t.Context(), "blobs/a"); err != nil || len(found) != 1 || found[0].ID != u.ID {
		t.Errorf("Find() = %v, %v, want the one upload", found, err)
	}
	changed := slices.Clone(parts)
	changed[0].CRC64++
	if _, err := s.Complete(t.Context(), u, changed, crc(content)); err == nil {
		t.Error("completed of parts that it does not have")
	}
	if _, err := s.Complete(t.Context(), u, parts, crc(content)); err != nil {
		t.Error(err)
	}
	if info, err := s.Stat(t.Context(), "blobs/a"); err != nil || info.Size != int64(len(content)) || info.CRC64 == nil || *info.CRC64 != crc(content) {
		t.Errorf("Stat() = %+v, %v, want the whole", info, err)
	}
}
