package activities_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lightfast/activities"
	"lightfast/internal/spool"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/photos"
	"lightfast/photos/photostest"
)

func fingerprint(content []byte) string {
	f := photos.NewFingerprint()
	f.Write(content)
	return f.String()
}

// inCloud makes a file of m one that only iCloud has.
func (m *memory) inCloud(name string, role photos.Role, content []byte) {
	m.put(name, role, content).away = true
}

// cloudHost is a host with a fetcher.
type cloudHost struct {
	*host
	cloud *photostest.Cloud
	spool string
}

// newCloudHost has every pause of iCloud last a millisecond. Nothing is given
// up for standing still in less than a minute: the machine may be busy.
func newCloudHost(t *testing.T, lib *memory, o photostest.CloudOptions) *cloudHost {
	t.Helper()
	dir := t.TempDir()
	var index []photostest.CloudEntry
	for name, f := range lib.files {
		if !f.away {
			continue
		}
		id, _, _ := strings.Cut(name, "/")
		sum := sha256.Sum256(f.content)
		e := photostest.CloudEntry{UUID: photos.AssetID(id), Role: f.role, Path: name, File: hex.EncodeToString(sum[:]), Size: int64(len(f.content)), Fingerprint: fingerprint(f.content)}
		if err := os.WriteFile(filepath.Join(dir, e.File), f.content, 0o644); err != nil {
			t.Fatal(err)
		}
		index = append(index, e)
	}
	b, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	cloud, err := photostest.OpenCloud(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	h := &cloudHost{host: newHost(t, lib, t.TempDir()), cloud: cloud, spool: t.TempDir()}
	h.Now = time.Now
	h.setCloud(cloud, 64*mib)
	t.Cleanup(func() {
		left, err := filepath.Glob(filepath.Join(h.spool, "*.*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left in the spool: %v, %v", left, err)
		}
	})
	return h
}

func (h *cloudHost) setCloud(f photos.Fetcher, budget int64) {
	h.t.Helper()
	s, err := spool.Open(h.spool, spool.Options{Budget: budget, Floor: 1, Recheck: time.Millisecond, Log: slog.New(slog.NewTextHandler(h.t.Output(), nil))})
	if err != nil {
		h.t.Fatal(err)
	}
	h.Fetching = activities.Fetching{
		Open: func(context.Context, activities.SourceSpec) (photos.Fetcher, error) {
			if f == nil {
				return nil, nil
			}
			return f, nil
		},
		Spool: s, Readers: 2, Again: time.Millisecond, Room: time.Millisecond, Stall: time.Minute, Breaker: time.Millisecond,
	}
}

// once is a fault of the first call for each resource.
func once(f photostest.CloudFault) func(photos.AssetID, photos.Resource, int) photostest.CloudFault {
	return func(_ photos.AssetID, _ photos.Resource, n int) photostest.CloudFault {
		if n == 1 {
			return f
		}
		return ""
	}
}

func always(f photostest.CloudFault) func(photos.AssetID, photos.Resource, int) photostest.CloudFault {
	return func(photos.AssetID, photos.Resource, int) photostest.CloudFault { return f }
}

func classes(res activities.BackupResult) (c []string) {
	for _, p := range res.Problems {
		c = append(c, p.Class)
	}
	return c
}

func TestWhatOnlyICloudHasIsStoredAsAnyOther(t *testing.T) {
	lib := newMemory()
	still, live, alone := noise(1, 3000), noise(2, 5000), noise(3, 20*mib)
	lib.put("a.heic", photos.RoleOriginal, still)
	lib.inCloud("a.heic/live.mov", photos.RoleLive, live)
	lib.inCloud("b.mov", photos.RoleOriginal, alone)
	h := newCloudHost(t, lib, photostest.CloudOptions{})
	p := h.prepare()
	if p.Readers != 2 {
		t.Errorf("readers = %d, want 2", p.Readers)
	}
	// What is there is stored by its own lane before iCloud is asked for the rest.
	in, ok := h.next(p.Epoch, activities.Small)
	if !ok || in.Name != "a.heic" {
		t.Fatalf("first of lane small: %+v", in)
	}
	if out, err := h.storeAsset(in); out != activities.HandedOver || err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	if calls, _, _ := h.cloud.Counts(); calls != 0 {
		t.Errorf("iCloud was asked %d times by lane small", calls)
	}
	h.workOff(p)
	res := h.finish(p)
	if res.Holes() || res.Assets.Stored != 2 || len(res.Problems) > 0 || len(res.Resources.Absent) > 0 {
		t.Errorf("result %+v", res)
	}
	h.holds("a.heic", still)
	h.holds("a.heic/live.mov", live)
	h.holds("b.mov", alone)
	for name, r := range h.snapshot() {
		if r.Reason != "" || r.Warning != "" || r.Since != "" {
			t.Errorf("%s is %+v, want no reason and no warning", name, r)
		}
	}

	// It is not asked for again, also when the rest of the asset changes.
	lib.put("a.heic", photos.RoleOriginal, noise(4, 100))
	calls, _, _ := h.cloud.Counts()
	res = h.backup()
	if again, _, _ := h.cloud.Counts(); again != calls {
		t.Errorf("%d requests for what is stored", again-calls)
	}
	if res.Holes() || res.Resources.Kept != 0 {
		t.Errorf("result of the next run %+v", res)
	}
	h.holds("a.heic/live.mov", live)
}

func TestWithoutAFetcherItStaysAHoleUntilThereIsOne(t *testing.T) {
	lib := newMemory()
	content := noise(1, 3000)
	lib.inCloud("a.heic", photos.RoleOriginal, content)
	h := newCloudHost(t, lib, photostest.CloudOptions{})
	h.setCloud(nil, 64*mib)
	p := h.prepare()
	if p.Readers != 0 {
		t.Errorf("readers = %d, want no lane cloud", p.Readers)
	}
	res := h.finish(p)
	if res.Resources.Absent["icloud_only"] != 1 || len(res.Problems) > 0 {
		t.Errorf("result %+v", res)
	}
	h.setCloud(h.cloud, 64*mib)
	if res := h.backup(); res.Holes() || res.Assets.Stored != 1 {
		t.Errorf("result with a fetcher %+v", res)
	}
	h.holds("a.heic", content)

	// Another edit: the database says what it should be.
	lib.inCloud("a.heic", photos.RoleOriginal, noise(2, 3000))
	if res := h.backup(); !slices.Equal(classes(res), []string{"icloud_unfit"}) || res.Resources.Kept != 1 {
		t.Errorf("result of changed content %+v, %v", res, classes(res))
	}
	h.holds("a.heic", content)
}

func TestAPlanForICloudEndsWithoutAFetcher(t *testing.T) {
	lib := newMemory()
	lib.inCloud("a.heic", photos.RoleOriginal, noise(1, 3000))
	lib.put("b.heic", photos.RoleOriginal, noise(2, 3000))
	lib.inCloud("b.heic/live.mov", photos.RoleLive, noise(3, 3000))
	h := newCloudHost(t, lib, photostest.CloudOptions{})
	p := h.prepare()
	activities.Close(h.Activities) // another process goes on, without the helper
	h.setCloud(nil, 64*mib)
	h.workOff(p)
	if res := h.finish(p); res.Resources.Absent["icloud_only"] != 2 || res.Assets.Incomplete != 2 {
		t.Errorf("result %+v", res)
	}
}

func TestFaultsOfICloud(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fault   func(photos.AssetID, photos.Resource, int) photostest.CloudFault
		stored  bool
		classes []string
		calls   int
	}{
		{"the network fails once", once(photostest.CloudAgain), true, nil, 2},
		{"the network is gone", always(photostest.CloudAgain), false, []string{"icloud_again"}, 4},
		{"gone in iCloud", always(photostest.CloudSkip), false, []string{"icloud_skip"}, 1},
		{"no room once", once(photostest.CloudWait), true, nil, 2},
		{"cut off once", once(photostest.CloudShort), true, nil, 2},
		{"always cut off", always(photostest.CloudShort), false, []string{"icloud_unfit"}, 2},
		{"another picture once", once(photostest.CloudProxy), true, nil, 2},
		{"always another picture", always(photostest.CloudProxy), false, []string{"icloud_unfit"}, 2},
		{"no permission", always(photostest.CloudStop), false, []string{"icloud_stop"}, 1},
		{"nothing moves once", once(photostest.CloudHang), true, nil, 2},
		{"a panic", once(photostest.CloudPanic), true, nil, 2},
	} {
		for _, way := range []struct {
			name   string
			size   int
			budget int64
		}{{"small", 3000, mib}, {"large", 9 * mib, 64 * mib}, {"pushed", 3000, 3000}} {
			t.Run(tt.name+"/"+way.name, func(t *testing.T) {
				t.Parallel()
				lib := newMemory()
				content := noise(1, way.size)
				lib.inCloud("a.mov", photos.RoleOriginal, content)
				lib.put("b.jpg", photos.RoleOriginal, noise(2, 1000))
				h := newCloudHost(t, lib, photostest.CloudOptions{Fault: tt.fault})
				h.setCloud(h.cloud, way.budget)
				if strings.HasPrefix(tt.name, "nothing moves") {
					h.Fetching.Stall = time.Second
				}
				res := h.backup()
				want := tt.calls
				if way.name == "pushed" && tt.stored {
					want++ // pass two
				}
				if calls := h.cloud.Calls("a.mov", photos.RoleOriginal); calls != want {
					t.Errorf("asked %d times, want %d", calls, want)
				}
				if got := classes(res); !slices.Equal(got, tt.classes) {
					t.Errorf("problems %v, want %v", res.Problems, tt.classes)
				}
				if tt.stored {
					h.holds("a.mov", content)
					return
				}
				r := h.snapshot()["a.mov"]
				if r.Stored() || r.Reason != string(photos.ICloudOnly) || res.Assets.Incomplete != 1 || res.Assets.Failed != 0 {
					t.Errorf("resource %+v in %+v, want the hole it was", r, res.Assets)
				}
				if blobs := h.blobs(); len(blobs) != 1 {
					t.Errorf("blobs %v, want that of b.jpg alone", blobs)
				}
			})
		}
	}
}

