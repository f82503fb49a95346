package photos_test

import (
	"testing"

	"lightfast/photos"
)

func TestLabelsSayWhatAnAssetIs(t *testing.T) {
	frame := func(key, selected bool) photos.Metadata {
		return photos.Metadata{Burst: &photos.Burst{UUID: "b", Key: key, Selected: selected}, Types: []string{"burst"}}
	}
	for name, tt := range map[string]struct {
		asset photos.Asset
		want  []photos.Label
	}{
		"plain":           {photos.Asset{}, nil},
		"favorite":        {photos.Asset{Metadata: photos.Metadata{Favorite: true, Edited: true, Types: []string{"live", "panorama"}}}, nil},
		"orphan":          {photos.Asset{Orphan: true}, []photos.Label{photos.LabelOrphan}},
		"trashed, hidden": {photos.Asset{Metadata: photos.Metadata{Trashed: true, Hidden: true}}, []photos.Label{photos.LabelTrashed, photos.LabelHidden}},
		"shared":          {photos.Asset{Metadata: photos.Metadata{Shared: true}}, []photos.Label{photos.LabelShared}},
		"syndicated":      {photos.Asset{Metadata: photos.Metadata{Types: []string{"live", "syndicated"}}}, []photos.Label{photos.LabelSyndicated}},
		"key frame":       {photos.Asset{Metadata: frame(true, false)}, nil},
		"selected frame":  {photos.Asset{Metadata: frame(false, true)}, nil},
		"other frame":     {photos.Asset{Metadata: frame(false, false)}, []photos.Label{photos.LabelBurst}},
		"screenshot":      {photos.Asset{Metadata: photos.Metadata{Types: []string{"screenshot"}}}, []photos.Label{photos.LabelScreenshot}},
		"recording":       {photos.Asset{Metadata: photos.Metadata{Types: []string{"screen_recording"}}}, []photos.Label{photos.LabelScreenRecording}},
	} {
		want := map[photos.Label]bool{}
		for _, l := range tt.want {
			want[l] = true
		}
		for _, l := range photos.Labels() {
			if got := tt.asset.Has(l); got != want[l] {
				t.Errorf("%s: Has(%s) = %t, want %t", name, l, got, want[l])
			}
		}
		if tt.asset.Has("favorite") {
			t.Errorf("%s has a label that is none", name)
		}
	}
}
