package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"lightfast/manifest"
	"lightfast/photos"
)

// crafted is a repository that no Lightfast made: what is in a bucket may
// come from anybody.
type crafted struct {
	*place
	assets []manifest.Asset
}

func craft(t *testing.T) *crafted { return &crafted{place: newPlace(t)} }

func (c *crafted) object(key string, body []byte) {
	c.t.Helper()
	name := filepath.Join(c.dest, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(name, body, 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// resource stores its own name and path as content, or what is given.
func (c *crafted) resource(role photos.Role, name, path string, content ...byte) manifest.Resource {
	c.t.Helper()
	if content == nil {
		content = []byte(string(role) + " " + name + " " + path)
	}
	h := manifest.Hash(sha256.Sum256(content))
	r := manifest.Resource{Role: string(role), Name: name, Path: path, Size: int64(len(content)), SHA256: &h, Key: manifest.BlobKey(h, manifest.Extension(name))}
	c.object(r.Key, content)
	return r
}

func (c *crafted) add(id string, m photos.Metadata, resources ...manifest.Resource) {
	c.t.Helper()
	if m.OriginalFilename == "" && len(resources) > 0 {
		m.OriginalFilename = resources[0].Name
	}
	meta, err := json.Marshal(m)
	if err != nil {
		c.t.Fatal(err)
	}
	c.assets = append(c.assets, manifest.Asset{ID: id, Added: int64(len(c.assets) + 1), Metadata: meta, Resources: resources})
}

// commit writes pages of at most n assets, and the head of them.
func (c *crafted) commit(n int) (pages []string) {
	c.t.Helper()
	must := func(body []byte, err error) []byte {
		c.t.Helper()
		if err != nil {
			c.t.Fatal(err)
		}
		return body
	}
	now := time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)
	c.object(manifest.ConfigKey, must(manifest.EncodeConfig(manifest.Config{Format: 1, Repository: "r", Hash: "sha256", Created: now})))
	h := manifest.Head{Complete: true, ID: manifest.SnapshotID(now, "r1"), Repository: "r", Run: "r1", Time: now, Library: manifest.Library{ID: "lib", Name: "lib"}}
	for some := range slices.Chunk(c.assets, n) {
		pager := manifest.NewPager()
		for _, a := range some {
			if page, err := pager.Add("no end", must(manifest.EncodeAsset(a))); page != nil || err != nil {
				c.t.Fatal(err)
			}
		}
		page, err := pager.Flush()
		if err != nil {
			c.t.Fatal(err)
		}
		body := must(page.Compress())
		pages = append(pages, manifest.PageKey(page.Hash))
		c.object(pages[len(pages)-1], body)
		h.Pages = append(h.Pages, manifest.PageRef{SHA256: page.Hash, Assets: page.Assets, Size: page.Size, StoredSize: int64(len(body))})
	}
	c.object(manifest.HeadKey("lib", h.ID), must(manifest.EncodeHead(h)))
	return pages
}

// plan returns what a dry run would do: paths by asset and role.
func (c *crafted) plan(code int, args ...string) map[string][]string {
	c.t.Helper()
	ev, got := c.run(append([]string{"restore", "--from", c.dest, "--to", c.out, "--dry-run"}, args...)...)
	if got != code {
		c.t.Fatalf("restore %v --dry-run ended with %d, want %d: %v", args, got, code, ev["error"])
	}
	paths := map[string][]string{}
	for _, e := range ev["file"] {
		key := fmt.Sprint(e["asset"], " ", e["role"])
		paths[key] = append(paths[key], e["path"].(string))
	}
	return paths
}

// into restores with flags, and returns the result.
func (p *place) into(code int, args ...string) map[string]any {
	p.t.Helper()
	ev, got := p.run(append([]string{"restore", "--from", p.dest, "--to", p.out}, args...)...)
	if got != code {
		p.t.Fatalf("restore %v ended with %d, want %d: %v", args, got, code, ev["error"])
	}
	return ev.result(p.t)
}

func TestClashingNamesAreSettledBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	c := craft(t)
	live := photos.Metadata{Date: "2024-05-17T23:30:00+02:00"}
	c.add("live", live, c.resource("original", "IMG_1.HEIC", "originals/1/1.heic"), c.resource("live", "IMG_1.mov", "originals/1/1.mov"))
	c.add("film", live, c.resource("original", "IMG_1.MOV", "originals/2/2.mov"))
	c.add("other live", live, c.resource("original", "img_1.heic", "originals/3/3.heic"), c.resource("live", "img_1.mov", "originals/3/3.mov"))
	for i := range 10 {
		c.add(fmt.Sprint("again ", i), photos.Metadata{}, c.resource("original", "IMG_0001.JPG", fmt.Sprintf("originals/%d/x.jpg", 10+i)))
	}
	c.add("nfc", photos.Metadata{}, c.resource("original", "\u00e9.jpg", "originals/nfc"))
	c.add("nfd", photos.Metadata{}, c.resource("original", "e\u0301.jpg", "originals/nfd"))
	c.commit(5)
	want := map[string][]string{
		"live original": {"IMG_1.HEIC"}, "live live": {"IMG_1.mov"}, "film original": {"IMG_1 (2).MOV"},
		"other live original": {"img_1 (3).heic"}, "other live live": {"img_1 (3).mov"},
		"again 0 original": {"IMG_0001.JPG"}, "nfc original": {"\u00e9.jpg"}, "nfd original": {"e\u0301 (2).jpg"},
	}
	for i := 1; i < 10; i++ {
		want[fmt.Sprintf("again %d original", i)] = []string{fmt.Sprintf("IMG_0001 (%d).JPG", i+1)}
	}
	for range 2 { // the same every time
		if diff := cmp.Diff(want, c.plan(0, "--layout", "flat")); diff != "" {
			t.Errorf("flat (-want +got):\n%s", diff)
		}
	}
	if _, err := os.Stat(c.out); err == nil {
		t.Error("a dry run made its target")
	}
	if got := c.into(0, "--layout", "flat"); number(t, got, "files") != 17 || number(t, got, "renamed") != 13 {
		t.Errorf("restored %v", got)
	}
	if got := c.into(0, "--layout", "flat"); number(t, got, "files") != 0 || number(t, got, "equal") != 17 {
		t.Errorf("a second restore: %v", got)
	}
	seen := map[string]bool{}
	for _, content := range tree(t, c.out) {
		seen[content] = true
	}
	if len(seen) != 17 {
		t.Errorf("%d contents came back, want 17", len(seen))
	}
}

func TestDatesAreThoseOfThePlaceOfCapture(t *testing.T) {
	t.Parallel()
	c := craft(t)
	want := map[string][]string{}
	for date, folder := range map[string]string{
		"2024-05-17T23:30:00+14:00": "2024/2024-05-17", "2024-05-17T00:30:00-12:00": "2024/2024-05-17",
		"1904-01-01T00:00:00Z": "1904/1904-01-01", "1969-12-31T23:59:59-10:00": "1969/1969-12-31",
		"2073-02-03T04:05:06+05:45": "2073/2073-02-03", "": "undated", "yesterday": "undated",
	} {
		id := "taken " + date
		name := fmt.Sprintf("%x.jpg", sha256.Sum256([]byte(id)))
		c.add(id, photos.Metadata{Date: date}, c.resource("original", name, "originals/"+name))
		want[id+" original"] = []string{folder + "/" + name}
	}
	c.commit(100)
	for _, zone := range []string{"UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"} {
		c.env = []string{"TZ=" + zone}
		if diff := cmp.Diff(want, c.plan(0, "--layout", "dates")); diff != "" {
			t.Errorf("in %s (-want +got):\n%s", zone, diff)
		}
	}
}

func TestAlbumsShareTheirFilesAndTheRestIsUnsorted(t *testing.T) {
	t.Parallel()
	c := craft(t)
	c.add("two", photos.Metadata{Albums: []string{"Trips/Iceland", "Best"}}, c.resource("original", "a.jpg", "originals/a"))
	c.add("evil", photos.Metadata{Albums: []string{"../..", "/etc/x", "CON"}}, c.resource("original", "../b.jpg", "originals/b"))
	c.add("none", photos.Metadata{}, c.resource("original", "c.jpg", "originals/c"))
	c.commit(100)
	want := map[string][]string{
		"two original":  {"Trips/Iceland/a.jpg", "Best/a.jpg"},
		"evil original": {"_/_/.._b.jpg", "_/etc/x/.._b.jpg", "_CON/.._b.jpg"},
		"none original": {"Unsorted/c.jpg"},
	}
	if diff := cmp.Diff(want, c.plan(0, "--layout", "albums")); diff != "" {
		t.Errorf("albums (-want +got):\n%s", diff)
	}
	if res := c.into(0, "--layout", "albums"); number(t, res, "files") != 6 {
		t.Errorf("wrote %d files, want 6", number(t, res, "files"))
	}
	one, errOne := os.Stat(filepath.Join(c.out, "Trips/Iceland/a.jpg"))
	two, errTwo := os.Stat(filepath.Join(c.out, "Best/a.jpg"))
	if errOne != nil || errTwo != nil || !os.SameFile(one, two) {
		t.Errorf("the picture needs its room twice: %v, %v", errOne, errTwo)
	}
}

func TestSelectionIsRestoredAndWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	c := craft(t)
	c.add("id-1", photos.Metadata{UUID: "UUID-1", Date: "2024-01-02T03:04:05+01:00", Albums: []string{"Trips/Iceland"}},
		c.resource("original", "IMG_1.HEIC", "originals/1"), c.resource("live", "IMG_1.MOV", "originals/1m"))
	c.add("id-2", photos.Metadata{UUID: "UUID-2", Date: "2025-01-02T03:04:05+01:00", Albums: []string{"Iceland"}}, c.resource("original", "IMG_2.JPG", "originals/2"))
	c.add("id-3", photos.Metadata{UUID: "UUID-3"}, c.resource("original", "IMG_3.JPG", "originals/3"),
		manifest.Resource{Role: "raw", Name: "IMG_3.DNG", Size: -1, Reason: "icloud_only"})
	c.commit(2)
	for _, tt := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"--asset", "id-1"}, 0, []string{"originals/1", "originals/1m"}},
		{[]string{"--asset", "UUID-2"}, 0, []string{"originals/2"}},
		{[]string{"--asset", "img_2.jpg", "--asset", "id-1", "--role", "original"}, 0, []string{"originals/1", "originals/2"}},
		{[]string{"--asset", "UUID-3"}, 3, []string{"originals/3"}}, // its raw is only in iCloud
		{[]string{"--asset", "IMG_9.JPG", "--asset", "id-2"}, 3, []string{"originals/2"}},
		{[]string{"--album", "Iceland"}, 0, []string{"originals/1", "originals/1m", "originals/2"}},
		{[]string{"--album", "Trips/Iceland"}, 0, []string{"originals/1", "originals/1m"}},
		{[]string{"--album", "Norway"}, 3, nil},
		{[]string{"--since", "2024-06-01"}, 0, []string{"originals/2"}},
		{[]string{"--role", "live"}, 0, []string{"originals/1m"}},
		{[]string{"--role", "poster"}, 3, nil},
		{nil, 0, []string{"originals/1", "originals/1m", "originals/2", "originals/3"}},
	} {
		var got []string
		for _, paths := range c.plan(tt.code, tt.args...) {
			got = append(got, paths...)
		}
		slices.Sort(got)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("restore %v (-want +got):\n%s", tt.args, diff)
		}
	}
	res := c.into(3, "--asset", "IMG_9.JPG", "--asset", "id-2")
	if fmt.Sprint(res["problems"]) != "[map[asset:IMG_9.JPG problem:no such asset in what was asked for of the snapshot]]" {
		t.Errorf("problems = %v", res["problems"])
	}
	if diff := cmp.Diff([]string{"originals/2"}, slices.Sorted(maps.Keys(tree(t, c.out)))); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
}

