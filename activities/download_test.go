package activities_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"lightfast/activities"
	"lightfast/internal/atomicfile"
	"lightfast/internal/ratelimit"
	"lightfast/objectstore"
	"lightfast/photos"
)

const span = 8 * mib // of a range

// reads is a store that counts what is read of an object, and fails where a
// test says so.
type reads struct {
	objectstore.Store
	key  string
	get  func(off int64) error // called by Get
	cut  func(off int64) int64 // how many bytes a Get brings before it breaks; 0 for all
	bad  func(b []byte)        // spoils what is read
	etag string

	mu    sync.Mutex // guards all below
	bytes int64
	offs  []int64
}

func (r *reads) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	info, err := r.Store.Stat(ctx, key)
	if key == r.key && r.etag != "" {
		info.ETag = r.etag
	}
	return info, err
}

func (r *reads) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if key != r.key {
		return r.Store.Get(ctx, key, off, n)
	}
	if r.get != nil {
		if err := r.get(off); err != nil {
			return nil, err
		}
	}
	body, err := r.Store.Get(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offs = append(r.offs, off)
	most := int64(1 << 62)
	if r.cut != nil {
		if n := r.cut(off); n > 0 {
			most = n
		}
	}
	return &counting{ReadCloser: body, r: r, most: most}, nil
}

type counting struct {
	io.ReadCloser
	r    *reads
	most int64
}

func (c *counting) Read(b []byte) (int, error) {
	if c.most == 0 {
		return 0, &objectstore.Error{Class: objectstore.Unavailable, Op: "get", Key: c.r.key, Err: io.ErrUnexpectedEOF}
	}
	n, err := c.ReadCloser.Read(b[:min(int64(len(b)), c.most)])
	c.most -= int64(n)
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.bytes += int64(n)
	if c.r.bad != nil && n > 0 {
		c.r.bad(b[:n])
	}
	return n, err
}

// count returns what was read since the last count.
func (r *reads) count() (bytes int64, offs []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	bytes, offs = r.bytes, r.offs
	r.bytes, r.offs = 0, nil
	slices.Sort(offs)
	return bytes, offs
}

// restoring is a host that restores one film.
type restoring struct {
	*host
	film   []byte
	reads  *reads
	target string
	item   activities.ItemInput
}

func restoreFilm(t *testing.T, size int) *restoring {
	t.Helper()
	folder := t.TempDir()
	lib := newMemory()
	film := noise(1, size)
	lib.put("film.mov", photos.RoleOriginal, film)
	h := newHost(t, lib, folder)
	h.backup()
	activities.Close(h.Activities)
	r := &restoring{host: h, film: film, target: filepath.Join(t.TempDir(), "restored"),
		reads: &reads{Store: h.store, key: blobKey(film, "mov")}}
	h.OpenStore = func(context.Context, string, ratelimit.Line) (objectstore.Store, error) { return r.reads, nil }
	r.plan()
	return r
}

func (r *restoring) plan() {
	r.t.Helper()
	in := activities.RestoreInput{Dest: r.input.Dest, Snapshot: "latest", Target: r.target, Layout: activities.LayoutFlat, GiveUp: time.Hour}
	p, err := call[activities.Prepared](r.host, r.PrepareRestore, in)
	if err != nil {
		r.t.Fatal(err)
	}
	r.item = r.only(p)
	r.reads.count()
}

func (r *restoring) try() error {
	r.t.Helper()
	_, err := call[activities.Outcome](r.host, r.RestoreAsset, r.item)
	return err
}

// breakAt makes an attempt that ends when the range at off is asked for.
func (r *restoring) breakAt(off int64) {
	r.t.Helper()
	r.reads.get = func(at int64) error {
		if at == off {
			return &objectstore.Error{Class: objectstore.Unavailable, Op: "get", Key: r.reads.key}
		}
		return nil
	}
	if err := r.try(); err == nil {
		r.t.Fatal("an attempt whose range cannot be read succeeded")
	}
	r.reads.get = nil
	activities.Close(r.Activities) // the next process has nothing open
}

// finish checks that the film is there, the whole of it, and nothing else.
func (r *restoring) finish() activities.RestoreResult {
	r.t.Helper()
	res, err := call[activities.RestoreResult](r.host, r.FinishRestore, r.item.Epoch)
	if err != nil {
		r.t.Fatal(err)
	}
	entries, err := os.ReadDir(r.target)
	if err != nil || len(entries) != 1 {
		r.t.Errorf("the target has %v, %v", entries, err)
	}
	if got, err := os.ReadFile(filepath.Join(r.target, "film.mov")); err != nil || !bytes.Equal(got, r.film) {
		r.t.Errorf("film.mov: %d bytes are not the %d of the library, %v", len(got), len(r.film), err)
	}
	return res
}

// temps returns the files without a name in the target.
func (r *restoring) temps() []string {
	r.t.Helper()
	names, err := filepath.Glob(filepath.Join(r.target, atomicfile.TempPrefix+"*", "*"))
	if err != nil {
		r.t.Fatal(err)
	}
	return names
}

