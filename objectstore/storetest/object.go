package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"lightfast/objectstore"
)

func putIsReadable(t *testing.T, open func() objectstore.Store) {
	s, body := open(), Bytes(1, 300_000)
	wantInfo(t, put(t, s, "blobs/ab/abc.heic", body), "blobs/ab/abc.heic", body)
	wantObject(t, s, "blobs/ab/abc.heic", body)
	wantObject(t, open(), "blobs/ab/abc.heic", body)
}

func putNeverReplaces(t *testing.T, open func() objectstore.Store) {
	s, first := open(), Bytes(1, 5000)
	put(t, s, "blobs/a", first)
	for _, second := range [][]byte{first, Bytes(2, 4000)} {
		info, err := s.Put(t.Context(), "blobs/a", bytes.NewReader(second), int64(len(second)), sha256.Sum256(second), objectstore.PutOptions{})
		wantClass(t, "second Put", err, objectstore.Exists)
		wantInfo(t, info, "blobs/a", first)
	}
	wantObject(t, s, "blobs/a", first)
}

func putRefusesWrongSum(t *testing.T, open func() objectstore.Store) {
	s, body := open(), Bytes(1, 5000)
	_, err := s.Put(t.Context(), "blobs/a", bytes.NewReader(body), int64(len(body)), sha256.Sum256(body[1:]), objectstore.PutOptions{})
	wantClass(t, "Put with a wrong sum", err, objectstore.Checksum)
	_, err = s.Stat(t.Context(), "blobs/a")
	wantClass(t, "Stat after it", err, objectstore.NotFound)
	wantKeys(t, s, "")
	put(t, s, "blobs/a", body)
}

func putEmpty(t *testing.T, open func() objectstore.Store) {
	s := open()
	put(t, s, "empty", nil)
	wantObject(t, s, "empty", []byte{})
	wantKeys(t, s, "", "empty")
}

// failing is a source that gives up after its first bytes.
type failing struct {
	good int64
	err  error
}

func (f failing) ReadAt(b []byte, off int64) (int, error) {
	n := int(min(int64(len(b)), max(0, f.good-off)))
	if n == len(b) {
		return n, nil
	}
	return n, f.err
}

func putReportsItsSource(t *testing.T, open func() objectstore.Store) {
	s := open()
	changed := errors.New("file changed while it was read")
	for _, tt := range []struct{ says, want error }{
		{changed, changed},
		{io.EOF, io.ErrUnexpectedEOF},
	} {
		_, err := s.Put(t.Context(), "a", failing{70_000, tt.says}, 100_000, objectstore.SHA256{}, objectstore.PutOptions{})
		if !errors.Is(err, tt.want) || objectstore.ClassOf(err) != "" {
			t.Errorf("Put from a source that fails with %q = %v, want it as it is, without a class", tt.says, err)
		}
	}
	wantKeys(t, s, "")
}

// lent is a source that must not be touched once it is taken back.
type lent struct {
	*bytes.Reader
	back atomic.Bool
	late atomic.Int64
}

func (l *lent) ReadAt(b []byte, off int64) (int, error) {
	if l.back.Load() {
		l.late.Add(1)
	}
	return l.Reader.ReadAt(b, off)
}

func putLetsGoOfItsBody(t *testing.T, open func() objectstore.Store) {
	s, body := open(), Bytes(1, 8<<20)
	put(t, s, "a", []byte("there already"))
	var all []*lent
	for range 4 {
		l := &lent{Reader: bytes.NewReader(body)}
		_, err := s.Put(t.Context(), "a", l, int64(len(body)), sha256.Sum256(body), objectstore.PutOptions{})
		l.back.Store(true)
		wantClass(t, "Put of a large body to a key that exists", err, objectstore.Exists)
		all = append(all, l)
	}
	wantObject(t, s, "a", []byte("there already"))
	for _, l := range all {
		if n := l.late.Load(); n > 0 {
			t.Errorf("the body was read %d times after Put had returned", n)
		}
	}
}

func putSurvivesAnyFileName(t *testing.T, open func() objectstore.Store) {
	s, body := open(), Bytes(1, 100)
	for i, name := range []string{
		"IMG_0001.HEIC", `say "cheese" \ 100%.jpg`, "line\r\nX-Evil: 1.jpg", "two  blanks .jpg", "Übergröße 漢字 🏔.mov",
		"not \xff\xfe utf-8.jpg", strings.Repeat("a", 251) + ".jpg", strings.Repeat("漢", 85), strings.Repeat("long", 2000), "\x00", "/", "..", "; filename=x",
	} {
		for _, ct := range []string{"", "image/heic", "no type\n"} {
			key := fmt.Sprintf("names/%02d-%d", i, len(ct))
			_, err := s.Put(t.Context(), key, bytes.NewReader(body), int64(len(body)), sha256.Sum256(body), objectstore.PutOptions{ContentType: ct, Filename: name})
			if err != nil {
				t.Errorf("Put with file name %q and type %q: %v", name, ct, err)
				continue
			}
			wantObject(t, s, key, body)
		}
	}
}

