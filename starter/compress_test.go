package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// blobBytes sums the blobs of a repository in a folder: those that are
// compressed, and the others.
func blobBytes(t *testing.T, dest string) (packed, plain int64) {
	t.Helper()
	err := filepath.Walk(filepath.Join(dest, "blobs"), func(path string, info os.FileInfo, err error) error {
		switch {
		case err != nil || info.IsDir():
		case strings.HasSuffix(path, ".zst"):
			packed += info.Size()
		default:
			plain += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return packed, plain
}

func TestDatabasesOfABundleTravelCompressed(t *testing.T) {
	t.Parallel()
	p := photosPlace(t, 40)
	p.backup(0) // the pictures
	found, _ := split(tree(t, p.source))
	size := int64(0)
	for _, content := range found {
		size += int64(len(content))
	}
	res := p.backup(0, "--photos-handling", "LibraryOnly")
	packed, _ := blobBytes(t, p.dest)
	if sent := number(t, res, "bytes", "sent"); sent >= size || packed == 0 || packed > sent {
		t.Errorf("%d bytes were sent, %d are compressed; want less than the %d of the databases", sent, packed, size)
	}
	library := res["library"].(string)
	sameBundle(t, p.source, p.restoreTo(library, "latest"))
	ev, code := p.run("verify", "--from", p.dest, "--checksums")
	if code != 0 || number(t, ev["result"][0], "blobs") == 0 {
		t.Errorf("verify ended with %d: %v", code, ev["result"])
	}
	// What is stored compressed is known also to a host that has lost all.
	p.state = filepath.Join(t.TempDir(), "state")
	if res := p.backup(0, "--photos-handling", "LibraryOnly"); number(t, res, "bytes", "sent") != 0 {
		t.Errorf("without its state directory it sent %v", res["bytes"])
	}
}

func TestTIFFIsCompressedOnRequestOnly(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	content := []byte("II*\x00" + strings.Repeat("\x10\x20\x30\x31", 500_000))
	if err := errors.Join(os.Mkdir(p.source, 0o700), os.WriteFile(filepath.Join(p.source, "scan.tif"), content, 0o600)); err != nil {
		t.Fatal(err)
	}
	p.backup(0)
	if packed, plain := blobBytes(t, p.dest); packed != 0 || plain < int64(len(content)) {
		t.Errorf("without --compress %d bytes are compressed, %d are not", packed, plain)
	}
	p.dest = filepath.Join(t.TempDir(), "repository")
	p.backup(0, "--init", "--compress")
	if packed, _ := blobBytes(t, p.dest); packed == 0 || packed > int64(len(content))/10 {
		t.Errorf("with --compress %d bytes are compressed", packed)
	}
	if tree(t, p.restoreTo("", "latest"))["scan.tif"] != string(content) {
		t.Error("scan.tif did not come back as it was")
	}
}
