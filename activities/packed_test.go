package activities_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"lightfast/internal/budget"
	"lightfast/internal/exit"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/photos"
)

// database is a file that shrinks to half.
func database(seed uint64, size int) []byte {
	b, i := noise(seed, size), 0
	for half := range slices.Chunk(b, 2048) {
		if i++; i%2 == 0 {
			clear(half)
		}
	}
	copy(b, "SQLite format 3\x00")
	return b
}

// Compressed, this one has three parts of 8 MiB and a short one.
const databaseSize = 50 * mib

func zstdKey(content []byte, ext string) string { return blobKey(content, ext) + ".zst" }

func TestWhatNobodyViewsIsStoredCompressed(t *testing.T) {
	lib := newMemory()
	text := []byte(strings.Repeat("one line of a log\n", 1000))
	small, large, dense, film := database(1, 200_000), database(2, databaseSize), noise(3, 100_000), noise(4, 100_000)
	copy(dense, "SQLite format 3\x00")
	files := map[string][]byte{"Photos.sqlite": small, "big.sqlite": large, "dense.sqlite": dense, "log": text, "a.jpg": film, "short": text[:1000]}
	for path, content := range files {
		lib.put(path, photos.RoleLibrary, content)
	}
	h := newHost(t, lib, t.TempDir())
	res := h.backup()
	sum := int64(0)
	for path, content := range files {
		h.holds(path, content)
		r := h.snapshot()[path]
		packed := path == "Photos.sqlite" || path == "big.sqlite" || path == "log"
		if packed != (r.Encoding == manifest.Zstd) || packed != strings.HasSuffix(r.Key, ".zst") {
			t.Errorf("%s: %s, encoding %q", path, r.Key, r.Encoding)
		}
		if packed && (r.StoredSize <= 0 || r.StoredSize > r.Size*9/10) || !packed && r.StoredSize != 0 {
			t.Errorf("%s: %d of %d bytes stored", path, r.StoredSize, r.Size)
		}
		info, err := h.store.Stat(t.Context(), r.Key)
		if err != nil || info.Size != max(r.StoredSize, 0) && packed {
			t.Errorf("%s: object of %d bytes, %v; want %d", path, info.Size, err, r.StoredSize)
		}
		sum += info.Size
	}
	if res.Bytes.Sent != sum || res.Bytes.Stored != sum {
		t.Errorf("%d bytes sent, %d stored; want %d", res.Bytes.Sent, res.Bytes.Stored, sum)
	}
	if in := h.Budget.Stats().InUse; in != 0 {
		t.Errorf("%d bytes are still leased", in)
	}
	h.store.puts = nil
	if res := h.backup(); res.Bytes.Sent != 0 || len(h.store.puts) != 2 { // head and receipt
		t.Errorf("a second run sent %d bytes, %q", res.Bytes.Sent, h.store.puts)
	}
}

// Of one content there is one object, whichever came first, and however the
// second one would be stored.
func TestEitherFormCountsAsStored(t *testing.T) {
	for _, plainFirst := range []bool{true, false} {
		for _, size := range []int{100_000, 20 * mib} {
			lib := newMemory()
			content := database(1, size)[16:] // of no kind that its bytes tell
			first, second := "a.plist", "b.bin"
			if plainFirst {
				first, second = second, first
			}
			lib.put(first, photos.RoleLibrary, content)
			h := newHost(t, lib, t.TempDir())
			h.backup()
			lib.put(second, photos.RoleLibrary, content)
			res := h.backup()
			h.holds(first, content)
			h.holds(second, content)
			if a, b := h.snapshot()[first], h.snapshot()[second]; a.Key != b.Key || a.Encoding != b.Encoding || a.StoredSize != b.StoredSize || res.Bytes.Sent != 0 {
				t.Errorf("%s of %d bytes, then %s: %+v, %+v, %d bytes sent", first, size, second, a, b, res.Bytes.Sent)
			}
		}
	}
}