func TestWhatIsThereIsKeptUnlessToBeOverwritten(t *testing.T) {
	t.Parallel()
	c := craft(t)
	names := []string{"equal", "differs", "readonly", "link", "up/link/file", "folder", "new"}
	for _, n := range names {
		c.add(n, photos.Metadata{}, c.resource("original", n+".jpg", n))
	}
	c.commit(100)
	outside := filepath.Join(filepath.Dir(c.out), "outside")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(c.out, "folder", "mine"), 0o755),
		os.MkdirAll(filepath.Join(c.out, "up"), 0o755),
		os.Mkdir(outside, 0o755),
		os.WriteFile(filepath.Join(c.out, "equal"), []byte("original equal.jpg equal"), 0o600),
		os.WriteFile(filepath.Join(c.out, "differs"), []byte("newer work"), 0o600),
		os.WriteFile(filepath.Join(c.out, "readonly"), []byte("newer work"), 0o400),
		os.Symlink(filepath.Join(outside, "x"), filepath.Join(c.out, "link")),
		os.Symlink(outside, filepath.Join(c.out, "up", "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	res := c.into(3)
	if number(t, res, "files") != 1 || number(t, res, "equal") != 1 || number(t, res, "problem_count") != 5 {
		t.Errorf("result = %v, want 1 file written, 1 equal, 5 problems", res)
	}
	if got := tree(t, c.out); got["differs"] != "newer work" || got["readonly"] != "newer work" || got["new"] != "original new.jpg new" {
		t.Errorf("the target has %q", got)
	}
	res = c.into(3, "--overwrite")
	if number(t, res, "files") != 3 || number(t, res, "problem_count") != 2 {
		t.Errorf("with --overwrite = %v, want 3 files written, and a folder and a parent link reported", res)
	}
	for _, n := range []string{"differs", "readonly", "link"} {
		if got := tree(t, c.out)[n]; got != "original "+n+".jpg "+n {
			t.Errorf("%s = %q after --overwrite", n, got)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("a link was followed: %v, %v", left, err)
	}
}

func TestCraftedPathsStayInTheTarget(t *testing.T) {
	t.Parallel()
	c := craft(t)
	evil := []string{"../../x", "/etc/lightfast-test", "a/../../x", "a//b", "nul\x00byte"}
	for i, p := range evil {
		c.add(fmt.Sprint("evil ", i), photos.Metadata{}, c.resource("original", p, p))
	}
	strange := []string{`C:\x`, "new\nline", ".hidden", "-rf", "..a", "CON", "ends in a space "}
	for i, p := range strange {
		c.add(fmt.Sprint("strange ", i), photos.Metadata{}, c.resource("original", p, p))
	}
	twin := c.resource("sidecar", "twin", "twin")
	c.add("twins", photos.Metadata{}, twin, twin, c.resource("sidecar", "twin", "twin", 'o', 't', 'h', 'e', 'r'))
	c.commit(100)
	res := c.into(6)
	if got := number(t, res, "problem_count"); got != int64(len(evil)) {
		t.Errorf("%d problems, want %d: %v", got, len(evil), res["problems"])
	}
	want := append([]string{"twin", "twin (2)"}, strange...)
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(tree(t, c.out)))); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
	c.out += " by name"
	for _, layout := range []string{"flat", "dates", "albums"} {
		for id, paths := range c.plan(0, "--layout", layout) {
			for _, p := range paths {
				if strings.ContainsAny(p, "\n\x00\\:") || strings.Contains("/"+p+"/", "/../") || filepath.IsAbs(p) {
					t.Errorf("%s: %s goes to %q", layout, id, p)
				}
			}
		}
	}
}

