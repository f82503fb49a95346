package activities_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lightfast/activities"
	"lightfast/internal/exit"
	"lightfast/objectstore"
	"lightfast/photos"
)

func TestWhatIsStoredIsWhatTheLibraryHas(t *testing.T) {
	lib := newMemory()
	small, empty, twice := noise(1, 100_000), []byte{}, noise(2, 5000)
	large := noise(3, 2*parts+1234)
	recipe := []byte("<plist/>")
	lib.put("small.jpg", photos.RoleOriginal, small)
	lib.put("small.jpg/small.aae", photos.RoleSidecar, recipe)
	lib.put("empty.jpg", photos.RoleOriginal, empty)
	lib.put("film.mov", photos.RoleOriginal, large)
	lib.put("one.jpg", photos.RoleOriginal, twice)
	lib.put("two.JPG", photos.RoleOriginal, twice)
	h := newHost(t, lib, t.TempDir())
	res := h.backup()

	for path, want := range map[string][]byte{"small.jpg": small, "small.jpg/small.aae": recipe, "empty.jpg": empty, "film.mov": large, "one.jpg": twice, "two.JPG": twice} {
		h.holds(path, want)
	}
	stored := h.snapshot()
	if r := stored["small.jpg/small.aae"]; r.Key != "" {
		t.Errorf("a sidecar is an object of its own: %s", r.Key)
	}
	if a, b := stored["one.jpg"], stored["two.JPG"]; a.Key != b.Key {
		t.Errorf("one content has two keys: %s, %s", a.Key, b.Key)
	}
	if keys := h.blobs(); len(keys) != 4 {
		t.Errorf("%d blobs, want 4: %q", len(keys), keys)
	}
	if diff := cmp.Diff([]int{1, 2, 3}, slices.Sorted(slices.Values(h.store.parts))); diff != "" {
		t.Errorf("parts sent: %s", diff)
	}
	sum := int64(len(small) + len(twice) + len(large))
	if res.Assets.Total != 5 || res.Assets.Stored != 5 || res.Resources.Stored != 5 || res.Resources.Deduplicated != 1 || res.Bytes.Sent != sum || res.Bytes.Stored != sum {
		t.Errorf("result %+v", res)
	}
}

func TestANoChangeRunStoresNothing(t *testing.T) {
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
	lib.put("b.jpg", photos.RoleOriginal, noise(2, 1000))
	h := newHost(t, lib, t.TempDir())
	first := h.backup()
	h.store.puts = nil
	second := h.backup()
	if second.Assets.Unchanged != 2 || second.Bytes.Sent != 0 || second.Snapshot <= first.Snapshot {
		t.Errorf("result %+v", second)
	}
	if len(h.store.puts) != 2 { // head and receipt
		t.Errorf("it put %q", h.store.puts)
	}
}

func TestAFileThatIsGoneOrUnreadableIsListedAndTheRestStored(t *testing.T) {
	for _, tt := range []struct {
		name, problem string
		err           error
	}{
		{"gone", "it left the library during the run", &fs.PathError{Op: "open", Path: "b.jpg", Err: fs.ErrNotExist}},
		{"unreadable", "open b.jpg: permission denied", &fs.PathError{Op: "open", Path: "b.jpg", Err: errors.New("permission denied")}},
		{"no file any more", "open b.jpg: not a regular file: invalid argument", fmt.Errorf("open b.jpg: not a regular file: %w", fs.ErrInvalid)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lib := newMemory()
			content := noise(1, 1000)
			lib.put("a.jpg", photos.RoleOriginal, content)
			lib.put("b.jpg", photos.RoleOriginal, noise(2, 1000))
			lib.hook = func(r photos.Resource) error {
				if r.Path == "b.jpg" {
					return tt.err
				}
				return nil
			}
			h := newHost(t, lib, t.TempDir())
			res := h.backup()
			h.holds("a.jpg", content)
			if r := h.snapshot()["b.jpg"]; r.Stored() || r.Reason != "unavailable" {
				t.Errorf("b.jpg is %+v", r)
			}
			if res.Assets.Failed != 1 || res.Assets.Stored != 1 || !res.Holes() {
				t.Errorf("result %+v", res.Assets)
			}
			want := []activities.Problem{{Asset: "b.jpg", Resource: "b.jpg", Problem: tt.problem}}
			if diff := cmp.Diff(want, res.Problems); diff != "" {
				t.Error(diff)
			}
			lib.hook = nil // and the next run tries again
			if res := h.backup(); res.Assets.Failed != 0 || res.Assets.Stored != 1 || res.Assets.Unchanged != 1 {
				t.Errorf("next run %+v", res.Assets)
			}
		})
	}
}

