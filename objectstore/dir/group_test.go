package dir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"lightfast/objectstore"
)

// Whoever arrives while a commit runs is made durable by the next one, all
// together: with the leader's place taken, all wait; once it is free, one of
// them commits for all.
func TestWaitersAreCommittedTogether(t *testing.T) {
	s, err := New(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	const writers = 20
	flushes := 0
	openRoot := s.group.openRoot
	s.group.openRoot = func() (*os.Root, error) { flushes++; return openRoot() } // by the leader, once a flush
	s.group.lead <- struct{}{}
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			body := []byte(fmt.Sprint(i))
			if _, err := s.Put(t.Context(), fmt.Sprintf("blobs/%d/x", i), bytes.NewReader(body), int64(len(body)), sha256.Sum256(body), objectstore.PutOptions{}); err != nil {
				t.Errorf("Put: %v", err)
			}
		})
	}
	waitFor(t, s.group, writers)
	for info := range s.List(t.Context(), "") {
		t.Errorf("%s has its name before the commit", info.Key)
	}
	<-s.group.lead
	wg.Wait()
	if flushes != 1 {
		t.Errorf("%d writers took %d commits, want one", writers, flushes)
	}
}

func TestWithdrawnPutLeavesNoTrace(t *testing.T) {
	s, err := New(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.group.lead <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := s.Put(ctx, "a", bytes.NewReader(nil), 0, sha256.Sum256(nil), objectstore.PutOptions{})
		result <- err
	}()
	waitFor(t, s.group, 1)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Put canceled while it waits = %v", err)
	}
	<-s.group.lead
	if names, err := os.ReadDir(s.root); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

// waitFor waits until n changes wait for a leader.
func waitFor(t *testing.T, g *group, n int) {
	t.Helper()
	for {
		g.mu.Lock()
		have := len(g.waiting)
		g.mu.Unlock()
		if have == n {
			return
		}
		if t.Context().Err() != nil {
			t.FailNow()
		}
		runtime.Gosched()
	}
}

func TestEveryRenameKeepsWhatIsThere(t *testing.T) {
	for name, rename := range map[string]func(*os.File, string, string) error{
		"NoReplace": renameNoReplace, "ByLink": renameByLink, "Locked": renameLocked,
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, f := range []string{"new", "old"} {
				if err := os.WriteFile(filepath.Join(root, f), []byte(f), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d, err := os.Open(root)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if err := rename(d, "new", "old"); !errors.Is(err, fs.ErrExist) {
				t.Errorf("rename onto a file = %v, want it to exist", err)
			}
			if err := rename(d, "new", "fresh"); err != nil {
				t.Errorf("rename: %v", err)
			}
			for f, want := range map[string]string{"old": "old", "fresh": "new"} {
				if got, err := os.ReadFile(filepath.Join(root, f)); err != nil || string(got) != want {
					t.Errorf("%s holds %q, %v, want %q", f, got, err, want)
				}
			}
			if _, err := os.Lstat(filepath.Join(root, "new")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the temporary name is still there: %v", err)
			}
		})
	}
}

func TestAnotherFolderUnderTheMountPointIsAStranger(t *testing.T) {
	was := fileID{dev: 7, ino: 42}
	for _, tt := range []struct {
		name string
		now  fileID
		want bool
	}{
		{"same", fileID{7, 42}, false},
		{"disk came back as another device", fileID{8, 42}, false},
		{"FUSE drew a new inode number", fileID{7, 43}, false},
		{"mount point without its disk", fileID{1, 9000}, true},
	} {
		if got := tt.now.stranger(was); got != tt.want {
			t.Errorf("%s: stranger = %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestClassOf(t *testing.T) {
	for _, tt := range []struct {
		errno syscall.Errno
		want  objectstore.Class
	}{
		{syscall.ENOSPC, objectstore.Full},
		{syscall.EDQUOT, objectstore.Full},
		{syscall.EACCES, objectstore.Denied},
		{syscall.EPERM, objectstore.Denied},
		{syscall.EROFS, objectstore.Denied},
		{syscall.ENOENT, objectstore.NotFound},
		{syscall.EEXIST, objectstore.Exists},
		{syscall.ENOTDIR, objectstore.Invalid},
		{syscall.ENAMETOOLONG, objectstore.Invalid},
		{syscall.EFBIG, objectstore.Invalid},
		{syscall.EIO, objectstore.Unavailable},
		{syscall.ESTALE, objectstore.Unavailable},
		{syscall.ENODEV, objectstore.Unavailable},
		{syscall.EMFILE, objectstore.Unavailable},
	} {
		err := fail("put", "key", fmt.Errorf("write: %w", &fs.PathError{Op: "write", Path: "x", Err: tt.errno}))
		if got := objectstore.ClassOf(err); got != tt.want {
			t.Errorf("class of %v = %q, want %q", err, got, tt.want)
		}
	}
}
