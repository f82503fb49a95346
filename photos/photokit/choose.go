package photokit

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"lightfast/photos"
	"lightfast/photos/photokit/protocol"
)

// PHAssetResourceType.
const (
	photo           = 1
	video           = 2
	audio           = 3
	alternatePhoto  = 4
	fullSizePhoto   = 5
	fullSizeVideo   = 6
	adjustmentData  = 7
	basePhoto       = 8
	pairedVideo     = 9
	fullSizePaired  = 10
	basePairedVideo = 11
	baseVideo       = 12
)

// types are what may be stored under a role. A role that is not here is not
// brought from iCloud: the framework has no such resource, or nobody knows how
// it is called.
var types = map[photos.Role][]int{
	photos.RoleOriginal:   {photo, video, audio},
	photos.RoleRAW:        {alternatePhoto},
	photos.RoleLive:       {pairedVideo},
	photos.RoleEdited:     {fullSizePhoto, fullSizeVideo},
	photos.RoleEditedLive: {fullSizePaired},
	photos.RolePoster:     {fullSizePhoto},
	photos.RolePrevious:   {basePhoto, baseVideo, basePairedVideo},
	photos.RoleAdjustment: {adjustmentData},
	photos.RoleSidecar:    {adjustmentData},
}

// choose finds the resource of the library among those of the framework, by
// what it is to its asset. Where several are of one type, what they are said to
// be decides; what comes is measured all the same.
func choose(r photos.Resource, list []protocol.Resource) (wanted, error) {
	var best *protocol.Resource
	for i := range list {
		x := &list[i]
		if slices.Contains(types[r.Role], x.Type) && (best == nil || likeness(r, *x) > likeness(r, *best)) {
			best = x
		}
	}
	if best == nil {
		return wanted{}, &photos.FetchError{Class: photos.FetchSkip, Text: fmt.Sprintf("Photos does not offer the %s", r.Role),
			Err: fmt.Errorf("it offers types %v", typesOf(list))}
	}
	w := wanted{Resource: *best, role: r.Role, size: r.Size}
	if w.size <= 0 {
		w.size = best.Size
	}
	if w.size <= 0 && r.Role == photos.RoleOriginal && r.Fingerprint == "" {
		return wanted{}, &photos.FetchError{Class: photos.FetchSkip, Unfit: true,
			Text: "neither the library nor Photos says how large the original is, so that a smaller picture would pass for it"}
	}
	return w, nil
}

// likeness counts what a resource of the framework has in common with ours.
func likeness(r photos.Resource, x protocol.Resource) (n int) {
	if r.Size > 0 && r.Size == x.Size {
		n += 4
	}
	if r.UTI != "" && strings.EqualFold(r.UTI, x.UTI) {
		n += 2
	}
	if strings.EqualFold(path.Ext(r.Name), path.Ext(x.Name)) {
		n++
	}
	return n
}

func typesOf(list []protocol.Resource) (t []int) {
	for _, x := range list {
		t = append(t, x.Type)
	}
	return t
}
