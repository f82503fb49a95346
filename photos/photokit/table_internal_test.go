package photokit

import (
	"errors"
	"testing"

	"lightfast/photos"
	"lightfast/photos/photokit/protocol"
)

func TestFailure(t *testing.T) {
	e := func(domain string, code int64) protocol.NSError { return protocol.NSError{Domain: domain, Code: code} }
	type chain = protocol.Chain
	const again, skip, wait, stop = photos.FetchAgain, photos.FetchSkip, photos.FetchWait, photos.FetchStop
	for _, tt := range []struct {
		name    string
		chain   chain
		class   photos.FetchClass
		restart bool
	}{
		{"says nothing", chain{e(photosDomain, -1)}, again, true},
		{"cancelled unasked", chain{e(photosDomain, 3072)}, again, false},
		{"referenced file not found", chain{e(photosDomain, 3110)}, skip, false},
		{"volume not mounted", chain{e(photosDomain, 3114)}, stop, false},
		{"library moved", chain{e(photosDomain, 3142)}, stop, false},
		{"library switched", chain{e(photosDomain, 3143)}, stop, false},
		{"network not allowed", chain{e(photosDomain, 3164)}, skip, false},
		{"network", chain{e(photosDomain, 3169)}, again, false},
		{"identifier not found", chain{e(photosDomain, 3201)}, skip, false},
		{"several identifiers", chain{e(photosDomain, 3202)}, skip, false},
		{"change not supported", chain{e(photosDomain, 3300)}, skip, false},
		{"interrupted", chain{e(photosDomain, 3301)}, again, false},
		{"resource invalid", chain{e(photosDomain, 3302)}, skip, false},
		{"resource missing", chain{e(photosDomain, 3303)}, skip, false},
		{"no space", chain{e(photosDomain, 3305)}, wait, false},
		{"not supported", chain{e(photosDomain, 3306)}, skip, false},
		{"restricted", chain{e(photosDomain, 3310)}, stop, false},
		{"denied", chain{e(photosDomain, 3311)}, stop, false},
		{"file provider", chain{e(photosDomain, 5423)}, stop, false},
		{"iCloud refuses for want of disk", chain{e(cloudDomain, 1005)}, wait, false},
		{"the same, older", chain{e(cloudDomain, 256)}, wait, false},
		{"rate limit", chain{e(cloudDomain, 1000), e(kitDomain, 7)}, again, false},
		{"download failed", chain{e(cloudDomain, 1006)}, again, false},
		{"not signed in", chain{e(cloudDomain, 1006), e(kitDomain, 9)}, stop, true},
		{"token expired", chain{e(photosDomain, -1), e(cloudDomain, 1006), e("CKInternalErrorDomain", 2011)}, stop, true},
		{"record does not exist", chain{e(cloudDomain, 25)}, skip, false},
		{"no source", chain{e(cloudDomain, 81)}, again, false},
		{"service busy", chain{e(photosDomain, 3169), e(kitDomain, 23)}, again, false},
		{"fails half way", chain{e(cocoaDomain, -1)}, again, true},
		{"spool not writable", chain{e(cocoaDomain, 513)}, stop, false},
		{"spool read-only", chain{e(photosDomain, -1), e(cocoaDomain, 642)}, stop, false},
		{"spool full", chain{e(cocoaDomain, 640)}, wait, false},
		{"the kernel says full", chain{e(photosDomain, -1), e(cocoaDomain, 512), e(posixDomain, 28)}, wait, false},
		{"connection interrupted", chain{e(photosDomain, -1), e(cocoaDomain, 4097)}, again, true},
		{"connection invalid", chain{e(cocoaDomain, 4099)}, again, true},
		{"opened before the grant", chain{e("com.apple.photos.error", 41011)}, stop, true},
		{"a cause beneath what says nothing", chain{e(photosDomain, -1), e(cloudDomain, 25)}, skip, false},
		{"offline", chain{e(photosDomain, 3169), e(urlDomain, -1009)}, again, false},
		{"never heard of", chain{e("com.example", 1)}, again, false},
		{"not shown", protocol.Fault(protocol.NoSuchAsset, ""), skip, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := failure(tt.chain)
			_, again := errors.AsType[*restart](err)
			f, ok := errors.AsType[*photos.FetchError](err)
			if !ok || f.Class != tt.class || again != tt.restart {
				t.Fatalf("failure(%v) = %v, restart %v, want %v, %v", tt.chain, f, again, tt.class, tt.restart)
			}
			if f.Unfit || f.Text == "" || f.Class == stop && f.Fix == "" {
				t.Errorf("failure(%v) = %+v, want a text, and what to do where all stops", tt.chain, f)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	type list = []protocol.Resource
	const proxy, unknown = 19, 77
	original := photos.Resource{Role: photos.RoleOriginal, Name: "IMG_1.HEIC", UTI: "public.heic", Size: 1000}
	of := func(role photos.Role, size int64) photos.Resource {
		return photos.Resource{Role: role, Name: "IMG_1.HEIC", Size: size}
	}
	for _, tt := range []struct {
		name  string
		want  photos.Resource
		have  list
		index int // -1: none
		size  int64
	}{
		{"the edit is no original, though it has its size", original, list{{Type: fullSizePhoto, Size: 1000}}, -1, 0},
		{"a proxy is no original", original, list{{Type: proxy, Size: 1000}}, -1, 0},
		{"what is not known is no original", original, list{{Type: unknown, Size: 1000}}, -1, 0},
		{"by type", original, list{{Type: proxy, Size: 1000}, {Type: fullSizePhoto, Size: 1000}, {Type: photo, Size: 500}, {Type: pairedVideo}}, 2, 1000},
		{"of two, by type identifier", original, list{{Type: photo, UTI: "public.jpeg", Size: -1}, {Type: photo, UTI: "public.heic", Size: -1}}, 1, 1000},
		{"of two, by size", original, list{{Type: photo, UTI: "public.heic", Size: 7}, {Type: photo, UTI: "public.jpeg", Size: 1000}}, 1, 1000},
		{"of two, by extension", original, list{{Type: photo, Name: "a.JPG"}, {Type: photo, Name: "a.heic"}}, 1, 1000},
		{"film", of(photos.RoleOriginal, 5), list{{Type: video}}, 0, 5},
		{"raw of a pair", of(photos.RoleRAW, 5), list{{Type: photo}, {Type: alternatePhoto}}, 1, 5},
		{"film of a Live Photo", of(photos.RoleLive, 5), list{{Type: photo}, {Type: pairedVideo}, {Type: fullSizePaired}}, 1, 5},
		{"edit", of(photos.RoleEdited, 5), list{{Type: photo}, {Type: fullSizePhoto}}, 1, 5},
		{"edited film", of(photos.RoleEdited, 5), list{{Type: video}, {Type: fullSizeVideo}}, 1, 5},
		{"film of an edited Live Photo", of(photos.RoleEditedLive, 5), list{{Type: pairedVideo}, {Type: fullSizePaired}}, 1, 5},
		{"no preview", of(photos.RolePreview, 5), list{{Type: photo}, {Type: proxy}}, -1, 0},
		{"nothing", original, nil, -1, 0},
		{"the library does not know the size, Photos does", of(photos.RoleLive, -1), list{{Type: pairedVideo, Size: 9}}, 0, 9},
		{"nobody knows the size of a film", of(photos.RoleLive, -1), list{{Type: pairedVideo, Size: -1}}, 0, -1},
		{"nobody knows the size of an original", of(photos.RoleOriginal, -1), list{{Type: photo, Size: -1}}, -1, 0},
		{"its fingerprint is known", photos.Resource{Role: photos.RoleOriginal, Size: -1, Fingerprint: "A"}, list{{Type: photo, Size: -1}}, 0, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.have {
				tt.have[i].Index = i
			}
			got, err := choose(tt.want, tt.have)
			if tt.index < 0 {
				if e, ok := errors.AsType[*photos.FetchError](err); !ok || e.Class != photos.FetchSkip {
					t.Errorf("choose = %+v, %v, want it skipped", got, err)
				}
				return
			}
			if err != nil || got.Index != tt.index || got.size != tt.size {
				t.Errorf("choose = number %d with size %d, %v, want %d with %d", got.Index, got.size, err, tt.index, tt.size)
			}
		})
	}
}
