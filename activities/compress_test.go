package activities

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"lightfast/internal/budget"
	"lightfast/photos"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// nibbles shrink to half.
func nibbles(n int) []byte {
	b := randomBytes(n)
	for i := range b {
		b[i] &= 15
	}
	return b
}

func TestWhatMayBeCompressed(t *testing.T) {
	database := "SQLite format 3\x00\x10\x00"
	jpeg := "\xff\xd8\xff\xe0\x00\x10JFIF"
	for _, tt := range []struct {
		role       photos.Role
		name, head string
		size       int64
		want       compression // by itself
		asked      compression // with --compress
	}{
		{photos.RoleLibrary, "Photos.sqlite", database, 1 << 20, ifItPays, ifItPays},
		{photos.RoleOriginal, "Scans.lrcat", database, 1 << 20, ifItPays, ifItPays},
		{photos.RoleLibrary, "tiny.sqlite", database, compressLeast - 1, asIs, asIs},
		{photos.RoleLibrary, "Asset.plist", "\x00", 5000, ifItPays, ifItPays},
		{photos.RoleLibrary, "Asset-snapshot.plj", "\x00", 5000, ifItPays, ifItPays},
		{photos.RoleLibrary, "prefs", "bplist00\xd1", 5000, ifItPays, ifItPays},
		{photos.RoleLibrary, "graph.json", `{"a":1}`, 5000, ifItPays, ifItPays},
		{photos.RoleOther, "log", "Fotos aus Köln\n", 5000, ifItPays, ifItPays},
		{photos.RoleLibrary, "faces.bin", "\x00\x01\x02", 5000, asIs, asIs},
		{photos.RoleLibrary, "latin1", "K\xf6ln", 5000, asIs, asIs},
		{photos.RoleAdjustment, "Adjustments.plist", "<?xml", 50_000, ifItPays, ifItPays},
		{photos.RoleSidecar, "IMG_1.AAE", "<?xml", 50_000, ifItPays, ifItPays},
		{photos.RoleOriginal, "notes.txt", "somebody may read it there", 5000, asIs, asIs},
		{photos.RoleOriginal, "list.plist", "bplist00", 5000, asIs, asIs},
		{photos.RoleOriginal, "a.jpg", jpeg, 5000, asIs, asIs},
		{photos.RoleLibrary, "thumb.JPG", jpeg, 5000, asIs, asIs},
		{photos.RoleLibrary, "a.heic", database, 5000, asIs, asIs},
		{photos.RoleOriginal, "a.mov", "", 5000, asIs, asIs},
		{photos.RoleOriginal, "a.TIFF", "II*\x00", 5000, asIs, ifSamples},
		{photos.RoleLibrary, "originals/a.tif", "II*\x00", 5000, asIs, ifSamples},
		{photos.RoleOriginal, "a.dng", "II*\x00", 5000, asIs, ifSamples},
		{photos.RoleRAW, "a.xyz", "\x00", 5000, asIs, ifSamples},
		{photos.RoleRAW, "a.jpg", jpeg, 5000, asIs, asIs},
	} {
		for _, onRequest := range []bool{false, true} {
			want := tt.want
			if onRequest {
				want = tt.asked
			}
			res := photos.Resource{Role: tt.role, Name: tt.name}
			got, err := mayCompress(res, tt.size, onRequest, func() ([]byte, error) { return []byte(tt.head), nil })
			if err != nil || got != want {
				t.Errorf("%s %s, on request %v: %d, %v; want %d", tt.role, tt.name, onRequest, got, err, want)
			}
		}
	}
}

func TestTheBeginningOfAFileIsReadOnlyWhereItMatters(t *testing.T) {
	never := func() ([]byte, error) { t.Error("it was read"); return nil, nil }
	for _, name := range []string{"a.jpg", "a.HEIC", "a.mov", "a.dng"} {
		if _, err := mayCompress(photos.Resource{Role: photos.RoleOriginal, Name: name}, 1<<20, true, never); err != nil {
			t.Error(err)
		}
	}
	fails := errors.New("input/output error")
	if _, err := mayCompress(photos.Resource{Name: "a"}, 1<<20, true, func() ([]byte, error) { return nil, fails }); !errors.Is(err, fails) {
		t.Errorf("error %v, want %v", err, fails)
	}
}

