package activities

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"lightfast/photos"
)

func assetsThen(n int, end func(yield func(photos.Asset, error) bool)) func(func(photos.Asset, error) bool) {
	return func(yield func(photos.Asset, error) bool) {
		for i := range n {
			if !yield(photos.Asset{ID: photos.AssetID(strconv.Itoa(i))}, nil) {
				return
			}
		}
		end(yield)
	}
}

func TestReadingAheadKeepsOrderAndEndsWithTheFailure(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name string
		end  func(yield func(photos.Asset, error) bool)
		want string
	}{
		{"end", func(func(photos.Asset, error) bool) {}, ""},
		{"error", func(yield func(photos.Asset, error) bool) { yield(photos.Asset{}, broken) }, "broken"},
		{"panic", func(func(photos.Asset, error) bool) { panic("a bug") }, "panic: a bug"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, why := 0, ""
			for a, err := range ahead(assetsThen(3*aheadBatch, tt.end)) {
				if err != nil {
					why = err.Error()
				} else if n++; a.ID != photos.AssetID(strconv.Itoa(n-1)) {
					t.Fatalf("asset %d is %s", n-1, a.ID)
				}
			}
			if n != 3*aheadBatch || !strings.HasPrefix(why, tt.want) || (why == "") != (tt.want == "") {
				t.Errorf("%d assets, then %q; want %d, then %q", n, why, 3*aheadBatch, tt.want)
			}
		})
	}
}

func TestReadingAheadStopsWithTheLoop(t *testing.T) {
	given, ended := 0, false
	seq := func(yield func(photos.Asset, error) bool) {
		defer func() { ended = true }()
		for ; yield(photos.Asset{}, nil); given++ {
		}
	}
	for range ahead(seq) {
		break
	}
	if !ended || given > 5*aheadBatch {
		t.Errorf("ended: %t, after %d assets", ended, given)
	}
}