func TestWhatIsTooLargeForTheSpoolIsPushedAndGoesOnByPart(t *testing.T) {
	lib := newMemory()
	content := noise(1, 40*mib+5)
	lib.inCloud("a.mov", photos.RoleOriginal, content)
	h := newCloudHost(t, lib, photostest.CloudOptions{})
	p := h.prepare()
	in, _ := h.next(p.Epoch, activities.Cloud)
	h.store.before = func(op, key string, n int) error {
		if op == "part" && n == 4 {
			return &objectstore.Error{Class: objectstore.Unavailable, Op: op, Key: key}
		}
		return nil
	}
	if out, err := h.storeAsset(in); err == nil {
		t.Fatalf("%s although the store went away", out)
	}
	if _, err := os.Stat(h.spool); err != nil {
		t.Error(err)
	}
	activities.Close(h.Activities) // as after a kill
	h.store.before = nil
	h.workOff(p)
	if want := []int{1, 2, 3, 4, 5, 6}; !slices.Equal(h.store.parts, want) {
		t.Errorf("parts sent %v, want each once", h.store.parts)
	}
	if res := h.finish(p); res.Holes() {
		t.Errorf("result %+v", res)
	}
	h.holds("a.mov", content)
	if calls := h.cloud.Calls("a.mov", photos.RoleOriginal); calls != 3 { // hash, parts, parts: the hash is kept
		t.Errorf("pushed %d times, want 3", calls)
	}
}