func TestDamageCostsWhatIsDamagedAlone(t *testing.T) {
	t.Parallel()
	c := craft(t)
	for i := range 8 {
		n := fmt.Sprintf("IMG_%d.JPG", i)
		c.add(n, photos.Metadata{}, c.resource("original", n, n))
	}
	pages := c.commit(2)
	blob := func(i int) string { return filepath.Join(c.dest, c.assets[i].Resources[0].Key) }
	flipped, err := os.ReadFile(blob(0))
	if err != nil {
		t.Fatal(err)
	}
	flipped[3] ^= 1
	for _, err := range []error{
		os.WriteFile(blob(0), flipped, 0o600),
		os.Remove(blob(1)),
		os.Truncate(blob(2), 3),
		os.WriteFile(blob(3), nil, 0o600),
		os.WriteFile(filepath.Join(c.dest, pages[2]), []byte("garbage"), 0o600), // 4 and 5
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	res := c.into(6)
	if res["damaged"] != true || number(t, res, "problem_count") != 5 {
		t.Errorf("result = %v, want 4 files and a page damaged", res)
	}
	if diff := cmp.Diff([]string{"IMG_6.JPG", "IMG_7.JPG"}, slices.Sorted(maps.Keys(tree(t, c.out)))); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
}

func TestCompressedBlobsComeBackAndBombsDoNot(t *testing.T) {
	t.Parallel()
	c := craft(t)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string, content, stored []byte) {
		h := manifest.Hash(sha256.Sum256(content))
		r := manifest.Resource{Role: "library", Name: name, Path: name, Size: int64(len(content)), SHA256: &h,
			Key: manifest.BlobKey(h, "") + ".zst", Encoding: manifest.Zstd, StoredSize: int64(len(stored))}
		c.object(r.Key, stored)
		c.add(name, photos.Metadata{}, r)
	}
	content := bytes.Repeat([]byte("lightfast"), 1<<20)
	add("good", content, enc.EncodeAll(content, nil))
	add("bomb", []byte("small"), enc.EncodeAll(make([]byte, 256<<20), nil))
	add("torn", content[1:], enc.EncodeAll(content[1:], nil)[:100])
	c.commit(100)
	if res := c.into(6); number(t, res, "problem_count") != 2 {
		t.Errorf("problems = %v, want bomb and torn", res["problems"])
	}
	if got := tree(t, c.out); len(got) != 1 || got["good"] != string(content) {
		t.Errorf("restored %d files", len(got))
	}
}

func TestTooLittleRoomIsSaidBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	c := craft(t)
	r := c.resource("original", "huge.mov", "huge.mov")
	r.Size = 1 << 60
	c.add("huge", photos.Metadata{}, r)
	c.commit(100)
	ev, code := c.run("restore", "--from", c.dest, "--to", c.out)
	if code != 1 || len(ev["error"]) != 1 || !strings.Contains(fmt.Sprint(ev["error"][0]["message"]), "are needed") {
		t.Errorf("restore of an exbibyte ended with %d: %v", code, ev["error"])
	}
	if got := tree(t, c.out); len(got) != 0 {
		t.Errorf("wrote %v", slices.Collect(maps.Keys(got)))
	}
}
