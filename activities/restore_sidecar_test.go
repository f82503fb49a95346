package activities_test

import (
	"bytes"
	"context"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lightfast/activities"
	"lightfast/photos"
)

// titled is a library that says something of each asset.
type titled struct{ *memory }

func (l titled) Scan(ctx context.Context) iter.Seq2[photos.Asset, error] {
	return func(yield func(photos.Asset, error) bool) {
		for a, err := range l.memory.Scan(ctx) {
			a.Metadata.Title = "title of " + string(a.ID)
			if !yield(a, err) {
				return
			}
		}
	}
}

// TestSidecarsComeOfThePlanThatADeadProcessLeft: the plan has what they are
// made of, not the sidecars, and files that were done are not asked for again.
func TestSidecarsComeOfThePlanThatADeadProcessLeft(t *testing.T) {
	lib := newMemory()
	for _, name := range []string{"a.jpg", "b.jpg", "c.jpg"} {
		lib.put(name, photos.RoleOriginal, []byte("content of "+name))
	}
	folder, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
	h := newHost(t, lib, folder)
	h.OpenSource = func(context.Context, activities.SourceSpec) (photos.Source, error) { return titled{lib}, nil }
	h.backup()

	in := activities.RestoreInput{Dest: folder, Snapshot: "latest", Target: target, Layout: activities.LayoutFlat, Sidecars: true, GiveUp: time.Hour}
	prepare := func() activities.Prepared {
		p, err := call[activities.Prepared](h, h.PrepareRestore, in)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := prepare()
	for item := range int64(3) {
		it, err := h.Catalog.PlannedItem(t.Context(), p.Epoch, item+1)
		if err != nil || !bytes.Contains(it.Doc, []byte("title of")) || bytes.Contains(it.Doc, []byte("inline")) {
			t.Errorf("the plan has %s, %v, want the metadata alone", it.Doc, err)
		}
	}
	first, _ := h.next(p.Epoch, activities.Small)
	if _, err := call[activities.Outcome](h, h.RestoreAsset, first); err != nil {
		t.Fatal(err)
	}
	activities.Close(h.Activities) // as if the process had died

	if again := prepare(); !again.Resumed || again.Epoch != p.Epoch {
		t.Fatalf("prepared %+v, want the plan %d of before", again, p.Epoch)
	}
	for in, ok := h.next(p.Epoch, activities.Small); ok; in, ok = h.next(p.Epoch, activities.Small) {
		if in.Item == first.Item {
			t.Fatalf("%s is asked for again", in.Name)
		}
		if _, err := call[activities.Outcome](h, h.RestoreAsset, in); err != nil {
			t.Fatal(err)
		}
	}
	res, err := call[activities.RestoreResult](h, h.FinishRestore, p.Epoch)
	if err != nil || res.Files != 3 || res.Sidecars != 3 || res.Count != 0 {
		t.Errorf("FinishRestore = %+v, %v, want 3 files with 3 sidecars", res, err)
	}
	for _, name := range []string{"a.jpg", "b.jpg", "c.jpg"} {
		b, err := os.ReadFile(filepath.Join(target, name+".xmp"))
		if err != nil || !strings.Contains(string(b), "title of "+name) {
			t.Errorf("%s.xmp = %s, %v", name, b, err)
		}
	}
}