func TestWhatIsStoredStaysWhenTheFileIsGone(t *testing.T) {
	lib := newMemory()
	content := noise(1, 1000)
	lib.put("a.jpg", photos.RoleOriginal, content)
	lib.put("a.jpg/edit.jpg", photos.RoleEdited, noise(2, 1000))
	h := newHost(t, lib, t.TempDir())
	h.backup()
	lib.put("a.jpg", photos.RoleOriginal, noise(3, 2000)) // changed, and then
	lib.hook = func(r photos.Resource) error {
		if r.Path == "a.jpg" {
			return &fs.PathError{Op: "read", Path: r.Path, Err: errors.New("input/output error")}
		}
		return nil
	}
	res := h.backup()
	h.holds("a.jpg", content)
	if r := h.snapshot()["a.jpg"]; r.Warning != "unavailable" || r.Since == "" {
		t.Errorf("a.jpg is %+v", r)
	}
	if res.Resources.Kept != 1 {
		t.Errorf("%d kept, want 1", res.Resources.Kept)
	}
}

func TestAFileThatChangesIsNeverStoredMixed(t *testing.T) {
	for _, size := range []int{1000, 2 * parts} {
		lib := newMemory()
		lib.put("a.mov", photos.RoleOriginal, noise(1, size))
		h := newHost(t, lib, t.TempDir())
		p := h.prepare()
		in := h.only(p)
		in.Lane = activities.Large
		change := sync.OnceFunc(func() { lib.put("a.mov", photos.RoleOriginal, noise(2, size)) })
		if size == 1000 {
			lib.files["a.mov"].read = change
		} else { // between the passes
			lib.files["a.mov"].readAt = change
		}
		if out, err := h.storeAsset(in); err == nil {
			t.Errorf("%d bytes: outcome %s of a file that changed", size, out)
		}
		if keys := h.blobs(); keys != nil {
			t.Errorf("%d bytes: %q got a final name", size, keys)
		}
		// At rest, it is stored as it is now.
		if out, err := h.storeAsset(in); err != nil || out != activities.OutcomeDone {
			t.Fatalf("%d bytes: %s, %v", size, out, err)
		}
		h.finish(p)
		h.holds("a.mov", lib.files["a.mov"].content)
	}
}

// A killed run left checksums and parts; then the file was written again with
// the same size.
func TestAFileThatChangedBetweenTwoProcessesIsHashedAgain(t *testing.T) {
	lib := newMemory()
	lib.put("a.mov", photos.RoleOriginal, noise(1, 3*parts))
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	in := h.only(p)
	h.store.before = func(op, _ string, n int) error {
		if op == "part" && n == 3 {
			return &objectstore.Error{Class: objectstore.Unavailable, Op: op}
		}
		return nil
	}
	if _, err := h.storeAsset(in); err == nil {
		t.Fatal("it was stored without its third part")
	}
	h.store.before = nil
	lib.put("a.mov", photos.RoleOriginal, noise(2, 3*parts))
	for try := 1; ; try++ {
		if _, err := h.storeAsset(in); err == nil {
			break
		} else if try == 3 {
			t.Fatalf("still not stored: %v", err)
		}
	}
	h.finish(p)
	h.holds("a.mov", lib.files["a.mov"].content)
	if keys := h.blobs(); len(keys) != 1 {
		t.Errorf("blobs %q", keys)
	}
}

func TestOnlyMissingPartsAreSentAgain(t *testing.T) {
	lib := newMemory()
	content := noise(1, 4*parts)
	lib.put("a.mov", photos.RoleOriginal, content)
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	in := h.only(p)
	h.store.withoutLast(4)
	if _, err := h.storeAsset(in); err == nil {
		t.Fatal("it was stored without its last part")
	}
	sent := len(h.store.parts)
	h.store.before, h.store.parts = nil, nil
	if _, err := h.storeAsset(in); err != nil {
		t.Fatal(err)
	}
	if len(h.store.parts) != 4-sent || h.store.begun != 1 {
		t.Errorf("first %d parts, then %v; %d uploads", sent, h.store.parts, h.store.begun)
	}
	if res := h.finish(p); res.Bytes.Sent != int64(len(content)) {
		t.Errorf("%d bytes sent, want %d", res.Bytes.Sent, len(content))
	}
	h.holds("a.mov", content)
}

func TestWithoutARecordTheStoreTellsWhatItHas(t *testing.T) {
	lib := newMemory()
	content := noise(1, 4*parts)
	lib.put("a.mov", photos.RoleOriginal, content)
	dest := t.TempDir()
	h := newHost(t, lib, dest)
	in := h.only(h.prepare())
	h.store.withoutLast(4)
	if _, err := h.storeAsset(in); err == nil {
		t.Fatal("it was stored without its last part")
	}
	sent := len(h.store.parts)
	again := newHost(t, lib, dest) // with a catalog that knows nothing
	p := again.prepare()
	if _, err := again.storeAsset(again.only(p)); err != nil {
		t.Fatal(err)
	}
	if len(again.store.parts) != 4-sent || again.store.begun != 0 {
		t.Errorf("first %d parts, then %v; %d uploads begun", sent, again.store.parts, again.store.begun)
	}
	again.finish(p)
	again.holds("a.mov", content)
}