func TestAnotherLibraryThanPhotosHasOpenIsNotAskedFor(t *testing.T) {
	lib := newMemory()
	for i := range 50 {
		lib.inCloud(fmt.Sprintf("%d.heic", i), photos.RoleOriginal, noise(uint64(i), 100))
	}
	h := newCloudHost(t, lib, photostest.CloudOptions{Other: true})
	res := h.backup()
	if calls, _, _ := h.cloud.Counts(); calls != 0 {
		t.Errorf("asked %d times", calls)
	}
	if got := classes(res); !slices.Equal(got, []string{"icloud_stop"}) || !strings.Contains(res.Problems[0].Problem, "0 of 20 assets") {
		t.Errorf("problems %v, want one line about another library", res.Problems)
	}
	if res.Resources.Absent["icloud_only"] != 50 || res.Assets.Failed != 0 || res.Assets.Incomplete != 50 {
		t.Errorf("result %+v", res)
	}
}

// What Photos does not show is reported, and is still an asset of the library.
func TestWhatPhotosDoesNotShowIsReportedAndStaysAnAsset(t *testing.T) {
	lib := newMemory()
	h := newCloudHost(t, lib, photostest.CloudOptions{})
	lib.inCloud("hidden.heic", photos.RoleOriginal, noise(1, 100))
	res := h.backup()
	if got := classes(res); res.Assets.Total != 1 || !slices.Equal(got, []string{"icloud_skip"}) {
		t.Errorf("result %+v %v", res.Assets, res.Problems)
	}
}

