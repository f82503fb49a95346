package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lightfast/photos"
	"lightfast/photos/photostest"
)

// folderPlace has n small photos and one film that is sent in parts.
func folderPlace(t *testing.T, n int) *place {
	p := newPlace(t)
	for i := range n {
		write(t, filepath.Join(p.source, fmt.Sprint(2000+i%3), fmt.Sprintf("IMG_%04d.JPG", i)), 20_000+i, uint64(i))
	}
	write(t, filepath.Join(p.source, "MOV_0001.MOV"), 40<<20, 99)
	return p
}

func TestFolderComesBackByteForByte(t *testing.T) {
	t.Parallel()
	p := folderPlace(t, 30)
	write(t, filepath.Join(p.source, "Ümläut 📷/a\nb.JPG"), 100, 1)
	write(t, filepath.Join(p.source, "empty.JPG"), 0, 1)
	write(t, filepath.Join(p.source, "not utf8 \xff.JPG"), 50, 1)
	res := p.backup(0)
	if got := number(t, res, "assets", "stored"); got != 34 {
		t.Errorf("stored = %d, want 34", got)
	}
	p.restore(0)
	sameTree(t, p.source, p.out)
	// A second restore finds everything there.
	if res := p.restore(0); number(t, res, "files") != 0 || number(t, res, "equal") != 34 {
		t.Errorf("second restore wrote %d files and found %d equal, want 0 and 34", number(t, res, "files"), number(t, res, "equal"))
	}
}

func TestUnchangedSendsNothingAndSchedulesNothing(t *testing.T) {
	t.Parallel()
	p := folderPlace(t, 30)
	p.backup(0)
	if got := p.assetActivities(t); got != 31 {
		t.Errorf("first backup: %d asset activities, want 31", got)
	}
	res := p.backup(0)
	if sent := number(t, res, "bytes", "sent"); sent != 0 {
		t.Errorf("second backup sent %d bytes, want 0", sent)
	}
	if got := p.assetActivities(t); got != 0 {
		t.Errorf("second backup: %d asset activities, want 0", got)
	}
	now := time.Now().Add(time.Minute)
	for _, name := range []string{"2000/IMG_0000.JPG", "2001/IMG_0001.JPG", "MOV_0001.MOV"} {
		if err := os.Chtimes(filepath.Join(p.source, name), now, now); err != nil {
			t.Fatal(err)
		}
	}
	res = p.backup(0)
	if got := p.assetActivities(t); got != 3 {
		t.Errorf("after touching 3: %d asset activities, want 3", got)
	}
	if sent, stored := number(t, res, "bytes", "sent"), number(t, res, "assets", "stored"); sent != 0 || stored != 3 {
		t.Errorf("after touching 3: sent %d bytes of %d assets, want 0 of 3", sent, stored)
	}
}