func TestTextIsToldAlsoWhereItIsCut(t *testing.T) {
	text := strings.Repeat("Zürich 東京 🏔\r\n\t", 40)
	for n := range len(text) {
		if !isText([]byte(text[:n])) {
			t.Fatalf("the first %d bytes are no text", n)
		}
	}
}

func TestSamplesOfTheMiddleAndTheEndDecide(t *testing.T) {
	const n = 1 << 20
	zeros, noise, text := make([]byte, n), randomBytes(n), []byte(strings.Repeat("one state of a library, ", n/24+1)[:n])
	for _, tt := range []struct {
		name  string
		parts [][]byte
		want  bool
	}{
		{"zeros", [][]byte{zeros, zeros, zeros}, true},
		{"noise", [][]byte{noise, noise, noise}, false},
		{"text", [][]byte{text, text, text}, true},
		{"noise in front", [][]byte{noise[:n/2], text, zeros}, true},
		{"a smooth beginning", [][]byte{zeros, noise, noise}, false},
		{"noise in the middle", [][]byte{zeros, noise, zeros}, false},
		{"noise at the end", [][]byte{zeros, zeros, noise}, false},
		{"as short as one sample", [][]byte{text[:5000]}, true},
	} {
		content := bytes.Join(tt.parts, nil)
		got, err := samplesPay(bytes.NewReader(content), int64(len(content)), make([]byte, sampleLength))
		if err != nil || got != tt.want {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
	if _, err := samplesPay(bytes.NewReader(zeros), 2*n, make([]byte, sampleLength)); !errors.Is(err, photos.ErrChanged) {
		t.Errorf("of a file that became shorter: %v, want ErrChanged", err)
	}
}

func TestOnlyWhatSavesATenthIsPacked(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content []byte
		want    bool
	}{
		{"noise", randomBytes(100_000), false},
		{"half", nibbles(100_000), true},
		{"nearly noise", append(randomBytes(95_000), make([]byte, 5000)...), false},
	} {
		packed, err := packSmall(tt.content, make([]byte, packedMost(int64(len(tt.content)))), ifItPays)
		if err != nil || (packed != nil) != tt.want {
			t.Errorf("%s: %d bytes, %v", tt.name, len(packed), err)
		}
	}
}

// cut writes b in pieces of up to n bytes.
func cut(b []byte, n int) func(io.Writer) error {
	return func(w io.Writer) error {
		for len(b) > 0 {
			k, err := w.Write(b[:min(n, len(b))])
			if err != nil {
				return err
			}
			b = b[k:]
		}
		return nil
	}
}

func packedBy(t testing.TB, content []byte, piece int) []byte {
	t.Helper()
	var to bytes.Buffer
	if err := compress(&to, int64(len(content)), cut(content, piece)); err != nil {
		t.Fatal(err)
	}
	return to.Bytes()
}

// A part is made again after a kill: by another process, with another history
// of its encoders, reading in other pieces.
func TestTheSameContentBecomesTheSameBytes(t *testing.T) {
	content := append(nibbles(5<<20), []byte(strings.Repeat("lightfast ", 100_000))...)
	want := packedBy(t, content, 1<<20)
	for i, piece := range []int{1, 1000, 128 << 10, 256 << 10, len(content)} {
		packedBy(t, randomBytes(3_000_000+i), 1<<20) // what this encoder did before
		if piece == 1 {
			content, want := content[:300_000], packedBy(t, content[:300_000], 1<<20)
			if !bytes.Equal(packedBy(t, content, piece), want) {
				t.Error("in single bytes: other bytes")
			}
			continue
		}
		if !bytes.Equal(packedBy(t, content, piece), want) {
			t.Errorf("in pieces of %d: other bytes", piece)
		}
	}
	fails := errors.New("the disk is gone")
	if err := compress(io.Discard, int64(len(content)), func(w io.Writer) error { w.Write(content[:1<<20]); return fails }); !errors.Is(err, fails) {
		t.Errorf("error %v, want %v", err, fails)
	}
	if !bytes.Equal(packedBy(t, content, 1<<20), want) {
		t.Error("after a failure: other bytes")
	}
}

// allocated is what f allocates in all, and so more than it ever holds.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

func TestMemoryOfEncodersAndDecodersIsWhatIsLeased(t *testing.T) {
	content := nibbles(24 << 20)
	encoders.Put(encoders.New()) // tables that all encoders share
	got := allocated(func() {
		enc := encoders.New().(*zstd.Encoder)
		enc.ResetContentSize(io.Discard, int64(len(content)))
		if err := errors.Join(cut(content, 1<<20)(enc), enc.Close()); err != nil {
			t.Fatal(err)
		}
	})
	if got > encoderMemory {
		t.Errorf("an encoder allocates %d bytes, %d are leased", got, encoderMemory)
	}
	for _, window := range []int{1 << 10, 1 << 20, zstdWindow} {
		enc, err := zstd.NewWriter(nil, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		enc.ResetContentSize(&packed, int64(len(content)))
		if err := errors.Join(cut(content, 1<<20)(enc), enc.Close()); err != nil {
			t.Fatal(err)
		}
		b := budget.New(64 << 20)
		got := allocated(func() {
			d, err := decompress(t.Context(), b, &packed, int64(len(content)))
			if err != nil {
				t.Fatal(err)
			}
			if in := b.Stats().InUse; in != readBuffer+int64(window)+decoderMemory {
				t.Errorf("window %d: %d bytes leased", window, in)
			}
			if n, err := io.Copy(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{d}); err != nil || n != int64(len(content)) {
				t.Errorf("window %d: %d bytes, %v", window, n, err)
			}
			d.Close()
		})
		if got > int64(window)+decoderMemory {
			t.Errorf("a decoder of window %d allocates %d bytes", window, got)
		}
		if in := b.Stats().InUse; in != 0 {
			t.Errorf("%d bytes are still leased", in)
		}
	}
}

func TestABlobThatTheBudgetCannotDecodeSaysSo(t *testing.T) {
	_, err := decompress(t.Context(), budget.New(16<<20), strings.NewReader("no frame at all"), 5)
	if problem, ok := errors.AsType[*fileProblem](err); !ok || problem.damaged || !strings.Contains(problem.why, "--memory") {
		t.Errorf("error %v", err)
	}
}

func FuzzCompressedComesBack(f *testing.F) {
	f.Add([]byte("SQLite format 3\x00"), uint32(1), uint16(7))
	f.Add(bytes.Repeat([]byte("ab"), 70_000), uint32(3), uint16(60_000))
	f.Add([]byte{0}, uint32(1<<17), uint16(1))
	b := budget.New(64 << 20)
	f.Fuzz(func(t *testing.T, seed []byte, times uint32, piece uint16) {
		content := bytes.Repeat(seed, 1+int(times)%max(1, (3<<20)/max(1, len(seed))))
		for i := 0; i+8 <= len(content); i += 4096 { // so that it is not one repeat
			binary.LittleEndian.PutUint64(content[i:], uint64(i)*2654435761)
		}
		if len(content) == 0 {
			return
		}
		packed := packedBy(t, content, 1+int(piece))
		if again := packedBy(t, content, 1<<20); !bytes.Equal(packed, again) {
			t.Fatal("another time it became other bytes")
		}
		d, err := decompress(t.Context(), b, bytes.NewReader(packed), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		got, err := io.ReadAll(d)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatal(fmt.Errorf("%d bytes came back as %d: %w", len(content), len(got), err))
		}
	})
}
