package activities_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/goleak"

	"lightfast/activities"
	"lightfast/catalog"
	"lightfast/internal/budget"
	"lightfast/internal/exit"
	"lightfast/internal/ratelimit"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/objectstore/dir"
	"lightfast/photos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	mib   = 1 << 20
	parts = 16 * mib // of a large file
)

// host is one that backs a library up to a folder. Several may share one.
type host struct {
	*activities.Activities
	t     *testing.T
	lib   *memory
	store *faulty
	now   time.Time
	input activities.BackupInput
}

func newHost(t *testing.T, lib *memory, folder string) *host {
	t.Helper()
	d, err := dir.New(folder, dir.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return newHostOf(t, lib, folder, d)
}

// newHostOf is a host that backs up to any store.
func newHostOf(t *testing.T, lib *memory, dest string, store objectstore.Store) *host {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	cat, err := catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, lib: lib, store: &faulty{Store: store}, now: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)}
	h.input = activities.BackupInput{Source: activities.SourceSpec{Path: "/library"}, Dest: dest, GiveUp: time.Hour}
	clock := func() time.Time { return h.now }
	h.Activities = &activities.Activities{
		Catalog: cat, Budget: budget.New(64 * mib), Log: log, Now: clock, Progress: activities.NewProgress(clock), Host: manifest.Host{ID: "host"},
		OpenSource: func(context.Context, activities.SourceSpec) (photos.Source, error) { return lib, nil },
		OpenStore:  func(context.Context, string, ratelimit.Line) (objectstore.Store, error) { return h.store, nil },
	}
	t.Cleanup(func() {
		activities.Close(h.Activities)
		if err := cat.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// twin is h in another process with the same catalog, which the lock of a
// state directory would keep away.
func (h *host) twin() *host {
	t := *h
	a := h.Activities
	t.Activities = &activities.Activities{Catalog: a.Catalog, Budget: a.Budget, Log: a.Log, Now: a.Now, Progress: a.Progress, Host: a.Host,
		OpenSource: a.OpenSource, OpenStore: a.OpenStore}
	h.t.Cleanup(func() { activities.Close(t.Activities) })
	return &t
}

// call runs an activity as a Temporal worker would.
func call[T any](h *host, activity any, in any) (out T, err error) {
	h.t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(h.Log))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(h.Activities)
	env.SetTestTimeout(time.Minute)
	v, err := env.ExecuteActivity(activity, in)
	if err != nil {
		return out, activities.FromTemporal(err)
	}
	if v.HasValue() {
		err = v.Get(&out)
	}
	return out, err
}

// prepare makes the plan of a run.
func (h *host) prepare() activities.Prepared {
	h.t.Helper()
	h.now = h.now.Add(time.Minute)
	p, err := call[activities.Prepared](h, h.PrepareRun, h.input)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// next returns the first of a lane.
func (h *host) next(e catalog.Epoch, lane string) (activities.ItemInput, bool) {
	h.t.Helper()
	refs, err := call[[]activities.Ref](h, h.NextAssets, activities.NextInput{Epoch: e, Lane: lane, N: 1})
	if err != nil {
		h.t.Fatal(err)
	}
	if len(refs) == 0 {
		return activities.ItemInput{}, false
	}
	return activities.ItemInput{Epoch: e, Item: refs[0].Item, Name: refs[0].Name, Lane: lane}, true
}

// only returns the one asset of a plan.
func (h *host) only(p activities.Prepared) activities.ItemInput {
	h.t.Helper()
	for _, lane := range []string{activities.Small, activities.Large} {
		if in, ok := h.next(p.Epoch, lane); ok {
			return in
		}
	}
	h.t.Fatal("nothing is planned")
	return activities.ItemInput{}
}

func (h *host) storeAsset(in activities.ItemInput) (activities.Outcome, error) {
	h.t.Helper()
	return call[activities.Outcome](h, h.StoreAsset, in)
}

// workOff stores everything that is planned, as the lanes would.
func (h *host) workOff(p activities.Prepared) {
	h.t.Helper()
	for _, lane := range []string{activities.Small, activities.Large, activities.Cloud} {
		for in, ok := h.next(p.Epoch, lane); ok; in, ok = h.next(p.Epoch, lane) {
			if out, err := h.storeAsset(in); err != nil {
				h.t.Fatalf("%s: %s, %v", in.Name, out, err)
			}
		}
	}
}

// finish makes the snapshot of a plan that is worked off.
func (h *host) finish(p activities.Prepared) activities.BackupResult {
	h.t.Helper()
	if _, err := call[any](h, h.BuildPages, p.Epoch); err != nil {
		h.t.Fatal(err)
	}
	res, err := call[activities.BackupResult](h, h.CommitHead, p.Epoch)
	if err != nil {
		h.t.Fatal(err)
	}
	return res
}

func (h *host) backup() activities.BackupResult {
	h.t.Helper()
	p := h.prepare()
	h.workOff(p)
	return h.finish(p)
}

// snapshot returns the resources of the newest snapshot by asset and path.
func (h *host) snapshot() map[string]manifest.Resource {
	h.t.Helper()
	head, err := activities.FindSnapshot(h.t.Context(), h.store.Store, "there", "", "latest")
	if err != nil {
		h.t.Fatal(err)
	}
	all := map[string]manifest.Resource{}
	for _, ref := range head.Pages {
		for a, err := range activities.ReadPage(h.t.Context(), h.store.Store, ref) {
			if err != nil {
				h.t.Fatal(err)
			}
			for _, r := range a.Resources {
				all[r.Path] = r
			}
		}
	}
	return all
}

// holds checks that a resource of the newest snapshot has these bytes.
func (h *host) holds(path string, want []byte) {
	h.t.Helper()
	r, ok := h.snapshot()[path]
	if !ok || !r.Stored() {
		h.t.Fatalf("%s is not stored: %+v", path, r)
	}
	got := r.Inline
	if r.Key != "" {
		body, err := h.store.Store.Get(h.t.Context(), r.Key, 0, -1)
		if err != nil {
			h.t.Fatal(err)
		}
		defer body.Close()
		plain := io.Reader(body)
		if r.Encoding == manifest.Zstd {
			dec, err := zstd.NewReader(body)
			if err != nil {
				h.t.Fatal(err)
			}
			defer dec.Close()
			plain = dec
		}
		if got, err = io.ReadAll(plain); err != nil {
			h.t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		h.t.Errorf("%s: %d stored bytes are not the %d of the library", path, len(got), len(want))
	}
}

// blobs returns the keys of all blobs that have a final name.
func (h *host) blobs() (keys []string) {
	h.t.Helper()
	for info, err := range h.store.Store.List(h.t.Context(), "blobs/") {
		if err != nil {
			h.t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// exits checks that err ends the run with this code.
func exits(t *testing.T, err error, want exit.Code) {
	t.Helper()
	if e, ok := errors.AsType[*exit.Error](err); !ok || e.Code != want {
		t.Errorf("error %v, want one of exit code %d", err, want)
	}
}

// memory is a library in memory, one asset for each file that has no "/" in
// its path; "a.jpg/x" is another resource of "a.jpg".
type memory struct {
	mu    sync.Mutex // guards files
	files map[string]*memFile
	hook  func(r photos.Resource) error // called by Open
}

type memFile struct {
	content []byte
	role    photos.Role
	mtime   int64
	read    func() // called by each Read
	readAt  func() // called by each ReadAt
	away    bool   // only in iCloud
}

func newMemory() *memory { return &memory{files: map[string]*memFile{}} }

// put writes a file as another program would: at another time.
func (m *memory) put(path string, role photos.Role, content []byte) *memFile {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := &memFile{content: content, role: role, mtime: 1}
	if old := m.files[path]; old != nil {
		f.mtime = old.mtime + 1
	}
	m.files[path] = f
	return f
}

func (m *memory) Identity(context.Context) (photos.Identity, error) {
	return photos.Identity{ID: "LIB", Kind: "folder", Name: "Library"}, nil
}

func (m *memory) Scan(context.Context) iter.Seq2[photos.Asset, error] {
	return func(yield func(photos.Asset, error) bool) {
		m.mu.Lock()
		assets := map[string]*photos.Asset{}
		for _, path := range slices.Sorted(maps.Keys(m.files)) {
			f := m.files[path]
			id, _, _ := strings.Cut(path, "/")
			if assets[id] == nil {
				assets[id] = &photos.Asset{ID: photos.AssetID(id), Metadata: photos.Metadata{OriginalFilename: id, Kind: photos.Photo}}
			}
			res := photos.Resource{Role: f.role, Name: path, Path: path, Size: int64(len(f.content)), ModTime: f.mtime}
			if f.away {
				res.Reason, res.ModTime, res.Fingerprint = photos.ICloudOnly, 0, fingerprint(f.content)
			}
			assets[id].Resources = append(assets[id].Resources, res)
		}
		m.mu.Unlock()
		for _, id := range slices.Sorted(maps.Keys(assets)) {
			if !yield(*assets[id], nil) {
				return
			}
		}
	}
}

func (m *memory) Open(_ context.Context, r photos.Resource) (photos.Reader, error) {
	if m.hook != nil {
		if err := m.hook(r); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[r.Path]
	if f == nil || f.away {
		return nil, &fs.PathError{Op: "open", Path: r.Path, Err: fs.ErrNotExist}
	}
	return &memReader{m: m, path: r.Path, opened: f, Reader: bytes.NewReader(f.content)}, nil
}

func (m *memory) Warnings() []string { return nil }
func (m *memory) Close() error       { return nil }

// memReader reads what the file holds now, as a real one does.
type memReader struct {
	*bytes.Reader
	m      *memory
	path   string
	opened *memFile
}

func (r *memReader) Size() int64  { return int64(len(r.opened.content)) }
func (r *memReader) Close() error { return nil }

func (r *memReader) Read(p []byte) (int, error) {
	if f := r.opened.read; f != nil {
		f()
	}
	return r.Reader.Read(p)
}

func (r *memReader) ReadAt(p []byte, off int64) (int, error) {
	if f := r.opened.readAt; f != nil {
		f()
	}
	r.m.mu.Lock()
	now := r.m.files[r.path]
	r.m.mu.Unlock()
	if now == nil {
		now = r.opened
	}
	return bytes.NewReader(now.content).ReadAt(p, off)
}

func (r *memReader) Unchanged() error {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if now := r.m.files[r.path]; now != nil && now != r.opened {
		return photos.ErrChanged
	}
	return nil
}

// faulty is a store that fails where a test says so, and counts.
type faulty struct {
	objectstore.Store
	before func(op, key string, n int) error // n: part number
	after  func(op, key string) error        // the answer is lost

	mu    sync.Mutex // guards all below
	puts  []string   // keys that were sent, parts not counted
	parts []int      // numbers that were sent
	more  *sync.Cond // told of each part, if somebody waits for it
	begun int
}

// withoutLast has part n fail when all before it have arrived.
func (f *faulty) withoutLast(n int) {
	f.more = sync.NewCond(&f.mu)
	f.before = func(op, _ string, part int) error {
		if op != "part" || part != n {
			return nil
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		for len(f.parts) < n-1 {
			f.more.Wait()
		}
		return &objectstore.Error{Class: objectstore.Unavailable, Op: op}
	}
}

func (f *faulty) fail(op, key string, n int) error {
	if f.before == nil {
		return nil
	}
	return f.before(op, key, n)
}

func (f *faulty) lose(op, key string) error {
	if f.after == nil {
		return nil
	}
	return f.after(op, key)
}

func (f *faulty) Put(ctx context.Context, key string, body io.ReaderAt, size int64, sum objectstore.SHA256, o objectstore.PutOptions) (objectstore.Info, error) {
	if err := f.fail("put", key, 0); err != nil {
		return objectstore.Info{}, err
	}
	f.mu.Lock()
	f.puts = append(f.puts, key)
	f.mu.Unlock()
	info, err := f.Store.Put(ctx, key, body, size, sum, o)
	return info, errors.Join(err, f.lose("put", key))
}

func (f *faulty) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	if err := f.fail("stat", key, 0); err != nil {
		return objectstore.Info{}, err
	}
	return f.Store.Stat(ctx, key)
}

func (f *faulty) Begin(ctx context.Context, key string, size, partSize int64, o objectstore.PutOptions) (objectstore.Upload, error) {
	if err := f.fail("begin", key, 0); err != nil {
		return objectstore.Upload{}, err
	}
	f.mu.Lock()
	f.begun++
	f.mu.Unlock()
	return f.Store.Begin(ctx, key, size, partSize, o)
}

func (f *faulty) PutPart(ctx context.Context, u objectstore.Upload, n int, body io.ReaderAt, off, size int64, crc uint64) (objectstore.Part, error) {
	if err := f.fail("part", u.Key, n); err != nil {
		return objectstore.Part{}, err
	}
	p, err := f.Store.PutPart(ctx, u, n, body, off, size, crc)
	if err == nil {
		f.mu.Lock()
		f.parts = append(f.parts, n)
		if f.more != nil {
			f.more.Broadcast()
		}
		f.mu.Unlock()
	}
	return p, err
}

func (f *faulty) Complete(ctx context.Context, u objectstore.Upload, parts []objectstore.Part, crc uint64) (objectstore.Info, error) {
	if err := f.fail("complete", u.Key, 0); err != nil {
		return objectstore.Info{}, err
	}
	info, err := f.Store.Complete(ctx, u, parts, crc)
	return info, errors.Join(err, f.lose("complete", u.Key))
}

// refuse makes every operation of a kind fail in one way.
func refuse(class objectstore.Class, ops ...string) func(string, string, int) error {
	return func(op, key string, _ int) error {
		if len(ops) > 0 && !slices.Contains(ops, op) {
			return nil
		}
		return &objectstore.Error{Class: class, Op: op, Key: key}
	}
}

// noise is content that is nowhere else.
func noise(seed uint64, size int) []byte {
	b := make([]byte, size)
	var s [32]byte
	s[0], s[1] = byte(seed), byte(seed>>8)
	rand.NewChaCha8(s).Read(b)
	return b
}

func blobKey(content []byte, ext string) string {
	return manifest.BlobKey(manifest.Hash(sha256.Sum256(content)), ext)
}
