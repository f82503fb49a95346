package activities

import (
	"testing"
	"time"

	"lightfast/internal/exit"
	"lightfast/manifest"
)

func TestShrinkIsSuspicious(t *testing.T) {
	for _, tt := range []struct {
		name          string
		was, excluded int64
		found         int64
		suspicious    bool
	}{
		{"no snapshot yet", 0, 0, 0, false},
		{"as it was", 4000, 0, 4000, false},
		{"grown", 4000, 0, 9000, false},
		{"a little less than 30 % gone", 4000, 0, 2801, false},
		{"30 % gone", 4000, 0, 2800, true},
		{"most of it gone", 4000, 0, 1200, true},
		{"emptied", 4000, 0, 0, true},
		{"ten", 10, 0, 7, true},
		{"ten less two", 10, 0, 8, false},
		{"nine less eight", 9, 0, 1, false},
		{"nine emptied", 9, 0, 0, true},
		{"the only one", 1, 0, 0, true},
		{"what was left out is there now", 1000, 3000, 4000, false},
		{"what was left out counts", 1000, 3000, 1000, true},
		{"only what was left out has ever been found", 0, 3, 0, true},
	} {
		last := manifest.Head{Time: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC), Totals: manifest.Totals{Assets: tt.was},
			Excluded: map[string]int64{"trashed": tt.excluded, "orphan": 5}}
		if err := guardShrink(last, tt.found); (exit.CodeOf(err) == exit.Source) != tt.suspicious || (err != nil) != tt.suspicious {
			t.Errorf("%s: %d of %d and %d left out: %v", tt.name, tt.found, tt.was, tt.excluded, err)
		}
	}
	err := guardShrink(manifest.Head{Time: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC), Totals: manifest.Totals{Assets: 4000}}, 1200)
	const want = "source suspicious: 1,200 assets, 4,000 in the last snapshot of 2026-11-20; " +
		"check that it is whole and its disk mounted; --accept-shrink backs it up as it is"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
