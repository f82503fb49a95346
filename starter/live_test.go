package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lightfast/internal/sqlite"
	"lightfast/photos/photostest"
)

// liveLibrary is one that a writer changes: each transaction gives all assets
// one title, and the files are written anew, each with one number throughout,
// so that a snapshot of two states and a torn file show.
type liveLibrary struct {
	t     *testing.T
	path  string
	files []string // that are written anew
	stop  func()
}

func newLiveLibrary(t *testing.T, path string) *liveLibrary {
	t.Helper()
	l := &liveLibrary{t: t, path: path}
	var err error
	if l.files, err = filepath.Glob(filepath.Join(path, "originals", "*", "*")); err != nil || len(l.files) == 0 {
		t.Fatal(l.files, err)
	}
	for _, name := range l.files {
		l.rewrite(name, 1)
	}
	db, err := sqlite.Open(filepath.Join(path, "database", "Photos.sqlite"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, q := range []string{"PRAGMA wal_autocheckpoint = 50", "PRAGMA synchronous = OFF", "UPDATE ZADDITIONALASSETATTRIBUTES SET ZTITLE = 'state 1'"} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := uint64(2); ctx.Err() == nil; n++ {
			if _, err := db.ExecContext(ctx, "UPDATE ZADDITIONALASSETATTRIBUTES SET ZTITLE = ?", fmt.Sprint("state ", n)); err != nil && ctx.Err() == nil {
				t.Errorf("writer: %v", err)
				return
			}
			l.rewrite(l.files[n%uint64(len(l.files))], n)
		}
	})
	l.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		db.Close()
	})
	t.Cleanup(l.stop)
	return l
}

// rewrite gives a file another content and another length, as Photos does:
// under its name is at all times one of the two.
func (l *liveLibrary) rewrite(name string, n uint64) {
	number := binary.BigEndian.AppendUint64(nil, n)
	next := filepath.Join(l.path, "next")
	err := os.WriteFile(next, bytes.Repeat(number, 5000+int(n%3000)), 0o644)
	if err == nil {
		err = os.Rename(next, name)
	}
	if err != nil {
		l.t.Errorf("writer: %v", err)
	}
}

func TestSnapshotOfALiveLibraryIsOneState(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.source += ".photoslibrary"
	if err := photostest.BuildLibrary(p.source, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Count: 200}}}); err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(tree(t, p.source)))
	l := newLiveLibrary(t, p.source)
	for i := range 3 {
		// What changes faster than it can be read is reported: 3.
		ev, code := p.run("backup", "--source", p.source, "--to", p.dest)
		if code != 0 && code != 3 {
			t.Fatalf("backup %d ended with %d: %v", i, code, ev["error"])
		}
		titles := map[any]int{}
		for _, a := range p.ls() {
			titles[a["title"]]++
		}
		if len(titles) != 1 {
			t.Errorf("snapshot %d has the titles of several states: %v", i, titles)
		}
		out := filepath.Join(t.TempDir(), "out")
		if _, code := p.run("restore", "--from", p.dest, "--to", out); code != 0 && code != 3 {
			t.Fatalf("restore ended with %d", code)
		}
		for name, content := range tree(t, out) {
			if strings.HasPrefix(name, "originals/") && strings.Count(content, content[:8])*8 != len(content) {
				t.Errorf("snapshot %d: %s is torn", i, name)
			}
		}
	}
	l.stop()
	left := slices.DeleteFunc(slices.Sorted(maps.Keys(tree(t, p.source))), func(name string) bool {
		return strings.HasSuffix(name, "-wal") || strings.HasSuffix(name, "-shm") // the writer's
	})
	if diff := cmp.Diff(names, left); diff != "" {
		t.Errorf("names in the library (-before +after):\n%s", diff)
	}
	p.backup(0)
	p.restore(0)
	for name, content := range tree(t, p.out) {
		if b, err := os.ReadFile(filepath.Join(p.source, name)); err != nil || string(b) != content {
			t.Errorf("in the end %s differs: %v", name, err)
		}
	}
}
