package activities_test

import (
	"fmt"
	"strings"
	"testing"

	"lightfast/activities"
	"lightfast/photos"
)

// A few assets are not worth a workflow more.
func TestManySmallAssetsAreShared(t *testing.T) {
	for _, tt := range []struct {
		assets int
		want   int64
	}{{0, 1}, {300, 1}, {600, activities.MostShares}} {
		lib := newMemory()
		for i := range tt.assets {
			lib.put(fmt.Sprintf("%03d.jpg", i), photos.RoleOriginal, noise(uint64(i), 10))
		}
		h := newHost(t, lib, t.TempDir())
		if p := h.prepare(); p.Shares != tt.want {
			t.Errorf("%d assets are shared by %d workflows, want %d", tt.assets, p.Shares, tt.want)
		}
	}
}

// What is larger than a buffer is hashed, then sent from the file: another
// content than was hashed is refused by the store, and read anew.
func TestASmallFileThatChangesBeforeItIsSentIsReadAnew(t *testing.T) {
	lib := newMemory()
	lib.put("a.jpg", photos.RoleOriginal, noise(1, mib))
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	now := noise(2, mib)
	puts := 0
	h.store.before = func(op, key string, _ int) error {
		if op == "put" && strings.HasPrefix(key, "blobs/") {
			if puts++; puts == 1 {
				lib.put("a.jpg", photos.RoleOriginal, now)
			}
		}
		return nil
	}
	small, _ := h.next(p.Epoch, activities.Small)
	if out, err := h.storeAsset(small); out != activities.HandedOver {
		t.Fatalf("%s, %v, want it handed over", out, err)
	}
	if keys := h.blobs(); len(keys) != 0 {
		t.Errorf("blobs %q", keys)
	}
	large, ok := h.next(p.Epoch, activities.Large)
	if !ok {
		t.Fatal("lane large has nothing to do")
	}
	if out, err := h.storeAsset(large); err != nil || out != activities.OutcomeDone {
		t.Fatalf("%s, %v", out, err)
	}
	h.finish(p)
	h.holds("a.jpg", now)
}

// A store of which nothing is known is taken for a slow one. That bounds what
// is on its way at once, and leaves the ring full until the batch ends.
func TestABatchIsBoundedByWhatIsOnItsWayAtOnce(t *testing.T) {
	for _, tt := range []struct{ files, size, want int }{
		{files: 100, size: mib, want: 100},
		{files: 12, size: 8 * mib, want: 7}, // what 1 MiB a second moves in a minute
	} {
		t.Run(fmt.Sprintf("%d of %d MiB", tt.files, tt.size/mib), func(t *testing.T) {
			lib := newMemory()
			content := make([]byte, tt.size)
			for i := range tt.files {
				lib.put(fmt.Sprintf("%03d.jpg", i), photos.RoleOriginal, content)
			}
			h := newHost(t, lib, t.TempDir())
			p := h.prepare()
			next, err := call[activities.Next](h, h.NextAssets, activities.NextInput{Epoch: p.Epoch, Lane: activities.Small, N: 1000})
			if err != nil || len(next.Refs) != tt.want {
				t.Errorf("%d assets, %v, want %d", len(next.Refs), err, tt.want)
			}
		})
	}
}