func contentSizeIsKeptOrUnknown(t *testing.T, open func() objectstore.Store) {
	s, body := open(), Bytes(1, 5000)
	transformed := objectstore.PutOptions{ContentSize: 1 << 40}
	if _, err := s.Put(t.Context(), "small", bytes.NewReader(body), int64(len(body)), sha256.Sum256(body), transformed); err != nil {
		t.Fatal(err)
	}
	crc := crc64nvme.Checksum(body)
	u, err := s.Begin(t.Context(), "large", int64(len(body)), 5<<20, transformed)
	if err != nil {
		t.Fatal(err)
	}
	part, err := s.PutPart(t.Context(), u, 1, bytes.NewReader(body), 0, int64(len(body)), crc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Complete(t.Context(), u, []objectstore.Part{part}, crc); err != nil {
		t.Fatal(err)
	}
	put(t, s, "plain", body)
	got := map[string]int64{}
	for _, key := range []string{"small", "large", "plain"} {
		info, err := open().Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		got[key] = info.ContentSize
	}
	if keeps := got["small"] == 1<<40 && got["large"] == 1<<40; got["plain"] != 0 || !keeps && got["small"]+got["large"] != 0 {
		t.Errorf("content sizes %v, want those that were given, or none at all", got)
	}
}

func putOnceUnderARace(t *testing.T, open func() objectstore.Store) {
	const writers = 8
	var errs [writers]error
	var wg sync.WaitGroup
	for i := range writers {
		s, body := open(), Bytes(byte(i), 20_000)
		wg.Go(func() {
			_, errs[i] = s.Put(t.Context(), "blobs/one", bytes.NewReader(body), int64(len(body)), sha256.Sum256(body), objectstore.PutOptions{})
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("writers %d and %d both created the object", winner, i)
		case err == nil:
			winner = i
		default:
			wantClass(t, "Put of a loser", err, objectstore.Exists)
		}
	}
	if winner < 0 {
		t.Fatalf("nobody created the object: %v", errs)
	}
	wantObject(t, open(), "blobs/one", Bytes(byte(winner), 20_000))
}

func putsAreIndependent(t *testing.T, open func() objectstore.Store) {
	s := open()
	var want []string
	var wg sync.WaitGroup
	for i := range 32 {
		key := fmt.Sprintf("blobs/%x/%02d", i%4, i)
		want = append(want, key)
		wg.Go(func() {
			body := Bytes(byte(i), i*1000)
			if _, err := s.Put(t.Context(), key, bytes.NewReader(body), int64(len(body)), sha256.Sum256(body), objectstore.PutOptions{}); err != nil {
				t.Errorf("Put(%s): %v", key, err)
				return
			}
			if got, err := get(t.Context(), s, key, 0, -1); err != nil || !bytes.Equal(got, body) {
				t.Errorf("Get(%s) after its Put: %d bytes, %v; want %d bytes", key, len(got), err, len(body))
			}
		})
	}
	wg.Wait()
	slices.Sort(want)
	wantKeys(t, s, "", want...)
}

func getRanges(t *testing.T, open func() objectstore.Store) {
	s, body := open(), Bytes(1, 1000)
	put(t, s, "a", body)
	put(t, s, "empty", nil)
	for _, tt := range []struct {
		key    string
		off, n int64
		want   []byte
	}{
		{"a", 0, -1, body},
		{"a", 0, 1000, body},
		{"a", 0, 10, body[:10]},
		{"a", 10, 20, body[10:30]},
		{"a", 990, -1, body[990:]},
		{"a", 990, 5000, body[990:]},
		{"a", 10, 0, nil},
		{"a", 1000, -1, nil},
		{"a", 1000, 5, nil},
		{"empty", 0, -1, nil},
		{"empty", 0, 10, nil},
	} {
		got, err := get(t.Context(), s, tt.key, tt.off, tt.n)
		if err != nil || !bytes.Equal(got, tt.want) {
			t.Errorf("Get(%s, %d, %d) = %d bytes, %v, want %d bytes", tt.key, tt.off, tt.n, len(got), err, len(tt.want))
		}
	}
	for _, off := range []int64{-1, 1001} {
		_, err := get(t.Context(), s, "a", off, -1)
		wantClass(t, fmt.Sprintf("Get from %d of 1000", off), err, objectstore.Invalid)
	}
}

func getMissing(t *testing.T, open func() objectstore.Store) {
	s := open()
	put(t, s, "a/b", []byte("x"))
	for _, key := range []string{"missing", "a", "a/missing", "a/b/c"} {
		for _, n := range []int64{-1, 0, 10} {
			r, err := s.Get(t.Context(), key, 0, n)
			wantClass(t, fmt.Sprintf("Get(%s, 0, %d)", key, n), err, objectstore.NotFound)
			if err == nil {
				r.Close()
			}
		}
	}
}

func statMissing(t *testing.T, open func() objectstore.Store) {
	s := open()
	put(t, s, "a/b", []byte("x"))
	for _, key := range []string{"missing", "a", "a/missing", "a/b/c"} {
		_, err := s.Stat(t.Context(), key)
		wantClass(t, "Stat("+key+")", err, objectstore.NotFound)
	}
}

func listIsOrdered(t *testing.T, open func() objectstore.Store) {
	s := open()
	want := []string{"a-b", "a.b", "a/b-c/d", "a/b.c", "a/b/c", "a0", "aa/b", "b", "é/x", "漢"}
	for _, key := range slices.Backward(want) {
		put(t, s, key, []byte(key))
	}
	wantKeys(t, s, "", want...)
	for info, err := range s.List(t.Context(), "") {
		if err != nil || info.Size != int64(len(info.Key)) || info.Modified.IsZero() {
			t.Errorf("List gives %+v, %v; want size %d and a time", info, err, len(info.Key))
		}
	}
}

func listUnderPrefix(t *testing.T, open func() objectstore.Store) {
	s := open()
	wantKeys(t, s, "")
	for _, key := range []string{"a/b/1", "a/b/2", "a/bc/3", "ab/4", "b"} {
		put(t, s, key, []byte("x"))
	}
	wantKeys(t, s, "a/", "a/b/1", "a/b/2", "a/bc/3")
	wantKeys(t, s, "a/b/", "a/b/1", "a/b/2")
	wantKeys(t, s, "missing/")
	for info, err := range s.List(t.Context(), "a/") {
		if err != nil || info.Key != "a/b/1" {
			t.Errorf("first of List = %q, %v", info.Key, err)
		}
		break // must not hang or go on
	}
	for _, err := range s.List(t.Context(), "a") {
		wantClass(t, `List("a")`, err, objectstore.Invalid)
	}
}

func listPages(t *testing.T, open func() objectstore.Store) {
	s := open()
	const n = 1003 // S3 gives a thousand at a time
	want := make([]string, n)
	work := make(chan string)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for key := range work {
				if _, err := s.Put(t.Context(), key, strings.NewReader("x"), 1, sha256.Sum256([]byte("x")), objectstore.PutOptions{}); err != nil {
					t.Errorf("Put(%s): %v", key, err)
				}
			}
		})
	}
	for i := range n {
		want[i] = fmt.Sprintf("pages/%02d/%04d", i/100, i)
		work <- want[i]
	}
	close(work)
	wg.Wait()
	wantKeys(t, s, "pages/", want...)
}

