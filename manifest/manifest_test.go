package manifest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lightfast/manifest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a file that pins the format: such a file is never
// changed once a version was released, only added to.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs\n got %s\nwant %s", path, got, want)
	}
}

func hashOf(content string) manifest.Hash { return sha256.Sum256([]byte(content)) }

// The small repository that golden files and the recipe of docs/format.md use.
const (
	heicContent  = "not really a picture"
	plistContent = "not really a plist, not really a plist, not really a plist"
	aaeContent   = "<plist/>"
)

var when = time.Date(2026, 11, 23, 1, 23, 0, 500e6, time.FixedZone("", 3600))

func sampleAssets() []manifest.Asset {
	heic, plist, aae := hashOf(heicContent), hashOf(plistContent), hashOf(aaeContent)
	return []manifest.Asset{{
		ID:    "2CE332F9-D578-4769-AFA1-6631BB77BE30",
		Added: 1_600_000_000_000,
		Metadata: json.RawMessage(`{"original_filename": "Straße \u0026 <b>.HEIC", "kind":"photo",
			"place":{"longitude":13.40,"latitude":52.5}, "albums":["Trips/Berlin"]}`),
		Resources: []manifest.Resource{
			{Role: "original", Name: "Straße & <b>.HEIC", Path: "originals/2/2CE332F9.heic", UTI: "public.heic",
				Size: int64(len(heicContent)), ModTime: 1_600_000_000_123_456_789, SHA256: &heic,
				Key: manifest.BlobKey(heic, "heic")},
			{Role: "adjustment", Name: "Adjustments.plist", Path: "resources/renders/2/2CE332F9.plist",
				Size: int64(len(plistContent)), SHA256: &plist, Key: manifest.BlobKey(plist, "plist") + ".zst",
				Encoding: manifest.Zstd, StoredSize: 40},
			{Role: "sidecar", Name: "Straße.AAE", Path: "originals/2/2CE332F9.aae", Size: int64(len(aaeContent)),
				SHA256: &aae, Inline: []byte(aaeContent), Warning: "lost", Since: "2026-11-01T00:00:00Z"},
			{Role: "edited", Name: "Straße.jpeg", Size: -1, Reason: "render_never_made"},
		},
	}, {
		ID:       "raw:Zm9v_w",
		Orphan:   true,
		Metadata: json.RawMessage(`{}`),
		Resources: []manifest.Resource{{Role: "original", Name: "foo\ufffd", NameRaw: []byte("foo\xff"), Path: "foo\ufffd",
			PathRaw: []byte("foo\xff"), Size: int64(len(heicContent)), SHA256: &heic, Key: manifest.BlobKey(heic, "heic")}},
	}}
}

func samplePage(t testing.TB) *manifest.Page {
	t.Helper()
	p := manifest.NewPager()
	for _, a := range sampleAssets() {
		line, err := manifest.EncodeAsset(a)
		if err != nil {
			t.Fatal(err)
		}
		if page, err := p.Add(a.ID, line); page != nil || err != nil {
			t.Fatalf("Add = %v, %v, want neither", page, err)
		}
	}
	page, err := p.Flush()
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func sampleConfig() manifest.Config {
	return manifest.Config{Format: 1, Repository: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", Hash: manifest.SHA256, Created: when}
}

func sampleHead(t testing.TB) manifest.Head {
	page := samplePage(t)
	body := compress(t, page)
	run := "0b1c6a52-0d0e-4b8f-9b0a-1d2e3f405162"
	return manifest.Head{
		Format: 1, Complete: true, ID: manifest.SnapshotID(when, run), Repository: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
		Library: manifest.Library{ID: "E1B7BD20-3A3A-4C2B-8F3D-9F0B0A3C1D2E", Kind: "photos", Name: "Photos Library", Version: "15.0"},
		Host:    manifest.Host{ID: "5d0c", Name: "mac.local"}, Run: run, Time: when, ScannedAt: when.Add(-time.Minute),
		Parent:  "20261122T012300Z-ffff",
		Pages:   []manifest.PageRef{{SHA256: page.Hash, Assets: page.Assets, Size: page.Size, StoredSize: int64(len(body))}},
		Totals:  manifest.Totals{Assets: 1, Orphans: 1, Resources: 5, Stored: 4, Kept: 1, Bytes: 106},
		Reasons: map[string]int64{"render_never_made": 1, "lost": 1}, Accepted: []string{"lost"},
		Warnings: []string{"one FIFO left out"},
	}
}

func compress(t testing.TB, p *manifest.Page) []byte {
	t.Helper()
	body, err := p.Compress()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func sampleReceipt() manifest.Receipt {
	return manifest.Receipt{Format: 1, ID: "c0ffee", Kind: "verify", Repository: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
		Library: "E1B7BD20-3A3A-4C2B-8F3D-9F0B0A3C1D2E", Run: "r1", Snapshot: "20261122T012300Z-ffff", Host: manifest.Host{ID: "5d0c", Name: "mac.local"},
		Started: when, Finished: when.Add(time.Hour), Totals: manifest.Totals{Assets: 1, Bytes: 106}, Objects: 3, Bytes: 106, PeakRSS: 1 << 27,
		Damaged: []manifest.Damage{{Key: manifest.BlobKey(hashOf("x"), "mov"), Missing: true},
			{Key: manifest.BlobKey(hashOf("y"), ""), ETag: `"abc-2"`, Why: "hash mismatch"}}}
}

func TestFormatIsWhatItWas(t *testing.T) {
	config, err := manifest.EncodeConfig(sampleConfig())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "config.json", config)

	var page bytes.Buffer
	for _, a := range sampleAssets() {
		line, err := manifest.EncodeAsset(a)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&page, "%s\n", line)
	}
	golden(t, "page.jsonl", page.Bytes())
	if got, want := samplePage(t).Hash, hashOf(page.String()); got != want {
		t.Errorf("page hash = %v, want that of its lines %v", got, want)
	}

	h := sampleHead(t)
	h.Pages[0].StoredSize = 600 // depends on the version of the compressor
	head, err := manifest.EncodeHead(h)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "head.json", head)

	receipt, err := manifest.EncodeReceipt(sampleReceipt())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "receipt.json", receipt)
}

// The page object itself, as it was compressed when format 1 began.
func TestOldPageObjectIsStillRead(t *testing.T) {
	path := filepath.Join("testdata", "page.jsonl.zst.golden")
	if *update {
		if err := os.WriteFile(path, compress(t, samplePage(t)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for a, err := range manifest.ReadPage(bytes.NewReader(data), samplePage(t).Hash) {
		if err != nil {
			t.Fatal(err)
		}
		if want := sampleAssets()[n].ID; a.ID != want {
			t.Errorf("asset %d = %q, want %q", n, a.ID, want)
		}
		n++
	}
	if n != len(sampleAssets()) {
		t.Errorf("ReadPage yielded %d assets, want %d", n, len(sampleAssets()))
	}
}
