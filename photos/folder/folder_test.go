package folder_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"lightfast/photos"
	"lightfast/photos/folder"
	"lightfast/photos/photostest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, path string, o folder.Options) *folder.Folder {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	f, err := folder.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// write makes files with their own names as content. A name that ends in "/"
// is a folder.
func write(t testing.TB, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, []byte(name), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func scan(t testing.TB, f *folder.Folder) map[photos.AssetID]photos.Asset {
	t.Helper()
	assets := map[photos.AssetID]photos.Asset{}
	for a, err := range f.Scan(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := assets[a.ID]; ok {
			t.Errorf("asset %q came twice", a.ID)
		}
		assets[a.ID] = a
	}
	return assets
}

// shapes says for each asset its kind and the roles and names of its resources.
func shapes(assets map[photos.AssetID]photos.Asset) map[photos.AssetID]string {
	m := map[photos.AssetID]string{}
	for id, a := range assets {
		s := []string{string(a.Metadata.Kind)}
		for _, r := range a.Resources {
			word := string(r.Role) + "=" + r.Name
			if !r.Present() {
				word += "!" + string(r.Reason)
			}
			s = append(s, word)
		}
		m[id] = strings.Join(s, " ")
	}
	return m
}

func TestFolderIsASource(t *testing.T) {
	photostest.Run(t, photostest.Fixture{
		Make: func(t *testing.T) string {
			root := t.TempDir()
			write(t, root, "a.jpg", "b/c.HEIC", "b/c.aae", "b/d/e.mov", "b/f\xff.png", "x\ny.txt", "empty/", ".DS_Store")
			if err := os.WriteFile(filepath.Join(root, "large.mp4"), make([]byte, 300_000), 0o600); err != nil {
				t.Fatal(err)
			}
			return root
		},
		Open: func(t *testing.T, path string) photos.Source { return open(t, path, folder.Options{HostID: "h"}) },
		File: func(path string, r photos.Resource) string {
			if r.PathRaw != nil {
				return filepath.Join(path, string(r.PathRaw))
			}
			return filepath.Join(path, r.Path)
		},
	})
}

func TestSidecarsGoWithTheirPhoto(t *testing.T) {
	root := t.TempDir()
	write(t, root, "IMG_1.HEIC", "IMG_1.mov", "IMG_1.AAE", "IMG_1.xmp", "alone.aae",
		"film.mov", "film.XMP", "img_1.aae", // stems are compared as they are
		"dark.jpg", "dark.png", "dark.png.xmp", "dark.xmp",
		"dir/", "dir.aae", "dir.jpg", "only/", "only.xmp", "sub/IMG_1.aae", "._IMG_1.aae", "trap.aae/", "trap.jpg", "note.txt", "note.xmp")
	want := map[photos.AssetID]string{
		"IMG_1.HEIC":    "photo original=IMG_1.HEIC sidecar=IMG_1.AAE sidecar=IMG_1.xmp",
		"IMG_1.mov":     "video original=IMG_1.mov",
		"alone.aae":     "other original=alone.aae",
		"film.mov":      "video original=film.mov sidecar=film.XMP",
		"img_1.aae":     "other original=img_1.aae",
		"dark.jpg":      "photo original=dark.jpg sidecar=dark.xmp",
		"dark.png":      "photo original=dark.png sidecar=dark.png.xmp",
		"dir.jpg":       "photo original=dir.jpg sidecar=dir.aae",
		"only.xmp":      "other original=only.xmp",
		"sub/IMG_1.aae": "other original=IMG_1.aae",
		"trap.jpg":      "photo original=trap.jpg",
		"note.txt":      "other original=note.txt sidecar=note.xmp",
	}
	if diff := cmp.Diff(want, shapes(scan(t, open(t, root, folder.Options{})))); diff != "" {
		t.Errorf("assets (-want +got):\n%s", diff)
	}
}

func TestLitterAndPhotosLibrariesAreNamed(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a.jpg", ".DS_Store", "sub/Thumbs.db", "sub/._a.jpg", "My Photos.photoslibrary/originals/0/x.heic", ".hidden.jpg")
	f := open(t, root, folder.Options{})
	want := map[photos.AssetID]string{"a.jpg": "photo original=a.jpg", ".hidden.jpg": "photo original=.hidden.jpg"}
	if diff := cmp.Diff(want, shapes(scan(t, f))); diff != "" {
		t.Errorf("assets (-want +got):\n%s", diff)
	}
	wantWarnings := []string{
		"left out a Photos library; back it up with: lightfast backup --source '" + root + "/My Photos.photoslibrary'",
		"left out 3 files named .DS_Store, Thumbs.db or ._*",
	}
	if diff := cmp.Diff(wantWarnings, f.Warnings()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// The test hangs if one of them is opened or followed in a circle.
func TestWhatIsNoFileIsNeverOpened(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a.jpg", "sub/b.jpg")
	if err := errors.Join(
		syscall.Mkfifo(filepath.Join(root, "pipe.jpg"), 0o644),
		os.Symlink(".", filepath.Join(root, "loop")),
		os.Symlink("a.jpg", filepath.Join(root, "link.jpg")),
		os.Symlink("nowhere", filepath.Join(root, "dangling.jpg")),
		os.Symlink("/etc", filepath.Join(root, "outside")),
	); err != nil {
		t.Fatal(err)
	}
	t.Chdir(root) // the path of a socket is short
	l, err := net.Listen("unix", "socket.jpg")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	f := open(t, root, folder.Options{})
	want := map[photos.AssetID]string{"a.jpg": "photo original=a.jpg", "sub/b.jpg": "photo original=b.jpg"}
	if diff := cmp.Diff(want, shapes(scan(t, f))); diff != "" {
		t.Errorf("assets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"left out 6 symlinks, FIFOs, sockets or devices"}, f.Warnings()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	for _, name := range []string{"pipe.jpg", "link.jpg", "socket.jpg", "sub", "outside/passwd", "../x"} {
		if r, err := f.Open(t.Context(), photos.Resource{Path: name}); err == nil {
			t.Errorf("Open(%q) = %v, want an error", name, r)
		}
	}
}

func TestWithoutRights(t *testing.T) {
	if photostest.AsNobody(t) {
		return
	}
	root := t.TempDir()
	write(t, root, "a.jpg", "secret.jpg", "secret.aae", "locked/b.jpg", "noexec/c.jpg")
	for name, mode := range map[string]fs.FileMode{"secret.jpg": 0, "locked": 0, "noexec": 0o400} {
		path := filepath.Join(root, name)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(path, 0o700) })
	}
	f := open(t, root, folder.Options{})
	want := map[photos.AssetID]string{
		"a.jpg":      "photo original=a.jpg",
		"secret.jpg": "photo original=secret.jpg!unavailable sidecar=secret.aae",
		"locked/":    "other other=locked!unavailable",
		"noexec/":    "other other=noexec!unavailable",
	}
	if diff := cmp.Diff(want, shapes(scan(t, f))); diff != "" {
		t.Errorf("assets (-want +got):\n%s", diff)
	}
	if w := f.Warnings(); len(w) != 3 {
		t.Errorf("warnings = %q, want one for each thing that cannot be read", w)
	}

	if err := os.Chmod(root, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(root, 0o700) })
	if _, err := folder.Open(root, folder.Options{}); !isSourceError(err, "not permitted") {
		t.Errorf("Open of a forbidden folder: %v", err)
	}
	for _, err := range f.Scan(t.Context()) {
		if !isSourceError(err, "not permitted") {
			t.Errorf("Scan of a forbidden folder: %v", err)
		}
	}
}

func isSourceError(err error, why string) bool {
	e, ok := errors.AsType[*photos.SourceError](err)
	return ok && e.Why == why && e.Do != ""
}

func TestFolderThatIsNoneIsASourceError(t *testing.T) {
	root := t.TempDir()
	write(t, root, "file")
	for path, why := range map[string]string{"missing": "no such folder", "file": "not a folder", "file/below": "not a folder"} {
		if f, err := folder.Open(filepath.Join(root, path), folder.Options{}); !isSourceError(err, why) && path != "file/below" || err == nil {
			t.Errorf("Open(%q) = %v, %v, want a *photos.SourceError that says %q", path, f, err, why)
		}
	}
}

func TestEjectedVolumeIsNotAnEmptyFolder(t *testing.T) {
	root := filepath.Join(t.TempDir(), "volume")
	write(t, root, "a.jpg")
	f := open(t, root, folder.Options{})
	if err := os.Rename(root, root+".away"); err != nil {
		t.Fatal(err)
	}
	check := func(why string) {
		t.Helper()
		var last error
		for _, err := range f.Scan(t.Context()) {
			last = err
		}
		if !isSourceError(last, why) {
			t.Errorf("Scan ended with %v, want %q", last, why)
		}
		if _, err := f.Identity(t.Context()); !isSourceError(err, why) {
			t.Errorf("Identity: %v, want %q", err, why)
		}
	}
	check("no such folder")
	write(t, root, "b.jpg")
	check("another folder has taken its place")
}

func TestIdentityFollowsPathOrName(t *testing.T) {
	parent := t.TempDir()
	write(t, parent, "one/a", "two/a")
	one, two := filepath.Join(parent, "one"), filepath.Join(parent, "two")
	identity := func(path string, o folder.Options) photos.Identity {
		id, err := open(t, path, o).Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	base := identity(one, folder.Options{HostID: "h"})
	if want := (photos.Identity{ID: base.ID, Kind: "folder", Version: "1", Name: "one"}); base != want {
		t.Errorf("Identity = %+v, want %+v", base, want)
	}
	if again := identity(two+"/../one/", folder.Options{HostID: "h"}); again != base {
		t.Errorf("another spelling of the path is %+v, want %+v", again, base)
	}
	named := identity(one, folder.Options{HostID: "h", Name: "n"})
	if moved := identity(two, folder.Options{HostID: "i", Name: "n"}); moved != named || named.Name != "n" {
		t.Errorf("a folder with a name is %+v elsewhere, want %+v", moved, named)
	}
	ids := []string{base.ID, named.ID, identity(two, folder.Options{HostID: "h"}).ID, identity(one, folder.Options{HostID: "i"}).ID,
		identity(one, folder.Options{Name: "m"}).ID}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 5 {
		t.Errorf("ids are not distinct: %q", ids)
	}
}

func TestExcludedPathsAreLeftOut(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a.jpg", "backup/lightfast.json", "deep/state/catalog", "deep/b.jpg", "backup.txt")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{root, link} {
		f := open(t, path, folder.Options{Exclude: []string{filepath.Join(root, "backup"), filepath.Join(link, "deep/state"), "/elsewhere", filepath.Dir(root)}})
		want := map[photos.AssetID]string{"a.jpg": "photo original=a.jpg", "deep/b.jpg": "photo original=b.jpg", "backup.txt": "other original=backup.txt"}
		if diff := cmp.Diff(want, shapes(scan(t, f))); diff != "" {
			t.Errorf("assets of %s (-want +got):\n%s", path, diff)
		}
	}
}

func TestStrangeNamesAreKeptByteByByte(t *testing.T) {
	root := t.TempDir()
	names := []string{"new\nline", "tab\t", `quo"te'`, "emoji 🦊.jpg", strings.Repeat("n", 255), "-dash", "..dots", "trailing ", "CON", "a\\b",
		"nfc é", "nfd e\u0301", "bad\xff.jpg", "bad\xfe.jpg", "raw:YmFk_y5qcGc", "dir\xff/in"}
	write(t, root, names...)
	f := open(t, root, folder.Options{})
	var got []string
	for id, a := range scan(t, f) {
		r := a.Resources[0]
		name := r.Path
		if r.PathRaw != nil {
			name = string(r.PathRaw)
		}
		got = append(got, name)
		rd, err := f.Open(t.Context(), r)
		if err != nil {
			t.Errorf("Open of %q: %v", id, err)
			continue
		}
		if content, err := io.ReadAll(rd); err != nil || string(content) != name {
			t.Errorf("%q has content %q, %v", name, content, err)
		}
		rd.Close()
	}
	slices.Sort(got)
	slices.Sort(names)
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestDepthAndLengthHaveNoLimit(t *testing.T) {
	root := t.TempDir()
	deep, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	segment, path := strings.Repeat("d", 100), ""
	for range 100 { // 10 kB
		if err := deep.Mkdir(segment, 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := deep.OpenRoot(segment)
		if err != nil {
			t.Fatal(err)
		}
		deep.Close()
		deep, path = next, path+segment+"/"
	}
	defer deep.Close()
	if err := deep.WriteFile("x.jpg", []byte("deep"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := open(t, root, folder.Options{})
	a, ok := scan(t, f)[photos.AssetID(path+"x.jpg")]
	if !ok {
		t.Fatalf("the file at depth 100 is missing; warnings %q", f.Warnings())
	}
	rd, err := f.Open(t.Context(), a.Resources[0])
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	if data, err := io.ReadAll(rd); err != nil || string(data) != "deep" {
		t.Errorf("its content = %q, %v", data, err)
	}
}

func TestLargeFolderIsReadInChunks(t *testing.T) {
	const n = 5000
	root := t.TempDir()
	for i := range n {
		write(t, root, fmt.Sprintf("%d.jpg", i))
	}
	write(t, root, "4711.aae", "0.aae")
	assets := scan(t, open(t, root, folder.Options{}))
	if len(assets) != n || len(assets["4711.jpg"].Resources) != 2 || len(assets["0.jpg"].Resources) != 2 {
		t.Errorf("%d assets, want %d, and both sidecars in their places", len(assets), n)
	}
}

func TestTimeOfAFileIsItsModifiedTime(t *testing.T) {
	root := t.TempDir()
	for name, want := range map[string]string{
		"1904": "1904-01-01T00:00:00Z", "1969": "1969-12-31T23:59:59.5Z", "2073": "2073-06-01T12:00:00Z",
	} {
		write(t, root, name)
		at, err := time.Parse(time.RFC3339Nano, want)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(root, name), at, at); err != nil {
			t.Fatal(err)
		}
		f := open(t, root, folder.Options{})
		if a := scan(t, f)[photos.AssetID(name)]; a.Metadata.Modified != want || a.Metadata.Date != "" || a.Resources[0].ModTime != at.UnixNano() {
			t.Errorf("%s: modified %q, date %q, want %q and no date", name, a.Metadata.Modified, a.Metadata.Date, want)
		}
	}
}

func TestScanEndsWithItsContext(t *testing.T) {
	root := t.TempDir()
	write(t, root, "a", "b", "c/d")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err := range open(t, root, folder.Options{}).Scan(ctx) {
		cancel()
		if n++; n == 2 && !errors.Is(err, context.Canceled) {
			t.Errorf("after the cancel: %v, want context.Canceled", err)
		}
	}
	if n != 2 {
		t.Errorf("Scan yielded %d times, want an asset and the error", n)
	}
}

func BenchmarkScan(b *testing.B) {
	root := b.TempDir()
	const n = 10_000
	for i := range n {
		write(b, root, fmt.Sprintf("IMG_%d.jpg", i))
	}
	f := open(b, root, folder.Options{})
	b.ReportAllocs()
	for b.Loop() {
		scan(b, f)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/file")
}
