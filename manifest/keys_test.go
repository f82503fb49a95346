package manifest_test

import (
	"strings"
	"testing"
	"time"

	"lightfast/manifest"
)

func TestExtensionLetsNothingStrangeIntoAKey(t *testing.T) {
	for name, want := range map[string]string{
		"IMG_1.HEIC": "heic", "a.b.MOV": "mov", "noext": "", "": "", ".": "", "dot.": "", ".hidden": "hidden", "x.mp4": "mp4",
		"x.zst": "", "x.ZST": "", "x.toolongext": "", "x.jp g": "", "x.é": "", "x.\u212a": "", "x.a/b": "", "x.\xff": "", "x.a\n": "",
	} {
		if got := manifest.Extension(name); got != want {
			t.Errorf("Extension(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestBlobKeysAreParsedBack(t *testing.T) {
	h := hashOf("x")
	for _, ext := range []string{"", "heic", "mp4"} {
		for _, suffix := range []string{"", ".zst"} {
			key := manifest.BlobKey(h, ext) + suffix
			if got, ok := manifest.ParseBlobKey(key); !ok || got != h {
				t.Errorf("ParseBlobKey(%q) = %v, %v, want %v", key, got, ok, h)
			}
		}
	}
	if got, ok := manifest.ParsePageKey(manifest.PageKey(h)); !ok || got != h {
		t.Errorf("ParsePageKey(%q) = %v, %v, want %v", manifest.PageKey(h), got, ok, h)
	}
	s := h.String()
	for _, key := range []string{"", "blobs/", s, "blobs/" + s, "blobs/00/" + s, "blobs/" + s[:2] + "/" + s[:62], "blobs/" + s[:2] + "/" + s + ".",
		"blobs/" + s[:2] + "/" + s + ".HEIC", "blobs/" + s[:2] + "/" + s + ".a.b", "blobs/" + s[:2] + "/" + strings.ToUpper(s),
		"blobs/" + s[:2] + "/" + s + "/..", "../" + manifest.BlobKey(h, ""), "pages/" + s[:2] + "/" + s, manifest.BlobKey(h, "heic") + ".zst.zst"} {
		if _, ok := manifest.ParseBlobKey(key); ok {
			t.Errorf("ParseBlobKey(%q) succeeded", key)
		}
		if _, ok := manifest.ParsePageKey(key); ok {
			t.Errorf("ParsePageKey(%q) succeeded", key)
		}
	}
}

func TestLibraryKeyIsSafeAndStable(t *testing.T) {
	uuid := "E1B7BD20-3A3A-4C2B-8F3D-9F0B0A3C1D2E"
	if got := manifest.LibraryKey(uuid); got != uuid {
		t.Errorf("LibraryKey(%q) = %q, want it unchanged", uuid, got)
	}
	seen := map[string]string{}
	for _, id := range []string{"", "..", "a/b", "a b", "é", "x.json", strings.Repeat("a", 65), "a\x00"} {
		key := manifest.LibraryKey(id)
		if len(key) != 32 || strings.Trim(key, "0123456789abcdef") != "" {
			t.Errorf("LibraryKey(%q) = %q, want 32 hexadecimal digits", id, key)
		}
		if again := manifest.LibraryKey(key); again != key {
			t.Errorf("LibraryKey(%q) = %q, want it unchanged", key, again)
		}
		if other, ok := seen[key]; ok {
			t.Errorf("LibraryKey is the same for %q and %q", id, other)
		}
		seen[key] = id
	}
}

func TestSnapshotKeysAreToldApart(t *testing.T) {
	at := time.Date(2026, 11, 23, 2, 23, 0, 9e8, time.FixedZone("", 3600))
	id := manifest.SnapshotID(at, "run-1")
	if want := "20261123T012300Z-run-1"; id != want {
		t.Fatalf("SnapshotID = %q, want %q", id, want)
	}
	head, interim, pending := manifest.HeadKey("lib", id), manifest.InterimKey("lib", id, 12), manifest.PendingKey("lib", id)
	for key, want := range map[string]string{
		head: "head", interim: "interim", pending: "pending",
		"snapshots/lib/" + id:                     "",
		"snapshots/lib/" + id + ".interim-":       "",
		"snapshots/lib/" + id + ".interim-01":     "",
		"snapshots/lib/" + id + ".interim--1":     "",
		"snapshots/lib/x/" + id + ".json":         "",
		"snapshots/" + id + ".json":               "",
		"snapshots/../" + id + ".json":            "",
		"snapshots/lib/.json":                     "",
		"x/" + head:                               "",
		"snapshots/lib/.lf-tmp-a-" + id + ".json": "",
	} {
		var got string
		if l, i, ok := manifest.ParseHeadKey(key); ok && l == "lib" && i == id {
			got += "head"
		}
		if l, i, n, ok := manifest.ParseInterimKey(key); ok && l == "lib" && i == id && n == 12 {
			got += "interim"
		}
		if l, i, ok := manifest.ParsePendingKey(key); ok && l == "lib" && i == id {
			got += "pending"
		}
		if got != want {
			t.Errorf("%q is parsed as %q, want %q", key, got, want)
		}
	}
	if got, want := manifest.ReceiptKey(at, "a/b"), "receipts/20261123T012300Z-"+manifest.LibraryKey("a/b")+".json"; got != want {
		t.Errorf("ReceiptKey = %q, want %q", got, want)
	}
}

func TestHashHasOneSpelling(t *testing.T) {
	h := hashOf("x")
	if got, err := manifest.ParseHash(h.String()); err != nil || got != h {
		t.Errorf("ParseHash(%q) = %v, %v", h.String(), got, err)
	}
	for _, s := range []string{"", "ab", strings.ToUpper(h.String()), h.String() + "0", strings.Repeat("g", 64)} {
		if _, err := manifest.ParseHash(s); err == nil {
			t.Errorf("ParseHash(%q) succeeded", s)
		}
	}
}