func TestPicturesAreCompressedOnRequestAndWhereSamplesSaySo(t *testing.T) {
	smooth, grain := database(1, 20*mib)[16:], noise(2, 20*mib)
	for _, tt := range []struct {
		request bool
		path    string
		content []byte
		want    string
	}{
		{false, "a.tif", smooth, ""},
		{true, "a.tif", smooth, manifest.Zstd},
		{true, "a.tif", smooth[:mib], manifest.Zstd},
		{true, "a.tif", append(slices.Clone(smooth[:mib]), grain[:mib]...), ""},
		{true, "a.dng", grain, ""},
		{true, "a.dng", append(slices.Clone(smooth), grain...), ""}, // smooth to its middle
		{true, "a.jpg", smooth, ""},
	} {
		lib := newMemory()
		lib.put(tt.path, photos.RoleOriginal, tt.content)
		h := newHost(t, lib, t.TempDir())
		h.input.Compress = tt.request
		h.backup()
		h.holds(tt.path, tt.content)
		if got := h.snapshot()[tt.path].Encoding; got != tt.want {
			t.Errorf("%s of %d bytes, asked for %v: encoding %q, want %q", tt.path, len(tt.content), tt.request, got, tt.want)
		}
	}
}

func failsAtPart(n int) func(string, string, int) error {
	return func(op, _ string, part int) error {
		if op == "part" && part == n {
			return &objectstore.Error{Class: objectstore.Unavailable, Op: op}
		}
		return nil
	}
}

func TestOnlyMissingPartsOfACompressedObjectAreSentAgain(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		lib := newMemory()
		content := database(1, databaseSize)
		lib.put("big.sqlite", photos.RoleLibrary, content)
		dest := t.TempDir()
		h := newHost(t, lib, dest)
		p := h.prepare()
		in := h.only(p)
		h.store.before = failsAtPart(3)
		if _, err := h.storeAsset(in); err == nil {
			t.Fatal("it was stored without its third part")
		}
		if diff := cmp.Diff([]int{1, 2}, h.store.parts); diff != "" {
			t.Fatalf("parts sent: %s", diff)
		}
		if recorded {
			h.store.before, h.store.parts = nil, nil
		} else {
			h = newHost(t, lib, dest) // with a catalog that knows nothing
			p = h.prepare()
			in = h.only(p)
		}
		if _, err := h.storeAsset(in); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int{3, 4}, h.store.parts); diff != "" {
			t.Errorf("recorded %v: parts sent then: %s", recorded, diff)
		}
		res := h.finish(p)
		h.holds("big.sqlite", content)
		if r := h.snapshot()["big.sqlite"]; recorded && res.Bytes.Sent != r.StoredSize {
			t.Errorf("%d bytes sent in all, want %d", res.Bytes.Sent, r.StoredSize)
		}
	}
}

