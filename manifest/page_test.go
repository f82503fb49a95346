package manifest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"lightfast/manifest"
)

type line struct{ id, text string }

func paginate(t testing.TB, lines []line) []*manifest.Page {
	t.Helper()
	p := manifest.NewPager()
	var pages []*manifest.Page
	keep := func(page *manifest.Page, err error) {
		if err != nil {
			t.Fatal(err)
		}
		if page != nil {
			pages = append(pages, page)
		}
	}
	for _, l := range lines {
		keep(p.Add(l.id, []byte(l.text)))
	}
	keep(p.Flush())
	return pages
}

func library(seed, n int) []line {
	lines := make([]line, n)
	for i := range lines {
		id := fmt.Sprintf("asset-%d-%d", seed, i)
		lines[i] = line{id, fmt.Sprintf(`{"id":%q,"metadata":{},"resources":[]}`, id)}
	}
	return lines
}

// fresh counts the pages of b that a does not have.
func fresh(a, b []*manifest.Page) int {
	had := map[manifest.Hash]bool{}
	for _, p := range a {
		had[p.Hash] = true
	}
	n := 0
	for _, p := range b {
		if !had[p.Hash] {
			n++
		}
	}
	return n
}

func TestSmallChangesRewriteFewPages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lines := library(rapid.IntRange(0, 1e6).Draw(rt, "seed"), rapid.IntRange(1, 6000).Draw(rt, "assets"))
		before := paginate(t, lines)
		if n := fresh(before, paginate(t, lines)); n != 0 {
			t.Fatalf("no change rewrote %d pages", n)
		}

		i := rapid.IntRange(0, len(lines)-1).Draw(rt, "changed")
		changed := slices.Clone(lines)
		changed[i].text = strings.Replace(changed[i].text, "{}", `{"title":"new"}`, 1)
		if n := fresh(before, paginate(t, changed)); n != 1 {
			t.Fatalf("one changed asset rewrote %d pages, want 1", n)
		}

		added := append(slices.Clone(lines), library(-1, rapid.IntRange(1, 100).Draw(rt, "added"))...)
		if n := fresh(before, paginate(t, added)); n > 2 {
			t.Fatalf("an import rewrote %d pages, want 2 at most", n)
		}
	})
}

func TestRemovedAssetRewritesPagesNearItOnly(t *testing.T) {
	lines := library(1, 50_000)
	before := paginate(t, lines)
	for _, i := range []int{0, 1, 10_000, 49_999} {
		// A page without an end of its own runs on to 2,000 assets, so the cut
		// moves until the next id that ends one: a few pages at worst.
		if n := fresh(before, paginate(t, slices.Delete(slices.Clone(lines), i, i+1))); n > 4 {
			t.Errorf("removing asset %d rewrote %d of %d pages", i, n, len(before))
		}
	}
}

func TestPagesAreBounded(t *testing.T) {
	for _, p := range paginate(t, library(2, 100_000)) {
		if p.Assets > 2000 {
			t.Errorf("page has %d assets, want 2000 at most", p.Assets)
		}
	}
	long := library(3, 40)
	for i := range long {
		long[i].text = strings.Repeat("x", 1<<20)
	}
	for _, p := range paginate(t, long) {
		if p.Size > 5<<20 {
			t.Errorf("page of lines of 1 MiB has %d bytes, want 5 MiB at most", p.Size)
		}
	}
	if _, err := manifest.NewPager().Add("a", nil); err == nil {
		t.Error("Add took an empty line")
	}
	if p, err := manifest.NewPager().Flush(); p != nil || err != nil {
		t.Errorf("Flush of nothing = %v, %v, want nil", p, err)
	}
}

func TestPageKeepsOrder(t *testing.T) {
	lines := library(4, 300)
	var got []string
	for _, p := range paginate(t, lines) {
		for a, err := range manifest.ReadPage(bytes.NewReader(compress(t, p)), p.Hash) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, a.ID)
		}
	}
	for i, l := range lines {
		if i >= len(got) || got[i] != l.id {
			t.Fatalf("asset %d of %d is not %s", i, len(got), l.id)
		}
	}
}

