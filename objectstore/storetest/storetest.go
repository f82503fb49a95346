// Package storetest proves that a driver keeps what objectstore.Store
// promises, one named check for each promise, each in a place of its own. It
// also starts the S3 servers that the proof needs.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/minio/crc64nvme"

	"lightfast/objectstore"
)

// Run runs every check. place makes an empty place for objects; what it
// returns opens that place, anew at each call, as another process would.
func Run(t *testing.T, place func(t *testing.T) (open func() objectstore.Store)) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, open func() objectstore.Store)
	}{
		{"PutIsReadable", putIsReadable},
		{"PutNeverReplaces", putNeverReplaces},
		{"PutRefusesWrongSum", putRefusesWrongSum},
		{"PutEmpty", putEmpty},
		{"PutReportsItsSource", putReportsItsSource},
		{"PutLetsGoOfItsBody", putLetsGoOfItsBody},
		{"PutSurvivesAnyFileName", putSurvivesAnyFileName},
		{"PutOnceUnderARace", putOnceUnderARace},
		{"ContentSizeIsKeptOrUnknown", contentSizeIsKeptOrUnknown},
		{"PutsAreIndependent", putsAreIndependent},
		{"GetRanges", getRanges},
		{"GetMissing", getMissing},
		{"StatMissing", statMissing},
		{"ListIsOrdered", listIsOrdered},
		{"ListUnderPrefix", listUnderPrefix},
		{"ListPages", listPages},
		{"BadKeysAreInvalid", badKeysAreInvalid},
		{"CanceledReturnsSoon", canceledReturnsSoon},
		{"UploadBecomesAnObject", uploadBecomesAnObject},
		{"UploadIsInvisibleUntilComplete", uploadIsInvisibleUntilComplete},
		{"UploadResumes", uploadResumes},
		{"UploadIsFoundByItsKey", uploadIsFoundByItsKey},
		{"PartWithWrongSumIsRefused", partWithWrongSumIsRefused},
		{"PartSentAgainReplaces", partSentAgainReplaces},
		{"CompleteRefusesWrongSum", completeRefusesWrongSum},
		{"CompleteNeverReplaces", completeNeverReplaces},
		{"CompleteTwice", completeTwice},
		{"AbortForgets", abortForgets},
		{"UnknownUpload", unknownUpload},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, place(t))
		})
	}
}

// Bytes returns n bytes that no compression shortens, always the same for one
// seed.
func Bytes(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func put(t *testing.T, s objectstore.Store, key string, body []byte) objectstore.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, bytes.NewReader(body), int64(len(body)), sha256.Sum256(body), objectstore.PutOptions{})
	if err != nil {
		t.Fatalf("Put(%s): %v", key, err)
	}
	return info
}

// get reads all that Get gives and closes it.
func get(ctx context.Context, s objectstore.Store, key string, off, n int64) ([]byte, error) {
	r, err := s.Get(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// wantObject fails unless key holds body, by Get and by Stat.
func wantObject(t *testing.T, s objectstore.Store, key string, body []byte) {
	t.Helper()
	got, err := get(t.Context(), s, key, 0, -1)
	if err != nil {
		t.Fatalf("Get(%s): %v", key, err)
	}
	if !bytes.Equal(got, body) {
		t.Errorf("Get(%s): %d bytes differ from the %d that were put", key, len(got), len(body))
	}
	info, err := s.Stat(t.Context(), key)
	if err != nil {
		t.Fatalf("Stat(%s): %v", key, err)
	}
	wantInfo(t, info, key, body)
	if info.Modified.IsZero() {
		t.Errorf("Stat(%s): no time", key)
	}
}

// wantInfo fails unless info is that of body, as far as the store says.
func wantInfo(t *testing.T, info objectstore.Info, key string, body []byte) {
	t.Helper()
	if info.Key != key || info.Size != int64(len(body)) {
		t.Errorf("Info = %q, %d bytes, want %q, %d bytes", info.Key, info.Size, key, len(body))
	}
	if sum := objectstore.SHA256(sha256.Sum256(body)); info.SHA256 != nil && *info.SHA256 != sum {
		t.Errorf("Info(%s).SHA256 = %x, want %x", key, *info.SHA256, sum)
	}
	if crc := crc64nvme.Checksum(body); info.CRC64 != nil && *info.CRC64 != crc {
		t.Errorf("Info(%s).CRC64 = %x, want %x", key, *info.CRC64, crc)
	}
}

func wantClass(t *testing.T, what string, err error, want objectstore.Class) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want class %q", what, err, want)
	}
}

// keys lists all keys under prefix.
func keys(t *testing.T, s objectstore.Store, prefix string) []string {
	t.Helper()
	var all []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List(%q): %v", prefix, err)
		}
		all = append(all, info.Key)
	}
	return all
}

func wantKeys(t *testing.T, s objectstore.Store, prefix string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, keys(t, s, prefix), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("List(%q) (-want +got):\n%s", prefix, diff)
	}
}
