// Package framework makes the few calls of Apple's Photos framework that bring
// an asset's resources: nothing is listed, nothing kept, and each call has an
// autorelease pool of its own.
package framework

import (
	"errors"
	"fmt"
	"strings"

	"lightfast/photos/photokit/objc"
	"lightfast/photos/photokit/protocol"
)

// readWrite is PHAccessLevelReadWrite. There is no level to read only.
const readWrite = 2

// Framework is Photos, loaded.
type Framework struct {
	data, done, progress, answer objc.Signature

	handlers handlers

	hasFilename, hasType  bool // the names up to macOS 15; later ones otherwise
	tellsSize, tellsLocal bool // private methods
}

// Open loads the framework at path. It must be called on the first thread of
// the process, and once.
func Open(path string) (*Framework, error) {
	if path == "" {
		return nil, errors.New("there is no Photos framework on this system")
	}
	if err := objc.Load(path); err != nil {
		return nil, fmt.Errorf("load Photos: %w", err)
	}
	f := &Framework{
		hasFilename: objc.Encoding("PHAssetResource", "originalFilename") != "",
		hasType:     objc.Encoding("PHAssetResource", "uniformTypeIdentifier") != "",
		tellsSize:   has("PHAssetResource", "fileSize", "Q@:") || has("PHAssetResource", "fileSize", "q@:"),
		tellsLocal:  has("PHAssetResource", "isLocallyAvailable", "B@:"),
	}
	return f, f.signatures()
}

// Status is PHAuthorizationStatus: 0 not determined, 1 restricted, 2 denied,
// 3 authorized, 4 limited.
func (f *Framework) Status() (status int) {
	objc.Pool(func() {
		status = int(objc.Class("PHPhotoLibrary").Send("authorizationStatusForAccessLevel:", readWrite))
	})
	return status
}

// Authorize asks for the permission, which may show the system's question, and
// calls done with the status when it is answered.
func (f *Framework) Authorize(done func(status int)) {
	objc.Pool(func() {
		objc.Class("PHPhotoLibrary").Send("requestAuthorizationForAccessLevel:handler:", readWrite, f.handlers.add(f.answer, done))
	})
}

// Shows returns how many of the assets the framework knows.
func (f *Framework) Shows(assets []string) int {
	known := map[string]bool{}
	objc.Pool(func() {
		result := f.assets(assets)
		for i := range result.Send("count") {
			uuid, _, _ := strings.Cut(result.Get("objectAtIndex:", i).Get("localIdentifier").Text(), "/")
			known[strings.ToUpper(uuid)] = true
		}
	})
	n := 0
	for _, a := range assets {
		if known[strings.ToUpper(a)] {
			n++
		}
	}
	return n
}

// Resources lists what the framework has of an asset.
func (f *Framework) Resources(asset string) (list []protocol.Resource, err protocol.Chain) {
	objc.Pool(func() {
		var found []objc.ID
		if found, err = f.resources(asset); err != nil {
			return
		}
		for i, r := range found {
			list = append(list, f.describe(i, r))
		}
	})
	return list, err
}

// assets, resources and describe run inside of a pool.

// assets fetches those of the ids that there are, in no order, hidden ones and
// all of a burst included. The identifier of an asset is its UUID with a
// suffix, which is known for originals of a library only by use: so the bare
// one is asked for as well.
func (f *Framework) assets(uuids []string) objc.ID {
	ids := objc.Class("NSMutableArray").Get("arrayWithCapacity:", uintptr(2*len(uuids)))
	for _, u := range uuids {
		ids.Send("addObject:", uintptr(objc.String(u+"/L0/001")))
		ids.Send("addObject:", uintptr(objc.String(u)))
	}
	const userLibrary, cloudShared, synced = 1, 2, 4 // PHAssetSourceType
	options := objc.New("PHFetchOptions").Get("autorelease")
	options.Send("setIncludeHiddenAssets:", 1)
	options.Send("setIncludeAllBurstAssets:", 1)
	options.Send("setIncludeAssetSourceTypes:", userLibrary|cloudShared|synced)
	return objc.Class("PHAsset").Get("fetchAssetsWithLocalIdentifiers:options:", uintptr(ids), uintptr(options))
}

func (f *Framework) resources(asset string) (list []objc.ID, err protocol.Chain) {
	found := f.assets([]string{asset})
	if found.Send("count") == 0 {
		return nil, protocol.Fault(protocol.NoSuchAsset, "no asset "+asset)
	}
	all := objc.Class("PHAssetResource").Get("assetResourcesForAsset:", found.Send("objectAtIndex:", 0))
	for i := range all.Send("count") {
		list = append(list, all.Get("objectAtIndex:", i))
	}
	return list, nil
}

func (f *Framework) describe(i int, r objc.ID) protocol.Resource {
	d := protocol.Resource{Index: i, Type: int(r.Send("type")), Size: -1}
	if f.hasFilename {
		d.Name = r.Get("originalFilename").Text()
	} else {
		d.Name = r.Get("filename").Text()
	}
	if f.hasType {
		d.UTI = r.Get("uniformTypeIdentifier").Text()
	} else {
		d.UTI = r.Get("contentType").Get("identifier").Text()
	}
	if f.tellsSize {
		d.Size = int64(r.Send("fileSize"))
	}
	d.Local = f.tellsLocal && r.Is("isLocallyAvailable")
	return d
}

// chain reads an NSError and what lies beneath it. It is nil for none only.
func chain(e objc.ID) (c protocol.Chain) {
	if e == 0 {
		return nil
	}
	const deepest = 8 // errors have been seen that contain themselves
	objc.Pool(func() {
		underlying, debug := objc.String("NSUnderlyingError"), objc.String("NSDebugDescription")
		for range deepest {
			if e == 0 || !e.Responds("userInfo") {
				return
			}
			info := e.Get("userInfo")
			text := e.Get("localizedDescription").Text()
			if d := info.Get("objectForKey:", uintptr(debug)); d != 0 && d.Responds("UTF8String") {
				text += " (" + d.Text() + ")"
			}
			c = append(c, protocol.NSError{Domain: e.Get("domain").Text(), Code: int64(e.Send("code")), Text: text})
			e = info.Get("objectForKey:", uintptr(underlying))
		}
	})
	if c == nil {
		return protocol.Fault(protocol.NoError, "what came as an error is none")
	}
	return c
}