func TestAnUploadThatTheStoreForgotBeginsAnew(t *testing.T) {
	lib := newMemory()
	content := noise(1, 2*parts)
	lib.put("a.mov", photos.RoleOriginal, content)
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	in := h.only(p)
	h.store.before = refuse(objectstore.Unavailable, "complete")
	if _, err := h.storeAsset(in); err == nil {
		t.Fatal("it was stored without Complete")
	}
	h.store.before = nil
	keys, err := h.store.Find(t.Context(), h.uploadKey())
	if err != nil || len(keys) != 1 {
		t.Fatalf("uploads: %v, %v", keys, err)
	}
	if err := h.store.Abort(t.Context(), keys[0]); err != nil {
		t.Fatal(err)
	}
	if out, err := h.storeAsset(in); err != nil || out != activities.OutcomeDone {
		t.Fatalf("%s, %v", out, err)
	}
	h.finish(p)
	h.holds("a.mov", content)
}

func TestALostAnswerIsNoFailure(t *testing.T) {
	for _, tt := range []struct {
		op, name string
		role     photos.Role
		content  []byte
	}{
		{"put", "a.mov", photos.RoleOriginal, noise(1, 1000)},
		{"complete", "a.mov", photos.RoleOriginal, noise(1, 2*parts)},
		{"put", "a.sqlite", photos.RoleLibrary, database(1, 100_000)}, // compressed
		{"complete", "a.sqlite", photos.RoleLibrary, database(1, 20*mib)},
	} {
		lib := newMemory()
		lib.put(tt.name, tt.role, tt.content)
		h := newHost(t, lib, t.TempDir())
		p := h.prepare()
		in := h.only(p)
		in.Lane = activities.Large
		h.store.after = func(op, _ string) error {
			if op == tt.op {
				return &objectstore.Error{Class: objectstore.Unavailable, Op: op}
			}
			return nil
		}
		if _, err := h.storeAsset(in); err == nil {
			t.Fatalf("%s of %s: no failure", tt.op, tt.name)
		}
		h.store.after = nil
		if out, err := h.storeAsset(in); err != nil || out != activities.OutcomeDone {
			t.Fatalf("%s of %s: %s, %v", tt.op, tt.name, out, err)
		}
		h.finish(p)
		h.holds(tt.name, tt.content)
	}
}

func TestAnotherHostsObjectIsTakenAsItIs(t *testing.T) {
	there := t.TempDir()
	lib := newMemory()
	small, large := noise(1, 1000), noise(2, 2*parts)
	lib.put("a.jpg", photos.RoleOriginal, small)
	lib.put("a.mov", photos.RoleOriginal, large)
	one, two := newHost(t, lib, there), newHost(t, lib, there)
	p, q := one.prepare(), two.prepare() // neither knows of the other's
	one.workOff(p)
	two.workOff(q)
	one.finish(p)
	res := two.finish(q)
	if res.Resources.Deduplicated != 2 || res.Bytes.Stored != 0 || two.store.begun != 0 {
		t.Errorf("the second host stored again: %+v", res)
	}
	two.holds("a.jpg", small)
	two.holds("a.mov", large)
}

func TestAFailureOfTheStore(t *testing.T) {
	for _, tt := range []struct {
		name   string
		class  objectstore.Class
		ops    []string // none: all
		lane   string
		want   activities.Outcome
		code   exit.Code
		wantIn string // lane afterwards
	}{
		{name: "denied ends the run", class: objectstore.Denied, lane: activities.Small, code: exit.Destination},
		{name: "full ends the run", class: objectstore.Full, lane: activities.Small, code: exit.Destination},
		{name: "full ends the run of a film", class: objectstore.Full, lane: activities.Large, code: exit.Destination},
		{name: "a store that is away is waited for", class: objectstore.Unavailable, lane: activities.Small, want: activities.StoreAway, wantIn: activities.Small},
		{name: "so is one that asks for less", class: objectstore.Throttled, lane: activities.Small, want: activities.StoreAway, wantIn: activities.Small},
		{name: "one asset that it does not take is handed over", class: objectstore.Unavailable, ops: []string{"put"}, lane: activities.Small, want: activities.HandedOver, wantIn: activities.Large},
		{name: "so is one with a wrong checksum", class: objectstore.Checksum, lane: activities.Small, want: activities.HandedOver, wantIn: activities.Large},
		{name: "lane large tries again", class: objectstore.Unavailable, lane: activities.Large, code: exit.Failed, wantIn: activities.Small},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lib := newMemory()
			lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
			h := newHost(t, lib, t.TempDir())
			p := h.prepare()
			in := h.only(p)
			in.Lane = tt.lane
			h.store.before = refuse(tt.class, tt.ops...)
			out, err := h.storeAsset(in)
			if got := exit.CodeOf(err); got != tt.code || out != tt.want {
				t.Errorf("StoreAsset = %q, %v", out, err)
			}
			h.store.before = nil
			if tt.wantIn != "" {
				if _, ok := h.next(p.Epoch, tt.wantIn); !ok {
					t.Errorf("it is not to do in lane %s", tt.wantIn)
				}
			}
			h.workOff(p) // and when the store is well again
			if res := h.finish(p); res.Assets.Stored != 1 || res.Holes() {
				t.Errorf("result %+v", res.Assets)
			}
		})
	}
}

