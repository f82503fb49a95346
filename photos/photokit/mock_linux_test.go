package photokit_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"lightfast/photos"
	"lightfast/photos/photokit"
	"lightfast/photos/photokit/photokittest"
	"lightfast/photos/photostest"
)

// TestMain finds what all tests together leave behind: goroutines, processes
// and open files.
func TestMain(m *testing.M) {
	before := entries("/proc/self/fd")
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		const ofGo = 4 // what the runtime and the package testing open for themselves, once
		if files := entries("/proc/self/fd"); code == 0 && files > before+ofGo {
			fmt.Fprintf(os.Stderr, "%d files are open, %d at the beginning\n", files, before)
			code = 1
		}
		if left, err := children(os.Getpid()); code == 0 && (err != nil || len(left) > 0) {
			fmt.Fprintf(os.Stderr, "processes are left: %v, %v\n", left, err)
			code = 1
		}
		os.Exit(code)
	}))
}

func entries(dir string) int {
	e, err := os.ReadDir(dir)
	if err != nil {
		panic(err)
	}
	return len(e)
}

// open returns a client of helpers with the mock, as its settings make it.
func open(t *testing.T, o photokit.Options, mock ...string) *photokit.Client {
	t.Helper()
	o.Helper, o.Env = photokittest.Helper(t, mock...)
	o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := photokit.New(o)
	t.Cleanup(func() { c.Close() })
	return c
}

// cloud writes a folder as a library's in iCloud, and returns what is in it.
func cloud(t *testing.T, sizes ...int) (dir string, items []photostest.FetchItem) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "Test.cloud")
	for n, size := range sizes {
		id := fmt.Sprintf("%08d-0000-4000-8000-000000000000", n)
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(i>>8 ^ i*n)
		}
		i := photostest.FetchItem{ID: photos.AssetID(id), SHA256: fmt.Sprintf("%x", sha256.Sum256(content)),
			Resource: photos.Resource{Role: photos.RoleOriginal, Name: fmt.Sprintf("IMG_%04d.JPG", n), Path: "originals/" + id[:1] + "/" + id + ".jpeg",
				Size: int64(size), UTI: "public.jpeg", Reason: photos.ICloudOnly}}
		p := filepath.Join(dir, filepath.FromSlash(i.Resource.Path))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, content, 0o644); err != nil {
			t.Fatal(err)
		}
		items = append(items, i)
	}
	return dir, items
}

// realCloud is what a real library has only in iCloud.
func realCloud(t *testing.T) (dir string, items []photostest.FetchItem) {
	t.Helper()
	dir, err := filepath.Abs("../../../shared/libraries/Derived-icloud-15.cloud")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no real library here: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index []struct {
		UUID   photos.AssetID
		Role   photos.Role
		Name   string `json:"original_filename"`
		Path   string `json:"path_in_library"`
		Size   int64
		SHA256 string
	}
	if err := json.Unmarshal(b, &index); err != nil {
		t.Fatal(err)
	}
	for _, e := range index {
		items = append(items, photostest.FetchItem{ID: e.UUID, SHA256: e.SHA256, Resource: photos.Resource{Role: e.Role,
			Name: strings.TrimSuffix(e.Name, filepath.Ext(e.Name)) + filepath.Ext(e.Path), Path: e.Path, Size: e.Size, Reason: photos.ICloudOnly}})
	}
	return dir, items
}

func fits(i photostest.FetchItem, b []byte) error {
	if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != i.SHA256 {
		return fmt.Errorf("%s: %d bytes with another hash than the %d in iCloud", i.ID, len(b), i.Resource.Size)
	}
	return nil
}

func fields(settings string) []string { return strings.Fields(settings) }
