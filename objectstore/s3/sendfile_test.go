package s3_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/minio/crc64nvme"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"lightfast/objectstore"
	"lightfast/objectstore/s3"
	"lightfast/objectstore/storetest"
)

// sent is a file that counts what is read of it by this process.
type sent struct {
	*os.File
	conn func() (syscall.RawConn, error)
	read atomic.Int64
}

func (s *sent) SyscallConn() (syscall.RawConn, error) { return s.conn() }

func (s *sent) ReadAt(b []byte, off int64) (int, error) {
	n, err := s.File.ReadAt(b, off)
	s.read.Add(int64(n))
	return n, err
}

func newSent(t *testing.T, content []byte) *sent {
	t.Helper()
	name := filepath.Join(t.TempDir(), "film.mov")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &sent{File: f, conn: f.SyscallConn}
}

// comparing is a store that compares what it gets with its checksum.
func comparing(t *testing.T) *s3.Store {
	t.Helper()
	sink, err := storetest.NewSink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	s, err := s3.New(t.Context(), s3.Options{Endpoint: sink.Endpoint, Bucket: "photos", Credentials: credentials.NewStaticV4(sink.AccessKey, sink.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// headOf is what net/http may read of a body to send it with the head of its request.
const headOf = 4 << 10

func TestAFileIsSentWithoutBeingRead(t *testing.T) {
	const partSize = 5 << 20
	content := random(2*partSize + 12345)
	f, s := newSent(t, content), comparing(t)
	size := int64(len(content))
	if _, err := s.Put(t.Context(), "whole", f, size, sha256.Sum256(content), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	u, err := s.Begin(t.Context(), "parts", size, partSize, objectstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range 3 { // at once, of one file
		off := int64(n) * partSize
		length := min(partSize, size-off)
		all.Go(func() {
			if _, err := s.PutPart(t.Context(), u, n+1, f, off, length, crc64nvme.Checksum(content[off:off+length])); err != nil {
				t.Errorf("part %d: %v", n+1, err)
			}
		})
	}
	all.Wait()
	if n := f.read.Load(); n > 4*headOf {
		t.Errorf("%d bytes of %d in 4 requests were read, want at most %d", n, 2*size, 4*headOf)
	}
}

func TestWhatTheKernelDoesNotSendIsRead(t *testing.T) {
	content := random(1 << 20)
	f, s := newSent(t, content), comparing(t)
	r, w, err := os.Pipe() // which is no file, whatever it says
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	f.conn = r.SyscallConn
	if _, err := s.Put(t.Context(), "a", f, int64(len(content)), sha256.Sum256(content), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := f.read.Load(); n != int64(len(content)) {
		t.Errorf("%d bytes were read, want all %d", n, len(content))
	}
}

func TestAFileThatChangesIsNotStored(t *testing.T) {
	content := random(1 << 20)
	for _, tt := range []struct {
		name   string
		change func(*sent) error
		right  func(error) bool
	}{
		{"other bytes", func(f *sent) error { _, err := f.WriteAt([]byte("changed"), 1<<19); return err },
			func(err error) bool { return errors.Is(err, objectstore.Checksum) }},
		{"shorter", func(f *sent) error { return f.Truncate(1 << 19) },
			func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) && objectstore.ClassOf(err) == "" }},
		{"closed", func(f *sent) error { return f.Close() },
			func(err error) bool { return errors.Is(err, os.ErrClosed) && objectstore.ClassOf(err) == "" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, s := newSent(t, content), comparing(t)
			if err := tt.change(f); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Put(t.Context(), "a", f, int64(len(content)), sha256.Sum256(content), objectstore.PutOptions{}); !tt.right(err) {
				t.Errorf("Put = %v", err)
			}
			if _, err := s.Stat(t.Context(), "a"); !errors.Is(err, objectstore.NotFound) {
				t.Errorf("Stat = %v, want not found", err)
			}
		})
	}
}