func TestAFileThatHasComeMeanwhileIsReadFromTheLibrary(t *testing.T) {
	lib := newMemory()
	content := noise(1, 3000)
	lib.inCloud("a.heic", photos.RoleOriginal, content)
	h := newCloudHost(t, lib, photostest.CloudOptions{})
	p := h.prepare()
	lib.put("a.heic", photos.RoleOriginal, content)
	h.workOff(p)
	h.finish(p)
	if calls, _, _ := h.cloud.Counts(); calls != 0 {
		t.Errorf("iCloud was asked %d times", calls)
	}
	h.holds("a.heic", content)
}

// An original of which nothing is known cannot be told from a preview.
func TestAnOriginalOfWhichNothingIsKnownIsNotAskedFor(t *testing.T) {
	lib := newMemory()
	lib.inCloud("a.heic", photos.RoleOriginal, noise(1, 3000))
	h := newCloudHost(t, lib, photostest.CloudOptions{})
	h.OpenSource = func(context.Context, activities.SourceSpec) (photos.Source, error) { return ignorant{lib}, nil }
	if res := h.backup(); !slices.Equal(classes(res), []string{"icloud_unfit"}) {
		t.Errorf("problems %v", res.Problems)
	}
}

// ignorant knows neither sizes nor fingerprints.
type ignorant struct{ *memory }

