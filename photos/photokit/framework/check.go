package framework

import (
	"strings"

	"lightfast/photos/photokit/objc"
	"lightfast/photos/photokit/protocol"
)

// method is one that the helper calls. Alternatives are separated by "|": a
// newer system may have one name, an older one the other.
type method struct{ class, names, encoding string }

// methods are all that Open, Resources and Start rely on. Encodings are
// without frame offsets, with B for any of BOOL's and q, Q for any of
// NSInteger's and NSUInteger's.
var methods = []method{
	{"PHPhotoLibrary", "+authorizationStatusForAccessLevel:", "q@:q"},
	{"PHPhotoLibrary", "+requestAuthorizationForAccessLevel:handler:", "v@:q@?"},
	{"PHFetchOptions", "setIncludeHiddenAssets:", "v@:B"},
	{"PHFetchOptions", "setIncludeAllBurstAssets:", "v@:B"},
	{"PHFetchOptions", "setIncludeAssetSourceTypes:", "v@:Q"},
	{"PHFetchResult", "count", "Q@:"},
	{"PHFetchResult", "objectAtIndex:", "@@:Q"},
	{"PHAsset", "+fetchAssetsWithLocalIdentifiers:options:", "@@:@@"},
	{"PHAsset", "localIdentifier", "@@:"},
	{"PHAssetResource", "+assetResourcesForAsset:", "@@:@"},
	{"PHAssetResource", "type", "q@:"},
	{"PHAssetResource", "originalFilename|filename", "@@:"},
	{"PHAssetResource", "uniformTypeIdentifier|contentType", "@@:"},
	{"PHAssetResourceRequestOptions", "setNetworkAccessAllowed:", "v@:B"},
	{"PHAssetResourceRequestOptions", "setProgressHandler:", "v@:@?"},
	{"PHAssetResourceManager", "+defaultManager", "@@:"},
	{"PHAssetResourceManager", "writeDataForAssetResource:toFile:options:completionHandler:", "v@:@@@@?"},
	{"PHAssetResourceManager", "requestDataForAssetResource:options:dataReceivedHandler:completionHandler:", "i@:@@@?@?"},
	{"PHAssetResourceManager", "cancelDataRequest:", "v@:i"},
}

// sameType folds encodings that differ between systems and mean the same.
var sameType = strings.NewReplacer("c", "B", "C", "B", "l", "q", "L", "Q")

// SelfCheck compares the framework with what this package was written for,
// before anything is asked of it: a message that an object does not understand
// ends the process.
func SelfCheck() []protocol.Problem { return check(methods, objc.Encoding) }

func check(methods []method, encoding func(class, name string) string) (problems []protocol.Problem) {
	for _, m := range methods {
		found := ""
		for name := range strings.SplitSeq(m.names, "|") {
			if found = encoding(m.class, name); found != "" {
				break
			}
		}
		switch {
		case found == "":
			problems = append(problems, protocol.Problem{Missing: true, Text: m.class + " " + m.names + " is missing"})
		case sameType.Replace(found) != m.encoding:
			problems = append(problems, protocol.Problem{Text: m.class + " " + m.names + " is " + found + ", want " + m.encoding})
		}
	}
	return problems
}

// has reports whether an object of the class understands a private method
// exactly as it was known when this was written.
func has(class, name, encoding string) bool {
	return sameType.Replace(objc.Encoding(class, name)) == encoding
}
