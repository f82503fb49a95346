package activities_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lightfast/activities"
	"lightfast/internal/exit"
	"lightfast/objectstore"
	"lightfast/photos"
)

func TestRacingHostsMakeOneRepository(t *testing.T) {
	there := t.TempDir()
	var hosts []*host
	for range 4 {
		hosts = append(hosts, newHost(t, newMemory(), there))
	}
	var wg sync.WaitGroup
	for _, h := range hosts {
		wg.Go(func() {
			if _, err := call[activities.Prepared](h, h.PrepareRun, h.input); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var first string
	for _, h := range hosts {
		c, err := activities.ReadConfig(t.Context(), h.store)
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = c.Repository
		}
		repo, err := h.Catalog.Repository(t.Context(), first, there)
		if err != nil || repo != 1 {
			t.Errorf("a host has repository %s as its number %d, %v", first, repo, err)
		}
	}
}

func TestANewerOrDamagedRepositoryIsRefused(t *testing.T) {
	for _, config := range []string{`{"format":999}`, `not JSON`} {
		h := newHost(t, newMemory(), t.TempDir())
		b := []byte(config)
		if _, err := h.store.Put(t.Context(), "lightfast.json", bytes.NewReader(b), int64(len(b)), sha256.Sum256(b), objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := call[activities.Prepared](h, h.PrepareRun, h.input)
		exits(t, err, exit.Format)
	}
}

func TestASecondRepositoryOfALibraryMustBeAskedFor(t *testing.T) {
	h := newHost(t, newMemory(), t.TempDir())
	h.backup()
	mistyped := newHost(t, h.lib, t.TempDir())
	h.store, h.input.Dest = mistyped.store, mistyped.input.Dest
	_, err := call[activities.Prepared](h, h.PrepareRun, h.input)
	exits(t, err, exit.NoRepo)
	if _, err := activities.ReadConfig(t.Context(), h.store); !errors.Is(err, objectstore.NotFound) {
		t.Errorf("a refused repository was made: %v", err)
	}
	h.input.Init = true
	if _, err := call[activities.Prepared](h, h.PrepareRun, h.input); err != nil {
		t.Error(err)
	}
}

func TestARunGoesOnWithItsPlan(t *testing.T) {
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
	lib.put("b.jpg", photos.RoleOriginal, noise(2, 1000))
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	if _, err := h.storeAsset(h.only(p)); err != nil {
		t.Fatal(err)
	}
	again := h.prepare()
	if again.Epoch != p.Epoch || again.Snapshot != p.Snapshot || !again.Resumed {
		t.Errorf("first %+v, then %+v", p, again)
	}
	if _, err := call[activities.BackupResult](h, h.CommitHead, p.Epoch); err == nil {
		t.Error("a head was written before the plan was done")
	}
	h.workOff(again)
	if res := h.finish(again); res.Assets.Stored != 2 {
		t.Errorf("result %+v", res.Assets)
	}
}

func TestARepeatedHeadIsTheSame(t *testing.T) {
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	h.workOff(p)
	first := h.finish(p)
	if again := h.finish(p); again.Snapshot != first.Snapshot || again.Assets != first.Assets {
		t.Errorf("first %+v, then %+v", first, again)
	}
}

func TestALaterSnapshotIsLaterByName(t *testing.T) {
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
	h := newHost(t, lib, t.TempDir())
	last := ""
	for _, step := range []time.Duration{0, 0, 300 * time.Millisecond, -48 * time.Hour, time.Minute} { // of a clock that somebody sets
		now := h.now.Add(step)
		h.now = now
		res := h.backup()
		if res.Snapshot[:16] <= last {
			t.Errorf("after %s the snapshot is %s, the last one was of %s", step, res.Snapshot, last)
		}
		last, h.now = res.Snapshot[:16], now
	}
}

// A host without its state directory, or with an old copy of it, must neither
// send again nor forget what is stored.
func TestAHostLearnsWhatTheRepositoryHas(t *testing.T) {
	there := t.TempDir()
	lib := newMemory()
	a, b := noise(1, 1000), noise(2, 2000)
	lib.put("a.jpg", photos.RoleOriginal, a)
	old := newHost(t, lib, there)
	old.backup()

	lib.put("b.jpg", photos.RoleOriginal, b)
	fresh := newHost(t, lib, there)
	fresh.now = old.now
	res := fresh.backup()
	if res.Assets.Unchanged != 1 || res.Bytes.Sent != int64(len(b)) {
		t.Errorf("without its state: %+v, %+v", res.Assets, res.Bytes)
	}

	old.now = fresh.now
	lib.hook = func(r photos.Resource) error { // b cannot be read any more
		return &fs.PathError{Op: "open", Path: r.Path, Err: fs.ErrNotExist}
	}
	lib.files["b.jpg"].mtime++
	res = old.backup()
	if res.Bytes.Sent != 0 || res.Resources.Kept != 1 {
		t.Errorf("with old state: %+v, %+v", res.Resources, res.Bytes)
	}
	old.holds("a.jpg", a)
	old.holds("b.jpg", b)
}

// pictures puts n files into a library that may have some already.
func (m *memory) pictures(n int) *memory {
	for i := range n {
		name := fmt.Sprintf("%03d.jpg", i)
		if m.files[name] == nil {
			m.put(name, photos.RoleOriginal, noise(uint64(i), 100))
		}
	}
	return m
}

func TestARefusedLibraryLeavesNothingBehind(t *testing.T) {
	there := t.TempDir()
	lib := newMemory().pictures(20)
	h := newHost(t, lib, there)
	h.backup()
	whole := maps.Clone(lib.files)
	lib.put("000.jpg", photos.RoleOriginal, noise(100, 500)) // a change that the refused scan has seen
	changed := lib.files["000.jpg"]
	for i := 1; i < 8; i++ {
		delete(lib.files, fmt.Sprintf("%03d.jpg", i))
	}
	sent := len(h.store.puts)
	for _, on := range []*host{h, h, newHost(t, lib, there)} { // the last one knows nothing but the repository
		on.now = h.now.Add(time.Hour)
		_, err := call[activities.Prepared](on, on.PrepareRun, on.input)
		exits(t, err, exit.Source)
	}
	if len(h.store.puts) != sent {
		t.Errorf("a refused run has put %q", h.store.puts[sent:])
	}
	maps.Copy(lib.files, whole)
	lib.files["000.jpg"] = changed
	p := h.prepare()
	if p.Resumed {
		t.Error("what a refused run has begun was gone on with")
	}
	h.workOff(p)
	if res := h.finish(p); res.Assets.Unchanged != 19 || res.Assets.Stored != 1 || res.Bytes.Sent != 500 {
		t.Errorf("back again: %+v, %+v", res.Assets, res.Bytes)
	}
}

// A run that goes on, after a cancel or in another process, may find the mount
// point without the disk.
func TestAnEmptiedFolderEndsTheRunAndKeepsItsPlan(t *testing.T) {
	lib := newMemory().pictures(20)
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	if _, err := h.storeAsset(h.only(p)); err != nil {
		t.Fatal(err)
	}
	todo := h.only(p)
	whole := maps.Clone(lib.files)
	clear(lib.files)
	_, err := call[activities.Prepared](h, h.PrepareRun, h.input)
	exits(t, err, exit.Source)
	activities.Close(h.Activities) // the next process has nothing open
	_, err = h.storeAsset(todo)
	exits(t, err, exit.Source)
	maps.Copy(lib.files, whole)
	again := h.prepare()
	if !again.Resumed || again.Epoch != p.Epoch {
		t.Errorf("first %+v, mounted again %+v", p, again)
	}
	h.workOff(again)
	if res := h.finish(again); res.Assets.Stored != 20 {
		t.Errorf("result %+v", res.Assets)
	}

	lib.put("new.jpg", photos.RoleOriginal, noise(99, 100))
	h.prepare()
	clear(lib.files)
	h.input.AcceptShrink = true
	if p := h.prepare(); !p.Resumed {
		t.Errorf("accepted: %+v", p)
	}
}

// stranger is a library that says it is another one.
type stranger struct{ *memory }

func (stranger) Identity(context.Context) (photos.Identity, error) {
	return photos.Identity{ID: "OTHER", Kind: "photos", Name: "Library"}, nil
}

func TestAPlanIsNotWorkedOffInAnotherLibrary(t *testing.T) {
	lib := newMemory().pictures(2)
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	todo := h.only(p)
	open := h.OpenSource
	h.OpenSource = func(context.Context, activities.SourceSpec) (photos.Source, error) { return stranger{lib}, nil }
	activities.Close(h.Activities) // the next process has nothing open
	_, err := h.storeAsset(todo)
	exits(t, err, exit.Source)
	h.OpenSource = open
	h.workOff(p)
	if res := h.finish(p); res.Assets.Stored != 2 {
		t.Errorf("put back: %+v", res.Assets)
	}
}

func TestAnInterimHeadIsNoMeasure(t *testing.T) {
	there := t.TempDir()
	h := newHost(t, newMemory().pictures(20), there)
	p := h.prepare()
	if _, err := call[any](h, h.InterimHead, activities.InterimInput{Epoch: p.Epoch, N: 1}); err != nil {
		t.Fatal(err)
	}
	fresh := newHost(t, newMemory().pictures(5), there)
	fresh.now = h.now
	if res := fresh.backup(); res.Assets.Total != 5 {
		t.Errorf("result %+v", res.Assets)
	}
}

func TestAPlanWithOtherExclusionsIsMadeAnew(t *testing.T) {
	h := newHost(t, newMemory().pictures(2), t.TempDir())
	first := h.prepare()
	h.input.Exclude = []string{"hidden", "trashed"}
	second := h.prepare()
	if second.Resumed || second.Epoch == first.Epoch {
		t.Errorf("first %+v, then %+v", first, second)
	}
	h.input.Exclude = []string{"trashed", "hidden"}
	if third := h.prepare(); !third.Resumed {
		t.Errorf("the same exclusions: %+v, then %+v", second, third)
	}
}

func TestADamagedHeadHidesNoOlderOne(t *testing.T) {
	there := t.TempDir()
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
	h := newHost(t, lib, there)
	h.backup()
	second := h.backup()
	damage(t, there, second.Snapshot)
	fresh := newHost(t, lib, there)
	fresh.now = h.now
	if res := fresh.backup(); res.Assets.Unchanged != 1 || res.Bytes.Sent != 0 {
		t.Errorf("result %+v, %+v", res.Assets, res.Bytes)
	}
}

// damage overwrites the object whose name holds part.
func damage(t *testing.T, folder, part string) {
	t.Helper()
	damaged := false
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, part) {
			return err
		}
		damaged = true
		return os.WriteFile(path, []byte("damaged"), 0o600)
	})
	if err != nil || !damaged {
		t.Fatalf("damage %s: %t, %v", part, damaged, err)
	}
}

func TestADestinationThatRefusesEndsTheRun(t *testing.T) {
	for _, class := range []objectstore.Class{objectstore.Denied, objectstore.Invalid} {
		h := newHost(t, newMemory(), t.TempDir())
		h.store.before = refuse(class)
		_, err := call[activities.Prepared](h, h.PrepareRun, h.input)
		exits(t, err, exit.Destination)
	}
}

func TestAPlanThatIsNotThereIsATypedError(t *testing.T) {
	h := newHost(t, newMemory(), t.TempDir())
	for name, do := range map[string]func() error{
		"NextAssets": func() error {
			_, err := call[activities.Next](h, h.NextAssets, activities.NextInput{Epoch: 7})
			return err
		},
		"StoreAsset": func() error {
			_, err := h.storeAsset(activities.ItemInput{Epoch: 7, Lane: activities.Small})
			return err
		},
		"BuildPages": func() error { _, err := call[any](h, h.BuildPages, activities.Epoch(7)); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), activities.ErrPlanLost) {
			t.Errorf("%s without a plan: %v", name, err)
		}
	}
}
