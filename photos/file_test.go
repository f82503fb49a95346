package photos_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"lightfast/photos"
)

func openRoot(t *testing.T) (root *os.Root, dir string) {
	t.Helper()
	dir = t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

func openFile(t *testing.T, root *os.Root, name string) photos.Reader {
	t.Helper()
	r, err := photos.OpenFile(root, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestOpenFileReadsWhatIsThere(t *testing.T) {
	root, _ := openRoot(t)
	for _, content := range []string{"", "x", "some content"} {
		if err := root.WriteFile("f", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		r := openFile(t, root, "f")
		if r.Size() != int64(len(content)) {
			t.Errorf("Size = %d, want %d", r.Size(), len(content))
		}
		if err := iotest.TestReader(r, []byte(content)); err != nil {
			t.Error(err)
		}
		if n, err := r.ReadAt(make([]byte, 1), -1); n != 0 || err == nil {
			t.Errorf("ReadAt(-1) = %d, %v, want an error", n, err)
		}
		if n, err := r.ReadAt(make([]byte, 1), 1<<40); n != 0 || err != io.EOF {
			t.Errorf("ReadAt behind the end = %d, %v, want EOF", n, err)
		}
	}
}

// A FIFO without a writer blocks whoever opens it.
func TestOpenFileOpensRegularFilesOnly(t *testing.T) {
	root, dir := openRoot(t)
	if err := errors.Join(
		root.WriteFile("f", nil, 0o600),
		root.Mkdir("dir", 0o700),
		root.Symlink("f", "link"),
		root.Symlink("/etc/passwd", "outside"),
		syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dir", "link", "outside", "fifo"} {
		if r, err := photos.OpenFile(root, name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("OpenFile(%q) = %v, %v, want fs.ErrInvalid", name, r, err)
		}
	}
	if r, err := photos.OpenFile(root, "missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenFile of a missing file = %v, %v, want fs.ErrNotExist", r, err)
	}
	if r, err := photos.OpenFile(root, "../"+filepath.Base(dir)+"/f"); err == nil {
		t.Errorf("OpenFile outside of its root = %v", r)
	}
}

func TestReaderReportsChangeAtTheEnd(t *testing.T) {
	later := time.Now().Add(time.Hour)
	for name, change := range map[string]func(root *os.Root) error{
		"touched":  func(root *os.Root) error { return root.Chtimes("f", time.Time{}, later) },
		"appended": func(root *os.Root) error { return root.WriteFile("f", []byte("0123456789+"), 0o600) },
		"cut":      func(root *os.Root) error { return root.WriteFile("f", []byte("012345"), 0o600) },
		"replaced": func(root *os.Root) error {
			return errors.Join(root.WriteFile("g", []byte("0123456789"), 0o600), root.Rename("g", "f"))
		},
		"a directory now": func(root *os.Root) error { return errors.Join(root.Remove("f"), root.Mkdir("f", 0o700)) },
	} {
		root, _ := openRoot(t)
		if err := root.WriteFile("f", []byte("0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := openFile(t, root, "f")
		if _, err := io.ReadFull(r, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if err := change(root); err != nil {
			t.Fatal(err)
		}
		// No byte beyond the end is asked for: the last read itself must say it.
		if _, err := r.ReadAt(make([]byte, 5), 5); !errors.Is(err, photos.ErrChanged) {
			t.Errorf("%s: ReadAt up to the end = %v, want ErrChanged", name, err)
		}
		if _, err := io.ReadFull(r, make([]byte, 5)); !errors.Is(err, photos.ErrChanged) {
			t.Errorf("%s: Read up to the end = %v, want ErrChanged", name, err)
		}
		if err := r.Unchanged(); !errors.Is(err, photos.ErrChanged) {
			t.Errorf("%s: Unchanged = %v, want ErrChanged", name, err)
		}
	}
}

func TestFileThatGoesWhileItIsReadIsWholeAllTheSame(t *testing.T) {
	root, _ := openRoot(t)
	if err := root.WriteFile("f", []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := openFile(t, root, "f")
	if err := root.Remove("f"); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); string(data) != "0123456789" || err != nil {
		t.Errorf("ReadAll = %q, %v, want the content", data, err)
	}
}

func TestFileOfManyBlocksIsReadFromAnyOffset(t *testing.T) {
	root, _ := openRoot(t)
	f, err := root.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	const size = 50 << 30 // sparse
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	r := openFile(t, root, "f")
	p := []byte{1, 2, 3, 4}
	if n, err := r.ReadAt(p, size-4); n != 4 || err != nil || p[3] != 0 {
		t.Errorf("ReadAt of the last bytes = %d, %v, %v", n, err, p)
	}
	if n, err := r.ReadAt(p, size-2); n != 2 || err != io.EOF {
		t.Errorf("ReadAt over the end = %d, %v, want 2 and EOF", n, err)
	}
}