func TestOnlyMissingRangesAreReadAgain(t *testing.T) {
	r := restoreFilm(t, 9*span+100)
	r.breakAt(5 * span)
	before, had := r.reads.count()
	if _, err := os.Stat(filepath.Join(r.target, "film.mov")); err == nil {
		t.Error("the film has its name before it is whole")
	}
	if err := r.try(); err != nil {
		t.Fatal(err)
	}
	again, offs := r.reads.count()
	if !slices.Contains(offs, 5*span) {
		t.Errorf("asked for %v, then for %v", had, offs)
	}
	// Of the five before the broken one, two may have been on their way.
	film := int64(len(r.film))
	if again > film-3*span || before+again > film+2*span {
		t.Errorf("read %d bytes, then %d, of %d", before, again, film)
	}
	if res := r.finish(); res.Files != 1 || res.Bytes != film {
		t.Errorf("result %+v", res)
	}
}

func TestABrokenConnectionIsNoFailureWhileBytesMove(t *testing.T) {
	for _, size := range []int{mib, 3*span + 1} {
		r := restoreFilm(t, size)
		r.reads.cut = func(int64) int64 { return 300_000 }
		if err := r.try(); err != nil {
			t.Fatal(err)
		}
		if n, _ := r.reads.count(); n != int64(size) {
			t.Errorf("%d bytes were read of %d", n, size)
		}
		r.finish()
	}
}

func TestADeadConnectionIsAFailure(t *testing.T) {
	r := restoreFilm(t, 2*span)
	r.reads.get = func(int64) error {
		return &objectstore.Error{Class: objectstore.Unavailable, Op: "get", Key: r.reads.key}
	}
	if err := r.try(); err == nil {
		t.Error("a film was restored of nothing")
	}
}

// What lies in the target between two attempts is trusted with nothing.
func TestATemporaryFileThatIsNotOursCostsReadingOnly(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, file string) error{
		"gone":    func(_ *testing.T, file string) error { return os.Remove(file) },
		"shorter": func(_ *testing.T, file string) error { return os.Truncate(file, 100) },
		"foreign": func(t *testing.T, file string) error {
			other := filepath.Join(t.TempDir(), "other")
			return errors.Join(os.WriteFile(other, make([]byte, 9*span), 0o600), os.Rename(other, file))
		},
		"linked": func(t *testing.T, file string) error {
			return os.Link(file, filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(file))), "elsewhere"))
		},
		"link": func(t *testing.T, file string) error {
			other := filepath.Join(t.TempDir(), "other")
			return errors.Join(os.WriteFile(other, make([]byte, 9*span), 0o600), os.Remove(file), os.Symlink(other, file))
		},
		"damaged": func(_ *testing.T, file string) error {
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			for off := int64(12345); off < 8*span; off += span {
				_, errWrite := f.WriteAt([]byte("damage"), off)
				err = errors.Join(err, errWrite)
			}
			return errors.Join(err, f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := restoreFilm(t, 9*span)
			r.breakAt(8 * span)
			temps := r.temps()
			if len(temps) != 1 {
				t.Fatalf("files on their way: %v", temps)
			}
			if err := spoil(t, temps[0]); err != nil {
				t.Fatal(err)
			}
			r.reads.count()
			if err := r.try(); err != nil {
				t.Fatal(err)
			}
			if n, _ := r.reads.count(); n < int64(len(r.film)) || n > int64(len(r.film)+3*span) {
				t.Errorf("%d bytes were read of %d", n, len(r.film))
			}
			if res := r.finish(); res.Damaged || res.Count != 0 {
				t.Errorf("result %+v", res)
			}
		})
	}
}

func TestAnotherObjectUnderTheKeyBeginsAnew(t *testing.T) {
	r := restoreFilm(t, 4*span)
	r.breakAt(3 * span)
	r.reads.count()
	r.reads.etag = "another"
	if err := r.try(); err != nil {
		t.Fatal(err)
	}
	if n, _ := r.reads.count(); n != int64(len(r.film)) {
		t.Errorf("%d bytes were read of %d", n, len(r.film))
	}
	r.finish()
}

func TestDamageOfALargeObjectIsFoundByItsHash(t *testing.T) {
	for name, spoil := range map[string]func(r *restoring){
		"flipped": func(r *restoring) { r.reads.bad = func(b []byte) { b[0] ^= 1 } },
		"shorter": func(r *restoring) {
			if err := os.Truncate(filepath.Join(r.input.Dest, filepath.FromSlash(r.reads.key)), 3*span); err != nil {
				r.t.Fatal(err)
			}
		},
		"missing": func(r *restoring) {
			if err := os.Remove(filepath.Join(r.input.Dest, filepath.FromSlash(r.reads.key))); err != nil {
				r.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := restoreFilm(t, 4*span)
			spoil(r)
			if err := r.try(); err != nil {
				t.Fatal(err)
			}
			if temps := r.temps(); len(temps) != 0 {
				t.Errorf("left in the target: %v", temps)
			}
			res, err := call[activities.RestoreResult](r.host, r.FinishRestore, r.item.Epoch)
			if err != nil || !res.Damaged || res.Count != 1 || res.Files != 0 {
				t.Errorf("result %+v, %v", res, err)
			}
		})
	}
}

// An attempt whose lane has given it up may still be writing.
func TestTwoAttemptsNeverWriteOneFile(t *testing.T) {
	r := restoreFilm(t, 6*span)
	r.breakAt(5 * span)
	waiting, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.reads.get = func(int64) error {
		once.Do(func() { close(waiting) })
		<-release
		return nil
	}
	var first error
	var wg sync.WaitGroup
	wg.Go(func() { first = r.try() })
	<-waiting
	second := *r
	second.host = r.twin()
	if err := second.try(); err == nil {
		t.Error("a second attempt at the same time took the file of the first")
	}
	close(release)
	wg.Wait()
	if first != nil {
		t.Fatal(first)
	}
	r.finish()
}