// photosPlace has a Photos library in which every asset is in one album.
func photosPlace(t *testing.T, n int) *place {
	p := newPlace(t)
	p.source += ".photoslibrary"
	spec := photostest.Mix(n, 1)
	for i := range spec.Assets {
		spec.Assets[i].Albums = append(spec.Assets[i].Albums, "Everything")
	}
	if err := photostest.BuildLibrary(p.source, spec); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRenamedAlbumRewritesPagesAlone(t *testing.T) {
	t.Parallel()
	p := photosPlace(t, 60)
	p.backup(0)
	before := p.pages(t)
	if err := photostest.RenameAlbum(p.source, "Everything", "All of it"); err != nil {
		t.Fatal(err)
	}
	res := p.backup(0)
	if got := p.assetActivities(t); got != 0 {
		t.Errorf("%d asset activities, want 0", got)
	}
	if sent := number(t, res, "bytes", "sent"); sent != 0 {
		t.Errorf("sent %d bytes, want 0", sent)
	}
	if after := p.pages(t); after <= before {
		t.Errorf("%d pages, were %d: none was rewritten", after, before)
	}
	for id, a := range p.ls() {
		if albums := fmt.Sprint(a["albums"]); !contains(a["albums"], "All of it") || contains(a["albums"], "Everything") {
			t.Errorf("%s: albums = %s", id, albums)
		}
	}
}

func contains(list any, s string) bool {
	for _, v := range list.([]any) {
		if v == s {
			return true
		}
	}
	return false
}

func (p *place) pages(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(p.dest, "pages", "*", "*.zst"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// original returns the original of an asset as `ls` shows it.
func (p *place) original(id photos.AssetID) map[string]any {
	p.t.Helper()
	for _, r := range p.ls()[string(id)]["resources"].([]any) {
		if m := r.(map[string]any); m["role"] == "original" {
			return m
		}
	}
	p.t.Fatalf("%s has no original", id)
	return nil
}

func TestEvictedAndLostOriginalsStayInEverySnapshot(t *testing.T) {
	t.Parallel()
	p := photosPlace(t, 40)
	p.backup(0)
	whole := tree(t, p.source)
	var ids []photos.AssetID
	for id := range p.ls() {
		ids = append(ids, photos.AssetID(id))
	}
	evicted, lost := ids[0], ids[1]
	if err := photostest.Evict(p.source, evicted); err != nil {
		t.Fatal(err)
	}
	lostPath := p.original(lost)["path"].(string)
	if err := os.Remove(filepath.Join(p.source, lostPath)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also in the snapshot after the next
		res := p.backup(0)
		if kept := number(t, res, "resources", "kept"); kept != 2 {
			t.Errorf("kept = %d, want 2", kept)
		}
		for id, why := range map[photos.AssetID]string{evicted: "icloud_only", lost: "lost"} {
			o := p.original(id)
			if o["sha256"] == nil || o["warning"] != why || o["since"] == nil {
				t.Errorf("original of %s = %v, want it kept with warning %s", id, o, why)
			}
		}
	}
	p.restore(0)
	restored := tree(t, p.out)
	for _, id := range []photos.AssetID{evicted, lost} {
		path := p.original(id)["path"].(string)
		if got, ok := restored[path]; !ok || got != whole[path] {
			t.Errorf("%s was not restored as it was", path)
		}
	}
}

func TestAbsentOriginalIsStoredWhenItIsBack(t *testing.T) {
	t.Parallel()
	p := photosPlace(t, 40)
	ids := libraryIDs(t, p.source)
	if err := photostest.Evict(p.source, ids[0]); err != nil {
		t.Fatal(err)
	}
	res := p.backup(3)
	if got := number(t, res, "resources", "absent", "icloud_only"); got != 1 {
		t.Errorf("absent icloud_only = %d, want 1", got)
	}
	if o := p.original(ids[0]); o["reason"] != "icloud_only" || o["sha256"] != nil {
		t.Errorf("original = %v, want absent: icloud_only", o)
	}
	if err := photostest.PutBack(p.source, ids[0]); err != nil {
		t.Fatal(err)
	}
	res = p.backup(0)
	if got := number(t, res, "assets", "stored"); got != 1 {
		t.Errorf("stored = %d, want 1", got)
	}
	p.restore(0)
	path := p.original(ids[0])["path"].(string)
	if tree(t, p.out)[path] != tree(t, p.source)[path] {
		t.Errorf("%s was not restored as it is", path)
	}
}

func TestStateLostCostsReadingNotSending(t *testing.T) {
	t.Parallel()
	p := photosPlace(t, 40)
	p.backup(0)
	ids := libraryIDs(t, p.source)
	if err := photostest.Evict(p.source, ids[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(p.state); err != nil {
		t.Fatal(err)
	}
	res := p.backup(0)
	if sent := number(t, res, "bytes", "sent"); sent != 0 {
		t.Errorf("sent %d bytes, want 0", sent)
	}
	if o := p.original(ids[0]); o["warning"] != "icloud_only" || o["sha256"] == nil {
		t.Errorf("original = %v, want it kept", o)
	}
}
