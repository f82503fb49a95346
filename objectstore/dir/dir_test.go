package dir_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"lightfast/objectstore"
	"lightfast/objectstore/dir"
	"lightfast/objectstore/storetest"
)

func TestMain(m *testing.M) {
	if root := os.Getenv("LF_TEST_UPLOADER"); root != "" {
		uploader(root) // this binary as the process that dies, see sweep_test.go
	}
	goleak.VerifyTestMain(m)
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() objectstore.Store {
		root := t.TempDir()
		return func() objectstore.Store { return open(t, root, "mac") }
	})
}

// open is a store of root, closed when t ends.
func open(t testing.TB, root, host string) *dir.Store {
	t.Helper()
	s, err := dir.New(root, dir.Options{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(ctx context.Context, s objectstore.Store, key string, body []byte) error {
	_, err := s.Put(ctx, key, bytes.NewReader(body), int64(len(body)), sha256.Sum256(body), objectstore.PutOptions{})
	return err
}

func wantClass(t *testing.T, what string, err error, want objectstore.Class) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want class %q", what, err, want)
	}
}

func TestMissingRootIsMadeOnceAndNeverAgain(t *testing.T) {
	root := filepath.Join(t.TempDir(), "disk", "backup")
	s := open(t, root, "mac")
	if err := put(t.Context(), s, "a/b", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(root, root+".away"); err != nil { // the disk is ejected
		t.Fatal(err)
	}
	wantClass(t, "Put without the root", put(t.Context(), s, "a/c", []byte("x")), objectstore.Unavailable)
	_, err := s.Stat(t.Context(), "a/b")
	wantClass(t, "Stat without the root", err, objectstore.Unavailable)
	for _, err := range s.List(t.Context(), "") {
		wantClass(t, "List without the root", err, objectstore.Unavailable)
	}
	if _, err := os.Lstat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the root is there again: %v", err)
	}
	if err := os.Rename(root+".away", root); err != nil { // and comes back
		t.Fatal(err)
	}
	if err := put(t.Context(), s, "a/c", []byte("x")); err != nil {
		t.Errorf("Put after the root came back: %v", err)
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	root := filepath.Join(t.TempDir(), "backup")
	if err := put(t.Context(), open(t, root, "mac"), "a/b", []byte("x")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o700 | fs.ModeDir, "a": 0o700 | fs.ModeDir, "a/b": 0o600} {
		if info, err := os.Lstat(filepath.Join(root, name)); err != nil || info.Mode() != want {
			t.Errorf("mode of %q = %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

func TestSymbolicLinksDoNotLeadOut(t *testing.T) {
	root, out := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(out, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"way": out, "file": filepath.Join(out, "secret")} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, root, "mac")
	wantClass(t, "Put through a link", put(t.Context(), s, "way/new", []byte("x")), objectstore.Invalid)
	wantClass(t, "Put onto a link", put(t.Context(), s, "file", []byte("x")), objectstore.Invalid)
	for _, key := range []string{"way/secret", "file"} {
		if r, err := s.Get(t.Context(), key, 0, -1); err == nil {
			r.Close()
			t.Errorf("Get(%s) reads what lies outside", key)
		}
	}
	for info, err := range s.List(t.Context(), "") {
		t.Errorf("List gives %q, %v", info.Key, err)
	}
	if names, err := os.ReadDir(out); err != nil || len(names) != 1 {
		t.Errorf("outside lie %v, %v", names, err)
	}
}

func TestWhatIsNoFileIsNoObject(t *testing.T) {
	root := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, root, "mac")
	_, err := s.Get(t.Context(), "pipe", 0, -1) // and does not hang
	wantClass(t, "Get of a pipe", err, objectstore.NotFound)
	wantClass(t, "Put onto a pipe", put(t.Context(), s, "pipe", []byte("x")), objectstore.Invalid)
	for info, err := range s.List(t.Context(), "") {
		t.Errorf("List gives %q, %v", info.Key, err)
	}
}

func TestTemporaryNamesAreNoKeys(t *testing.T) {
	s := open(t, t.TempDir(), "mac")
	for _, key := range []string{".lf-tmp-mac-0123456789abcdef", "a/.lf-tmp-x", ".lf-tmp-x/a"} {
		wantClass(t, "Put("+key+")", put(t.Context(), s, key, []byte("x")), objectstore.Invalid)
	}
}

func TestReadOnlyRootIsDenied(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("the superuser may write anywhere")
	}
	root := t.TempDir()
	s := open(t, root, "mac")
	if err := os.Chmod(root, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(root, 0o700) })
	wantClass(t, "Put", put(t.Context(), s, "a", []byte("x")), objectstore.Denied)
}

func TestFailedPutLeavesNothing(t *testing.T) {
	root := t.TempDir()
	s := open(t, root, "mac")
	ctx, cancel := context.WithCancel(t.Context())
	body := storetest.Bytes(1, 2<<20)
	_, err := s.Put(ctx, "a", cancelling{bytes.NewReader(body), cancel}, int64(len(body)), sha256.Sum256(body), objectstore.PutOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Put canceled on the way = %v", err)
	}
	_, err = s.Put(t.Context(), "a", bytes.NewReader(body), int64(len(body)), objectstore.SHA256{}, objectstore.PutOptions{})
	wantClass(t, "Put with a wrong sum", err, objectstore.Checksum)
	if names, err := os.ReadDir(root); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

// cancelling ends a context when it is read.
type cancelling struct {
	*bytes.Reader
	cancel context.CancelFunc
}

func (c cancelling) ReadAt(b []byte, off int64) (int, error) {
	c.cancel()
	return c.Reader.ReadAt(b, off)
}

func TestNewRefusesHostsThatNameNoFile(t *testing.T) {
	for _, host := range []string{"a/b", "..", "a b", "ü"} {
		_, err := dir.New(t.TempDir(), dir.Options{Host: host})
		wantClass(t, fmt.Sprintf("New with host %q", host), err, objectstore.Invalid)
	}
}

// Keys are spread as blobs are, over 256 directories.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := open(b, b.TempDir(), "mac")
			body := storetest.Bytes(1, 90_000)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			var n atomic.Int64
			var g errgroup.Group
			g.SetLimit(writers)
			for b.Loop() {
				g.Go(func() error {
					i := n.Add(1)
					sum := sha256.Sum256([]byte(fmt.Sprint(i)))
					return put(b.Context(), s, fmt.Sprintf("blobs/%02x/%x", sum[0], sum), body)
				})
			}
			if err := g.Wait(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