func badKeysAreInvalid(t *testing.T, open func() objectstore.Store) {
	s := open()
	for _, key := range []string{"", "/a", "a/", "a//b", "../a", "a/../b", "./a", ".", "a\x00b", "a\nb", "\xff", strings.Repeat("a", 256), strings.Repeat("a/", 600) + "a"} {
		_, err := s.Put(t.Context(), key, strings.NewReader("x"), 1, sha256.Sum256([]byte("x")), objectstore.PutOptions{})
		wantClass(t, fmt.Sprintf("Put(%q)", key), err, objectstore.Invalid)
		_, err = s.Stat(t.Context(), key)
		wantClass(t, fmt.Sprintf("Stat(%q)", key), err, objectstore.Invalid)
		_, err = s.Get(t.Context(), key, 0, -1)
		wantClass(t, fmt.Sprintf("Get(%q)", key), err, objectstore.Invalid)
		_, err = s.Begin(t.Context(), key, 1, 1, objectstore.PutOptions{})
		wantClass(t, fmt.Sprintf("Begin(%q)", key), err, objectstore.Invalid)
	}
	wantKeys(t, s, "")
}

func canceledReturnsSoon(t *testing.T, open func() objectstore.Store) {
	s, body := open(), Bytes(1, 1000)
	put(t, s, "a", body)
	u := begin(t, s, "b", 1000)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		call func() error
	}{
		{"Put", func() error {
			_, err := s.Put(ctx, "c", bytes.NewReader(body), 1000, sha256.Sum256(body), objectstore.PutOptions{})
			return err
		}},
		{"Get", func() error { _, err := get(ctx, s, "a", 0, -1); return err }},
		{"Stat", func() error { _, err := s.Stat(ctx, "a"); return err }},
		{"List", func() error {
			for _, err := range s.List(ctx, "") {
				return err
			}
			return nil
		}},
		{"Begin", func() error { _, err := s.Begin(ctx, "c", 1, partSize, objectstore.PutOptions{}); return err }},
		{"PutPart", func() error { _, err := s.PutPart(ctx, u, 1, bytes.NewReader(body), 0, 1000, 0); return err }},
		{"Parts", func() error { _, err := s.Parts(ctx, u); return err }},
		{"Find", func() error { _, err := s.Find(ctx, "b"); return err }},
		{"Complete", func() error { _, err := s.Complete(ctx, u, nil, 0); return err }},
		{"Abort", func() error { return s.Abort(ctx, u) }},
	} {
		began := time.Now()
		if err := c.call(); !errors.Is(err, context.Canceled) || objectstore.ClassOf(err) != "" {
			t.Errorf("%s with an ended context = %v, want context.Canceled", c.name, err)
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("%s with an ended context took %v", c.name, d)
		}
	}
	wantKeys(t, s, "", "a")
}
