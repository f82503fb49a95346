package dir_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minio/crc64nvme"

	"lightfast/internal/ratelimit"
	"lightfast/objectstore"
	"lightfast/objectstore/dir"
)

func TestFilesPassAtTheirRate(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		table, err := ratelimit.ParseTable("16k")
		if err != nil {
			t.Fatal(err)
		}
		s, err := dir.New(root, dir.Options{Line: ratelimit.Line{Up: ratelimit.New(table), Down: ratelimit.New(table)}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		content := make([]byte, 4<<20) // 256 s
		takes := func(what string, f func(ctx context.Context) error) {
			t.Helper()
			began := time.Now()
			if err := f(t.Context()); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if d := time.Since(began); d < 250*time.Second || d > 260*time.Second {
				t.Errorf("%s took %v, want 256 s", what, d)
			}
		}
		takes("Put", func(ctx context.Context) error {
			_, err := s.Put(ctx, "a", bytes.NewReader(content), int64(len(content)), sha256.Sum256(content), objectstore.PutOptions{})
			return err
		})
		takes("PutPart", func(ctx context.Context) error {
			u, err := s.Begin(ctx, "b", int64(len(content)), int64(len(content)), objectstore.PutOptions{})
			if err == nil {
				_, err = s.PutPart(ctx, u, 1, bytes.NewReader(content), 0, int64(len(content)), crc64nvme.Checksum(content))
			}
			return err
		})
		takes("Get", func(ctx context.Context) error {
			r, err := s.Get(ctx, "a", 0, -1)
			if err != nil {
				return err
			}
			defer r.Close()
			n, err := io.Copy(io.Discard, r)
			if n != int64(len(content)) {
				t.Errorf("%d bytes read, want %d", n, len(content))
			}
			return err
		})

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if _, err := s.Put(ctx, "c", bytes.NewReader(content), int64(len(content)), sha256.Sum256(content), objectstore.PutOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put = %v, want the end of its context", err)
		}
		if d := time.Since(began); d > time.Minute {
			t.Errorf("Put took %v to hear of it", d)
		}
	})
}
