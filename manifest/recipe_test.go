package manifest_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"lightfast/manifest"
)

// recipe returns the script that docs/format.md tells a stranger to save.
func recipe(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"sh", "zstd", "jq", "sha256sum", "base64"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the recipe needs %s: %v", tool, err)
		}
	}
	doc, err := os.ReadFile("../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, found := strings.Cut(string(doc), "```sh\n")
	script, _, closed := strings.Cut(script, "```\n")
	if !found || !closed {
		t.Fatal("docs/format.md has no script")
	}
	path := filepath.Join(t.TempDir(), "restore.sh")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sampleRepository writes the sample as a folder.
func sampleRepository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	put := func(key string, data []byte, err error) {
		t.Helper()
		path := filepath.Join(root, key)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	put(manifest.BlobKey(hashOf(heicContent), "heic"), []byte(heicContent), nil)
	put(manifest.BlobKey(hashOf(plistContent), "plist")+".zst", enc.EncodeAll([]byte(plistContent), nil), nil)
	page := samplePage(t)
	put(manifest.PageKey(page.Hash), compress(t, page), nil)

	h := sampleHead(t)
	head, err := manifest.EncodeHead(h)
	put(manifest.HeadKey(h.Library.ID, h.ID), head, err)
	older := h
	older.ID, older.Pages = "20251123T012300Z-older", nil
	head, err = manifest.EncodeHead(older)
	put(manifest.HeadKey("zzz", older.ID), head, err)
	config, err := manifest.EncodeConfig(sampleConfig())
	put(manifest.ConfigKey, config, err)
	return root
}

func restore(t *testing.T, script, repo string) (files map[string]string, out string, err error) {
	t.Helper()
	target := t.TempDir()
	output, err := exec.CommandContext(t.Context(), "sh", script, repo, target).CombinedOutput()
	files = map[string]string{}
	root := filepath.Join(target, "files")
	walkErr := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, root+"/")] = string(data)
		return err
	})
	if walkErr != nil {
		t.Errorf("%v\n%s", walkErr, output)
	}
	return files, string(output), err
}

func TestStrangerRestoresWithPlainTools(t *testing.T) {
	script, repo := recipe(t), sampleRepository(t)
	files, out, err := restore(t, script, repo)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := map[string]string{
		"originals/2/2CE332F9.heic":          heicContent,
		"originals/2/2CE332F9.aae":           aaeContent,
		"resources/renders/2/2CE332F9.plist": plistContent,
		"foo\ufffd":                          heicContent,
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("restored files (-want +got):\n%s\n%s", diff, out)
	}
}

// A database as a backup stores it: one frame, larger than its window, with
// the size of its content.
func TestStrangerRestoresALargeCompressedBlob(t *testing.T) {
	script, repo := recipe(t), t.TempDir()
	content := strings.Repeat("SQLite format 3, one page after another; ", 100_000)
	h := hashOf(content)
	var blob bytes.Buffer
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	enc.ResetContentSize(&blob, int64(len(content)))
	_, err = io.WriteString(struct{ io.Writer }{enc}, content)
	if err := errors.Join(err, enc.Close()); err != nil {
		t.Fatal(err)
	}
	key := manifest.BlobKey(h, "sqlite") + manifest.ZstdSuffix
	line, err := manifest.EncodeAsset(manifest.Asset{ID: "database/Photos.sqlite", Resources: []manifest.Resource{{Role: "library", Name: "Photos.sqlite",
		Path: "database/Photos.sqlite", Size: int64(len(content)), SHA256: &h, Key: key, Encoding: manifest.Zstd, StoredSize: int64(blob.Len())}}})
	if err != nil {
		t.Fatal(err)
	}
	pager := manifest.NewPager()
	page, err := pager.Add("database/Photos.sqlite", line)
	if page == nil && err == nil {
		page, err = pager.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	head := sampleHead(t)
	head.Pages = []manifest.PageRef{{SHA256: page.Hash, Assets: 1, Size: page.Size}}
	body, err := manifest.EncodeHead(head)
	if err != nil {
		t.Fatal(err)
	}
	for key, data := range map[string][]byte{key: blob.Bytes(), manifest.PageKey(page.Hash): compress(t, page), manifest.HeadKey(head.Library.ID, head.ID): body} {
		path := filepath.Join(repo, key)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	files, out, err := restore(t, script, repo)
	if err != nil || len(files) != 1 || files["database/Photos.sqlite"] != content {
		t.Errorf("%d files came back, %v\n%s", len(files), err, out)
	}
}

func TestStrangerIsToldOfDamage(t *testing.T) {
	script, repo := recipe(t), sampleRepository(t)
	blob := filepath.Join(repo, manifest.BlobKey(hashOf(heicContent), "heic"))
	if err := os.WriteFile(blob, []byte("another picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	files, out, err := restore(t, script, repo)
	if err == nil || !strings.Contains(out, "damaged or missing: originals/2/2CE332F9.heic") {
		t.Errorf("restore of a damaged blob: %v\n%s", err, out)
	}
	if len(files) != 2 || files["originals/2/2CE332F9.aae"] != aaeContent {
		t.Errorf("files = %q, want the two that are not damaged", files)
	}
	if err := os.Remove(blob); err != nil {
		t.Fatal(err)
	}
	if files, out, err := restore(t, script, repo); err == nil || len(files) != 2 {
		t.Errorf("restore of a missing blob: %v, %d files\n%s", err, len(files), out)
	}
}

func TestRestoredFileHasItsTime(t *testing.T) {
	script, repo := recipe(t), sampleRepository(t)
	target := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "sh", script, repo, target).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(filepath.Join(target, "files/originals/2/2CE332F9.heic"))
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Unix(1_600_000_000, 0); !info.ModTime().Equal(want) {
		t.Errorf("time = %v, want %v", info.ModTime(), want)
	}
}