func (i ignorant) Scan(ctx context.Context) iter.Seq2[photos.Asset, error] {
	return func(yield func(photos.Asset, error) bool) {
		for a, err := range i.memory.Scan(ctx) {
			for n := range a.Resources {
				a.Resources[n].Size, a.Resources[n].Fingerprint = -1, ""
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

func TestNoRoomInTheSpoolIsWaitedForAndShown(t *testing.T) {
	lib := newMemory()
	content := noise(1, 3000)
	lib.inCloud("a.heic", photos.RoleOriginal, content)
	h := newCloudHost(t, lib, photostest.CloudOptions{})
	h.setCloud(h.cloud, 10_000)
	p := h.prepare()
	other, err := h.Fetching.Spool.Acquire(t.Context(), spool.Need{File: 9000}, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.workOff(p)
	}()
	for waiting := false; !waiting; {
		for _, w := range h.Progress.Report().Waiting {
			waiting = waiting || w.What == "room in the spool"
		}
		select {
		case <-done:
			t.Fatal("done without room")
		case <-time.After(time.Millisecond):
		}
	}
	other.Release()
	<-done
	if w := h.Progress.Report().Waiting; len(w) > 0 {
		t.Errorf("waiting for %v at the end", w)
	}
	h.finish(p)
	h.holds("a.heic", content)
}

// A disk that stays full must not keep the rest of the run from its end.
func TestAFullDiskIsWaitedForAsLongAsTheUserWaits(t *testing.T) {
	lib := newMemory()
	lib.inCloud("a.heic", photos.RoleOriginal, noise(1, 3000))
	h := newCloudHost(t, lib, photostest.CloudOptions{Fault: always(photostest.CloudWait)})
	h.input.GiveUp = 20 * time.Millisecond
	if res := h.backup(); !slices.Equal(classes(res), []string{"icloud_stop"}) || !strings.Contains(res.Problems[0].Problem, "no room") {
		t.Errorf("problems %v", res.Problems)
	}
	h.setCloud(h.cloud, 64*mib)
	full, err := spool.Open(h.spool, spool.Options{Budget: 1 << 20, Floor: 1 << 60, Recheck: time.Millisecond, Log: h.Log})
	if err != nil {
		t.Fatal(err)
	}
	h.Fetching.Spool = full
	if res := h.backup(); !slices.Equal(classes(res), []string{"icloud_stop"}) {
		t.Errorf("problems %v", res.Problems)
	}
}

// When nothing comes any more, whatever is asked for, the run asks less and
// less, and ends without having given each asset up for itself.
func TestNothingComesAnyMore(t *testing.T) {
	lib := newMemory()
	for i := range 100 {
		lib.inCloud(fmt.Sprintf("%d.heic", i), photos.RoleOriginal, noise(uint64(i), 100))
	}
	h := newCloudHost(t, lib, photostest.CloudOptions{Fault: always(photostest.CloudAgain)})
	h.Fetching.Again = time.Hour // none has a second try in this test
	res := h.backup()
	calls, _, _ := h.cloud.Counts()
	if calls < 10 || calls > 15 {
		t.Errorf("asked %d times, want 5 and one after each pause", calls)
	}
	if got := classes(res); !slices.Equal(got, []string{"icloud_stop"}) || res.Assets.Incomplete != 100 {
		t.Errorf("result %+v, problems %v", res.Assets, res.Problems)
	}
}

// sampled records what was looked for.
type sampled struct {
	photos.Fetcher
	ids []photos.AssetID
}

func (s *sampled) Shows(ctx context.Context, ids []photos.AssetID) (int, error) {
	s.ids = ids
	return s.Fetcher.Shows(ctx, ids)
}

func TestTheSampleIsSpreadOverTheLibrary(t *testing.T) {
	for _, n := range []int{1, 41, 137} {
		lib := newMemory()
		for i := range n {
			lib.put(fmt.Sprintf("%04d.heic", i), photos.RoleOriginal, []byte{byte(i), byte(i >> 8)})
		}
		lib.inCloud(fmt.Sprintf("%04d.heic/live.mov", n/2), photos.RoleLive, noise(1, 100))
		h := newCloudHost(t, lib, photostest.CloudOptions{})
		s := &sampled{Fetcher: h.cloud}
		h.setCloud(s, 64*mib)
		h.backup()
		if want := min(n, 20); len(s.ids) != want {
			t.Errorf("of %d assets %d were looked for, want %d", n, len(s.ids), want)
		}
		slices.Sort(s.ids)
		if len(slices.Compact(slices.Clone(s.ids))) != len(s.ids) {
			t.Errorf("of %d assets some were looked for twice: %v", n, s.ids)
		}
		if n >= 100 && (s.ids[0] > photos.AssetID(fmt.Sprintf("%04d", n/8)) || s.ids[len(s.ids)-1] < photos.AssetID(fmt.Sprintf("%04d", n*7/8))) {
			t.Errorf("of %d assets: %v", n, s.ids)
		}
	}
}

// A thousand faults of all kinds: every resource ends stored or with its one
// reason, what is stored is right, and nothing is left open.
func TestAThousandFaultsOfICloud(t *testing.T) {
	lib := newMemory()
	contents := map[string][]byte{}
	put := func(name string, role photos.Role, size int) {
		contents[name] = noise(uint64(len(contents)), size)
		lib.inCloud(name, role, contents[name])
	}
	for i := range 250 {
		id := fmt.Sprintf("%03d.heic", i)
		put(id, photos.RoleOriginal, 500+i)
		put(path.Join(id, "live.mov"), photos.RoleLive, 2000+i)
	}
	put("film.mov", photos.RoleOriginal, 9*mib)
	h := newCloudHost(t, lib, photostest.CloudOptions{Seed: 1, Rate: 0.55, Faults: []photostest.CloudFault{
		photostest.CloudAgain, photostest.CloudAgain, photostest.CloudWait, photostest.CloudShort, photostest.CloudProxy, photostest.CloudHang, photostest.CloudPanic}})
	h.setCloud(h.cloud, 16*mib)
	h.Fetching.Stall = 2 * time.Millisecond
	h.Log = slog.New(slog.DiscardHandler)
	faults, runs := 0, 0
	for ; faults < 1000; runs++ {
		res := h.backup()
		_, faults, _ = h.cloud.Counts()
		told := map[string]int{}
		for _, p := range res.Problems {
			told[p.Resource]++
		}
		var left int64
		for name, r := range h.snapshot() {
			sum := sha256.Sum256(contents[name])
			switch {
			case r.Stored() && *r.SHA256 != manifest.Hash(sum):
				t.Fatalf("%s was stored with other bytes", name)
			case r.Stored() && (r.Reason != "" || told[name] > 0), !r.Stored() && r.Reason != "icloud_only":
				t.Fatalf("%s: %+v, told %d times", name, r, told[name])
			case !r.Stored():
				left++
			}
		}
		if left != res.Resources.Absent["icloud_only"] {
			t.Fatalf("%d resources are absent, the result says %d", left, res.Resources.Absent["icloud_only"])
		}
		if left == 0 && faults < 1000 { // begin again
			h = renewed(h)
		}
	}
	t.Logf("%d faults in %d runs", faults, runs)
}

// renewed backs the same library up to another place.
func renewed(h *cloudHost) *cloudHost {
	next := &cloudHost{host: newHost(h.t, h.lib, h.t.TempDir()), cloud: h.cloud, spool: h.spool}
	next.Now, next.Fetching, next.Log = time.Now, h.Fetching, h.Log
	return next
}

func TestPushIsReadNoFasterThanTheStoreTakesIt(t *testing.T) {
	lib := newMemory()
	content := noise(1, 17*mib)
	lib.inCloud("a.mov", photos.RoleOriginal, content)
	h := newCloudHost(t, lib, photostest.CloudOptions{})
	h.setCloud(h.cloud, 16*mib)
	h.Fetching.Stall = 100 * time.Millisecond
	// A store that takes longer than the watchdog bears of a request.
	h.store.before = func(op, _ string, _ int) error {
		if op == "part" {
			<-time.After(3 * h.Fetching.Stall)
		}
		return nil
	}
	if res := h.backup(); res.Holes() {
		t.Errorf("result %+v, %v", res, res.Problems)
	}
	h.holds("a.mov", bytes.Clone(content))
	if s := h.Budget.Stats(); s.InUse != 0 {
		t.Errorf("%d bytes are still leased", s.InUse)
	}
}
