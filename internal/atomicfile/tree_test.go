package atomicfile_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"lightfast/internal/atomicfile"
)

// tree opens a target, and a folder beside it that nothing may be written to.
func tree(t *testing.T) (tr *atomicfile.Tree, dir, outside string) {
	t.Helper()
	dir, outside = filepath.Join(t.TempDir(), "target"), t.TempDir()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	tr, err := atomicfile.Open(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr, dir, outside
}

func put(tr *atomicfile.Tree, name, content string, replace bool) error {
	f, err := tr.Create()
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := io.WriteString(f, content); err != nil {
		return err
	}
	return f.Commit(name, replace)
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFileAppearsWholeAndNothingIsLeft(t *testing.T) {
	tr, dir, _ := tree(t)
	f, err := tr.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "half"); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Read("a/b.jpg"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read before Commit = %v, want it not to exist", err)
	}
	const taken = 1_700_000_000_123_456_789
	if err := f.SetModTime(taken); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit("a/b.jpg", false); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "a/b.jpg")); err != nil || info.ModTime().UnixNano() != taken {
		t.Errorf("time of the file = %v, %v, want %d", info.ModTime().UnixNano(), err, int64(taken))
	}
	if _, err := tr.Create(); err != nil { // of a writer that died
		t.Fatal(err)
	}
	if err := tr.Clean(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the target has %v, %v, want the folder a alone", entries, err)
	}
}

func TestNothingIsReplacedUnlessAsked(t *testing.T) {
	tr, dir, outside := tree(t)
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(string) error{
		"file":    func(p string) error { return os.WriteFile(p, []byte("newer"), 0o400) },
		"link":    func(p string) error { return os.Symlink(secret, p) },
		"nowhere": func(p string) error { return os.Symlink("nowhere", p) },
		"folder":  func(p string) error { return os.MkdirAll(filepath.Join(p, "in it"), 0o700) },
	} {
		if err := make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := put(tr, name, "ours", false); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s in the way: Commit = %v, want ErrExist", name, err)
		}
		_, inTheWay := errors.AsType[*atomicfile.InTheWay](put(tr, name, "ours", true))
		if want := name == "folder"; inTheWay != want {
			t.Errorf("%s in the way, to be replaced: InTheWay is %t, want %t", name, inTheWay, want)
		}
		if name != "folder" && read(t, filepath.Join(dir, name)) != "ours" {
			t.Errorf("%s was not replaced", name)
		}
	}
	if read(t, secret) != "secret" {
		t.Error("what a link led to was written")
	}
}

func TestNoComponentIsFollowed(t *testing.T) {
	tr, dir, outside := tree(t)
	if err := os.MkdirAll(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, link := range []struct{ at, to string }{{"parent", outside}, {"real/parent", outside}, {"inside", "real"}} {
		if err := os.Symlink(link.to, filepath.Join(dir, link.at)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{link.at + "/x", link.at + "/deeper/x"} {
			for _, replace := range []bool{false, true} {
				if _, ok := errors.AsType[*atomicfile.InTheWay](put(tr, name, "x", replace)); !ok {
					t.Errorf("Commit(%s) went through a link", name)
				}
			}
			if _, err := tr.Read(name); err == nil {
				t.Errorf("Read(%s) went through a link", name)
			}
		}
	}
	for _, name := range []string{"../x", "/x", "a/../../x", "", ".", "a//x", ".lf-tmp-test/x"} {
		if err := put(tr, name, "x", false); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Commit(%q) = %v, want it invalid", name, err)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside of the target there is %v", entries)
	}
}

func TestFolderSwappedForALinkLeadsNowhere(t *testing.T) {
	tr, dir, outside := tree(t)
	stop := make(chan struct{})
	var racer sync.WaitGroup
	at, link := filepath.Join(dir, "a"), filepath.Join(dir, "link")
	racer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			os.RemoveAll(at)
			os.Symlink(outside, link)
			os.Rename(link, at)
			os.Remove(at)
		}
	})
	for range 300 {
		put(tr, "a/b/x", "x", true) // may fail, in any way but one
	}
	close(stop)
	racer.Wait()
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside of the target there is %v, %v", entries, err)
	}
}

func TestLinkSharesContent(t *testing.T) {
	tr, dir, _ := tree(t)
	if err := put(tr, "a/x", "x", false); err != nil {
		t.Fatal(err)
	}
	if err := tr.Link("a/x", "b/c/x", false); err != nil {
		t.Fatal(err)
	}
	one, errOne := os.Stat(filepath.Join(dir, "a/x"))
	two, errTwo := os.Stat(filepath.Join(dir, "b/c/x"))
	if errOne != nil || errTwo != nil || !os.SameFile(one, two) {
		t.Errorf("the names are not of one file: %v, %v", errOne, errTwo)
	}
	if err := put(tr, "y", "y", false); err != nil {
		t.Fatal(err)
	}
	if err := tr.Link("a/x", "y", false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Link to a name that is taken = %v, want ErrExist", err)
	}
	if err := tr.Link("a/x", "y", true); err != nil || read(t, filepath.Join(dir, "y")) != "x" {
		t.Errorf("Link over another file = %v", err)
	}
}

func TestManyFilesAtOnceAppearWhole(t *testing.T) {
	tr, dir, _ := tree(t)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if err := put(tr, fmt.Sprintf("%d/x", i%4*100+i), fmt.Sprint("content ", i), false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 64 {
		if got := read(t, filepath.Join(dir, fmt.Sprintf("%d/x", i%4*100+i))); got != fmt.Sprint("content ", i) {
			t.Errorf("file %d has %q", i, got)
		}
	}
}

func TestClosedFileIsGoneOnWith(t *testing.T) {
	tr, dir, _ := tree(t)
	f, err := tr.Create()
	if err != nil {
		t.Fatal(err)
	}
	id, err := f.Reserve(10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("67890"), 5); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Reopen(id); !errors.Is(err, atomicfile.ErrBusy) {
		t.Errorf("Reopen of a file that is open = %v, want ErrBusy", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f, err = tr.Reopen(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("12345"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit("film", false); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "film")); got != "1234567890" {
		t.Errorf("the file has %q", got)
	}
	for name, id := range map[string]atomicfile.ID{"committed": id, "none": {}, "outside": {Temp: "../film", Inode: id.Inode, Size: id.Size}} {
		if _, err := tr.Reopen(id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Reopen of one that is %s = %v, want ErrNotExist", name, err)
		}
	}
}

func TestNamesAreTriedOutWithoutATrace(t *testing.T) {
	tr, dir, _ := tree(t)
	n, err := tr.Names()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "case"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "CASE")); n.Folds != (err == nil) {
		t.Errorf("Folds = %t, and the other case gives %v", n.Folds, err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, ".lf-tmp-test")); err != nil || len(entries) > 0 {
		t.Errorf("the work folder has %v, %v", entries, err)
	}
}