// The file is written again, with the same size, before the second pass, in
// the midst of it, and after a kill.
func TestADatabaseThatChangesIsNeverStoredMixed(t *testing.T) {
	before, after := database(1, databaseSize), database(2, databaseSize)
	late := slices.Clone(before) // differs in its last part only
	copy(late[databaseSize-mib:], after[databaseSize-mib:])
	for _, tt := range []struct {
		name   string
		after  []byte
		before func(change func()) func(string, string, int) error
	}{
		{"between the passes", after, func(change func()) func(string, string, int) error {
			return func(op, _ string, _ int) error {
				if op == "begin" {
					change()
				}
				return nil
			}
		}},
		{"between two parts", late, func(change func()) func(string, string, int) error {
			return func(op, _ string, n int) error {
				if op == "part" && n == 2 {
					change()
				}
				return nil
			}
		}},
		{"while nobody worked", after, func(change func()) func(string, string, int) error {
			return func(op, key string, n int) error {
				err := failsAtPart(3)(op, key, n)
				if err != nil {
					change()
				}
				return err
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lib := newMemory()
			lib.put("big.sqlite", photos.RoleLibrary, before)
			h := newHost(t, lib, t.TempDir())
			p := h.prepare()
			in := h.only(p)
			h.store.before = tt.before(sync.OnceFunc(func() { lib.put("big.sqlite", photos.RoleLibrary, tt.after) }))
			if out, err := h.storeAsset(in); err == nil {
				t.Errorf("outcome %s of a file that changed", out)
			}
			h.store.before = nil
			if keys := h.blobs(); keys != nil {
				t.Fatalf("%q got a final name", keys)
			}
			for try := 1; ; try++ {
				if _, err := h.storeAsset(in); err == nil {
					break
				} else if try == 3 {
					t.Fatalf("still not stored: %v", err)
				}
			}
			h.finish(p)
			h.holds("big.sqlite", tt.after)
			if diff := cmp.Diff([]string{zstdKey(tt.after, "sqlite")}, h.blobs()); diff != "" {
				t.Errorf("blobs: %s", diff)
			}
		})
	}
}

// knowing is a store that keeps the size of the content, as S3 does.
type knowing struct {
	objectstore.Store
	size int64
}

func (k knowing) Put(ctx context.Context, key string, body io.ReaderAt, size int64, sum objectstore.SHA256, o objectstore.PutOptions) (objectstore.Info, error) {
	info, err := k.Store.Put(ctx, key, body, size, sum, o)
	if errors.Is(err, objectstore.Exists) {
		info.ContentSize = k.size
	}
	return info, err
}

func (k knowing) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	info, err := k.Store.Stat(ctx, key)
	info.ContentSize = k.size
	return info, err
}

// Another program, or another version of the compressor, has stored the same
// content in other bytes.
func TestAnotherCompressorsObjectIsTakenIfItHoldsTheContent(t *testing.T) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{100_000, 20 * mib} {
		content, other := database(1, size), database(2, size)
		for _, tt := range []struct {
			name  string
			holds []byte
			says  int64 // the store of the size of the content; 0: nothing
			code  exit.Code
		}{
			{"read", content, 0, exit.OK},
			{"by its size", content, int64(size), exit.OK},
			{"other content", other, 0, exit.Destination},
			{"other size", content, int64(size) - 1, exit.Destination},
		} {
			lib := newMemory()
			lib.put("a.sqlite", photos.RoleLibrary, content)
			h := newHost(t, lib, t.TempDir())
			there := enc.EncodeAll(tt.holds, nil)
			key := zstdKey(content, "sqlite")
			if _, err := h.store.Store.Put(t.Context(), key, bytes.NewReader(there), int64(len(there)), sha256.Sum256(there), objectstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			plain := h.store.Store
			p := h.prepare()
			if tt.says != 0 {
				h.store.Store = knowing{plain, tt.says}
			}
			_, err := h.storeAsset(h.only(p))
			h.store.Store = plain
			if tt.code != exit.OK {
				exits(t, err, tt.code)
				continue
			}
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", tt.name, size, err)
			}
			h.finish(p)
			h.holds("a.sqlite", content)
			if r := h.snapshot()["a.sqlite"]; r.StoredSize != int64(len(there)) || len(h.store.parts) != 0 {
				t.Errorf("%s, %d bytes: %d stored, want the %d that were there; parts %v", tt.name, size, r.StoredSize, len(there), h.store.parts)
			}
		}
	}
}

func TestASmallBudgetStoresLargeDatabasesPlain(t *testing.T) {
	lib := newMemory()
	small, large := database(1, 500_000), database(2, 20*mib)
	lib.put("small.sqlite", photos.RoleLibrary, small)
	lib.put("large.sqlite", photos.RoleLibrary, large)
	h := newHost(t, lib, t.TempDir())
	h.Budget = budget.New(16 * mib)
	h.backup()
	h.holds("small.sqlite", small)
	h.holds("large.sqlite", large)
	stored := h.snapshot()
	if stored["small.sqlite"].Encoding != manifest.Zstd || stored["large.sqlite"].Encoding != "" {
		t.Errorf("encodings %q, %q; want the small one compressed", stored["small.sqlite"].Encoding, stored["large.sqlite"].Encoding)
	}
}