func TestPatienceIsCountedFromTheLastAnswer(t *testing.T) {
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
	lib.put("b.jpg", photos.RoleOriginal, noise(2, 1000))
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	in := h.only(p)
	in.Lane = activities.Large
	away := func(after time.Duration) error {
		h.now = h.now.Add(after)
		h.store.before = refuse(objectstore.Unavailable)
		_, err := h.storeAsset(in)
		h.store.before = nil
		return err
	}
	if err := away(100 * time.Hour); exit.CodeOf(err) != exit.Failed { // a long run, a first hiccup
		t.Errorf("the first failure ended the run: %v", err)
	}
	if _, err := h.storeAsset(in); err != nil {
		t.Fatal(err)
	}
	in = h.only(p)
	in.Lane = activities.Large
	if err := away(100 * time.Hour); exit.CodeOf(err) != exit.Failed {
		t.Errorf("a failure after an answer ended the run: %v", err)
	}
	exits(t, away(h.input.GiveUp+time.Second), exit.Destination)
}

func TestWhatAnAssetHasStoredIsNotSentAgain(t *testing.T) {
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
	lib.put("a.jpg/edit.jpg", photos.RoleEdited, noise(2, 1000))
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	in := h.only(p)
	in.Lane = activities.Large
	lib.hook = func(r photos.Resource) error {
		if r.Role == photos.RoleEdited {
			return errors.New("nobody knows why")
		}
		return nil
	}
	if _, err := h.storeAsset(in); err == nil {
		t.Fatal("no failure")
	}
	lib.hook = nil
	h.store.puts = nil
	if _, err := h.storeAsset(in); err != nil {
		t.Fatal(err)
	}
	if len(h.store.puts) != 1 {
		t.Errorf("sent again: %q", h.store.puts)
	}
	if res := h.finish(p); res.Bytes.Sent != 2000 || res.Bytes.Stored != 2000 {
		t.Errorf("result %+v", res.Bytes)
	}
}

func TestAPanicIsTheFailureOfOneAsset(t *testing.T) {
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
	lib.put("b.jpg", photos.RoleOriginal, noise(2, 1000))
	h := newHost(t, lib, t.TempDir())
	lib.hook = func(r photos.Resource) error {
		if r.Path == "a.jpg" {
			panic("strange picture")
		}
		return nil
	}
	p := h.prepare()
	for in, ok := h.next(p.Epoch, activities.Small); ok; in, ok = h.next(p.Epoch, activities.Small) {
		want := activities.OutcomeDone
		if in.Name == "a.jpg" {
			want = activities.HandedOver
		}
		if out, err := h.storeAsset(in); err != nil || out != want {
			t.Fatalf("%s: %s, %v", in.Name, out, err)
		}
	}
	h.holdsKey(noise(2, 1000))
}

func TestADoneAssetIsALookUp(t *testing.T) {
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, 1000))
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	in := h.only(p)
	for range 2 {
		if out, err := h.storeAsset(in); err != nil || out != activities.OutcomeDone {
			t.Fatalf("%s, %v", out, err)
		}
	}
	if len(h.store.puts) != 2 { // with the config
		t.Errorf("it put %q", h.store.puts)
	}
}

// uploadKey is the key of the only large file of the library.
func (h *host) uploadKey() string {
	h.t.Helper()
	for _, f := range h.lib.files {
		return blobKey(f.content, "mov")
	}
	return ""
}

func (h *host) holdsKey(content []byte) {
	h.t.Helper()
	if !slices.ContainsFunc(h.blobs(), func(k string) bool { return bytes.Contains([]byte(k), []byte(blobKey(content, "jpg"))) }) {
		h.t.Errorf("no blob of %d bytes", len(content))
	}
}