func firstError(r io.Reader, want manifest.Hash) (yielded int, err error) {
	for _, err := range manifest.ReadPage(r, want) {
		if err != nil {
			return yielded, err
		}
		yielded++
	}
	return yielded, nil
}

func TestDamagedPageYieldsNothing(t *testing.T) {
	page := samplePage(t)
	good := compress(t, page)
	flipped := slices.Clone(good)
	flipped[len(flipped)/2] ^= 1
	other := paginate(t, library(5, 3))[0]
	for name, body := range map[string][]byte{
		"empty": {}, "truncated": good[:len(good)/2], "garbage": bytes.Repeat([]byte("x"), 1000), "zeros": make([]byte, 1000),
		"a flipped bit": flipped, "another page": compress(t, other), "twice": append(slices.Clone(good), good...),
	} {
		n, err := firstError(bytes.NewReader(body), page.Hash)
		if _, ok := errors.AsType[*manifest.DamagedError](err); !ok || n != 0 {
			t.Errorf("%s: %d assets and %v, want none and *DamagedError", name, n, err)
		}
	}
}

func TestPoisonedPageIsRefusedInBoundedMemory(t *testing.T) {
	zeros := func(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }
	bomb := func(r io.Reader, o ...zstd.EOption) []byte {
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b, append(o, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, r); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	hugeLine := strings.Repeat("x", manifest.MaxAsset+1)
	deep := strings.Repeat("[", 1e6)
	for name, c := range map[string]struct {
		body []byte
		hash manifest.Hash
	}{
		"bomb":       {bomb(zeros(300 << 20)), manifest.Hash{1}},
		"window":     {bomb(zeros(200<<20), zstd.WithWindowSize(128<<20)), manifest.Hash{1}},
		"giant line": {bomb(strings.NewReader(hugeLine)), hashOf(hugeLine)},
		"deep JSON":  {bomb(strings.NewReader(deep)), hashOf(deep)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := firstError(bytes.NewReader(c.body), c.hash)
		runtime.ReadMemStats(&after)
		if _, ok := errors.AsType[*manifest.DamagedError](err); !ok {
			t.Errorf("%s: %v, want *DamagedError", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 12*manifest.MaxPage {
			t.Errorf("%s: %d MiB were allocated", name, used>>20)
		}
	}
	if _, err := firstError(endless{}, manifest.Hash{1}); err == nil {
		t.Error("an endless object of empty frames was read")
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// endless is a stream of skippable frames, 8 bytes each, that decompress to nothing.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	n := 0
	for ; n+8 <= len(p); n += 8 {
		copy(p[n:], "\x50\x2a\x4d\x18\x00\x00\x00\x00")
	}
	if n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}

func TestFailingStoreIsNotDamage(t *testing.T) {
	page := samplePage(t)
	body := compress(t, page)
	broken := errors.New("connection reset")
	_, err := firstError(io.MultiReader(bytes.NewReader(body[:len(body)-3]), iotest.ErrReader(broken)), page.Hash)
	if _, ok := errors.AsType[*manifest.DamagedError](err); ok || !errors.Is(err, broken) {
		t.Errorf("ReadPage of a stream that breaks: %v, want its error and no *DamagedError", err)
	}
}

func BenchmarkPagerAdd(b *testing.B) {
	text := []byte(`{"id":"x","metadata":{},"resources":[` + strings.Repeat(" ", 560) + `]}`)
	ids := make([]string, 1<<16)
	for i := range ids {
		ids[i] = fmt.Sprintf("2CE332F9-D578-4769-AFA1-%012X", i)
	}
	p, i := manifest.NewPager(), 0
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Add(ids[i%len(ids)], text); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkEncodeAsset(b *testing.B) {
	a := sampleAssets()[0]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := manifest.EncodeAsset(a); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeAsset(b *testing.B) {
	text, err := manifest.EncodeAsset(sampleAssets()[0])
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := manifest.DecodeAsset(text); err != nil {
			b.Fatal(err)
		}
	}
}
