package framework

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"lightfast/photos/photokit/protocol"
)

func TestCheck(t *testing.T) {
	wanted := []method{
		{"PHAsset", "localIdentifier", "@@:"},
		{"PHAsset", "+fetch:", "@@:@"},
		{"PHAssetResource", "originalFilename|filename", "@@:"},
		{"PHAssetResource", "type", "q@:"},
		{"PHFetchOptions", "setIncludeHiddenAssets:", "v@:B"},
		{"PHFetchResult", "count", "Q@:"},
	}
	for _, tt := range []struct {
		name  string
		found map[string]string // instead of what is wanted
		want  []protocol.Problem
	}{
		{"as on arm64", nil, nil},
		{"as on x86_64 and GNUstep", map[string]string{"setIncludeHiddenAssets:": "v@:c", "count": "L@:", "type": "l@:"}, nil},
		{"under its newer name", map[string]string{"originalFilename": "", "filename": "@@:"}, nil},
		{"gone", map[string]string{"localIdentifier": "", "originalFilename": ""},
			[]protocol.Problem{{Missing: true, Text: "PHAsset localIdentifier is missing"}, {Missing: true, Text: "PHAssetResource originalFilename|filename is missing"}}},
		{"of another type", map[string]string{"+fetch:": "@@:@@"}, []protocol.Problem{{Text: "PHAsset +fetch: is @@:@@, want @@:@"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := check(wanted, func(class, name string) string {
				if e, ok := tt.found[name]; ok {
					return e
				}
				for _, m := range wanted {
					if m.class == class && (m.names == name || m.names == "originalFilename|filename" && name == "originalFilename") {
						return m.encoding
					}
				}
				return ""
			})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
