package activities

import (
	"iter"

	"lightfast/photos"
)

// exclusions has every label that is to be left out, with none found yet.
func exclusions(labels []string) map[string]int64 {
	if len(labels) == 0 {
		return nil
	}
	m := make(map[string]int64, len(labels))
	for _, l := range labels {
		m[l] = 0
	}
	return m
}

// sameLabels reports whether a and b leave the same assets out.
func sameLabels(a, b map[string]int64) bool {
	for l := range a {
		if _, ok := b[l]; !ok {
			return false
		}
	}
	return len(a) == len(b)
}

// sift yields what a scan shows but for what the run leaves out, and counts.
// What is left out stays in the catalog as it was, and so do the snapshots
// that have it: back in the library's scan it costs no byte.
func (r *openRun) sift(scan iter.Seq2[photos.Asset, error]) iter.Seq2[photos.Asset, error] {
	return func(yield func(photos.Asset, error) bool) {
		for asset, err := range scan {
			if err == nil && !asset.Orphan {
				r.found++
			}
			if l := r.excludes(&asset); err == nil && l != "" {
				r.doc.Excluded[l]++
				continue
			}
			if !yield(asset, err) {
				return
			}
		}
	}
}

// excludes returns the first label for which the asset is left out, "" for
// none.
func (r *openRun) excludes(asset *photos.Asset) string {
	if len(r.doc.Excluded) == 0 {
		return ""
	}
	for _, l := range photos.Labels() {
		if _, out := r.doc.Excluded[string(l)]; out && asset.Has(l) {
			return string(l)
		}
	}
	return ""
}
