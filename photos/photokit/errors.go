package photokit

import (
	"fmt"
	"slices"
	"strings"

	"lightfast/photos"
	"lightfast/photos/photokit/protocol"
)

const (
	fixInstall    = "install Lightfast again: photokit-helper belongs beside the program"
	fixPermission = "allow Lightfast full access in System Settings › Privacy & Security › Photos, then run this again"
	fixSignIn     = "sign in to iCloud in System Settings, then run this again"
	fixLibrary    = "choose this library in Photos › Settings › General › Use as System Photo Library"
)

// Domains of Apple's errors.
const (
	photosDomain = "PHPhotosErrorDomain"
	cloudDomain  = "CloudPhotoLibraryErrorDomain"
	kitDomain    = "CKErrorDomain"
	cocoaDomain  = "NSCocoaErrorDomain"
	urlDomain    = "NSURLErrorDomain"
	posixDomain  = "NSPOSIXErrorDomain"
)

// meaning is what is known of an error. Where each was met stands in
// docs/photokit.md.
type meaning struct {
	domain  string
	codes   []int64
	class   photos.FetchClass
	restart bool // in a new helper at once, before it is of that class
	text    string
	fix     string
}

// meanings are in order of weight: of a chain of errors the first that is
// found here decides, wherever it stands in the chain. So what only a person
// can mend comes first, and what says least comes last.
var meanings = []meaning{
	{photosDomain, []int64{3310, 3311}, photos.FetchStop, false, "access to photos is not permitted", fixPermission},
	{photosDomain, []int64{3114}, photos.FetchStop, false, "the volume of the photo library is not mounted", "attach it, then run this again"},
	{photosDomain, []int64{3142, 3143}, photos.FetchStop, false, "the System Photo Library is another one now", fixLibrary},
	{photosDomain, []int64{5423}, photos.FetchStop, false, "the photo library is in a folder that another program synchronises", "move it to a folder of your own"},
	{kitDomain, []int64{9}, photos.FetchStop, true, "this Mac is not signed in to iCloud", fixSignIn},
	{"CKInternalErrorDomain", []int64{2011}, photos.FetchStop, true, "this Mac is not signed in to iCloud", fixSignIn},
	{"com.apple.photos.error", []int64{41011}, photos.FetchStop, true, "Photos opened the library before it was permitted", fixPermission},
	{cocoaDomain, []int64{513, 642}, photos.FetchStop, false, "the spool cannot be written", "choose another folder by --state"},

	{photosDomain, []int64{3305}, photos.FetchWait, false, "there is not enough room on the disk", ""},
	{cloudDomain, []int64{256, 1005}, photos.FetchWait, false, "iCloud downloads nothing for want of room on the disk", ""},
	{cocoaDomain, []int64{640}, photos.FetchWait, false, "the disk is full", ""},
	{posixDomain, []int64{28}, photos.FetchWait, false, "the disk is full", ""},

	{protocol.HelperDomain, []int64{protocol.NoSuchAsset}, photos.FetchSkip, false, "Photos does not show this asset, though the library has it", ""},
	{protocol.HelperDomain, []int64{protocol.Changed}, photos.FetchAgain, false, "the asset was edited while it was read", ""},
	{photosDomain, []int64{3110}, photos.FetchSkip, false, "the file lies outside of the library and is gone", ""},
	{photosDomain, []int64{3164}, photos.FetchSkip, false, "Photos says that iCloud may not be asked", ""},
	{photosDomain, []int64{3201, 3202}, photos.FetchSkip, false, "Photos does not know the asset by its id", ""},
	{photosDomain, []int64{3300, 3306}, photos.FetchSkip, false, "Photos does not give this out", ""},
	{photosDomain, []int64{3302, 3303}, photos.FetchSkip, false, "Photos says that it is invalid or missing", ""},
	{cloudDomain, []int64{25}, photos.FetchSkip, false, "it is gone from iCloud", ""},

	{cocoaDomain, []int64{4097, 4099, 4101}, photos.FetchAgain, true, "Photos' own processes are interrupted", ""},
	{cocoaDomain, []int64{-1}, photos.FetchAgain, true, "Photos broke off", ""},
	{kitDomain, []int64{7}, photos.FetchAgain, false, "iCloud wants to be asked less often", ""},
	{kitDomain, []int64{3, 4, 6, 23}, photos.FetchAgain, false, "iCloud is not reachable or busy", ""},
	{urlDomain, nil, photos.FetchAgain, false, "the network failed", ""},
	{cloudDomain, []int64{1006}, photos.FetchAgain, false, "iCloud failed to download it", ""},
	{cloudDomain, []int64{81}, photos.FetchAgain, false, "iCloud knows no source of it at the moment", ""},
	{cloudDomain, nil, photos.FetchAgain, false, "iCloud did not give it", ""},
	{photosDomain, []int64{3169}, photos.FetchAgain, false, "the network failed", ""},
	{photosDomain, []int64{3072, 3301}, photos.FetchAgain, false, "Photos interrupted it", ""},
	{photosDomain, []int64{-1}, photos.FetchAgain, true, "Photos failed and does not say why", ""},
}

// failure is an error of the framework as what is to be done about it. What is
// not known is tried again: the caller limits that.
func failure(c protocol.Chain) error {
	err := &photos.FetchError{Class: photos.FetchAgain, Text: "Photos failed", Err: &nsError{c}}
	for _, m := range meanings {
		if !slices.ContainsFunc(c, m.fits) {
			continue
		}
		err.Class, err.Text, err.Fix = m.class, m.text, m.fix
		if m.restart {
			return &restart{last: err}
		}
		break
	}
	return err
}

func (m meaning) fits(e protocol.NSError) bool {
	return e.Domain == m.domain && (m.codes == nil || slices.Contains(m.codes, e.Code))
}

// nsError is the framework's own words, for the log.
type nsError struct{ chain protocol.Chain }

func (e *nsError) Error() string {
	var s []string
	for _, x := range e.chain {
		s = append(s, fmt.Sprintf("%s %d %s", x.Domain, x.Code, x.Text))
	}
	return strings.Join(s, " < ")
}

func (e *nsError) is(domain string, code int64) bool {
	return slices.ContainsFunc(e.chain, func(x protocol.NSError) bool { return x.Domain == domain && x.Code == code })
}

// Err says why nothing can be read at this status. It is nil where everything
// can.
func (s Status) Err() error {
	if s == Authorized {
		return nil
	}
	err := &photos.FetchError{Class: photos.FetchStop, Text: "access to photos is " + s.String(), Fix: fixPermission}
	switch s {
	case NotDetermined:
		err.Text, err.Fix = "macOS has not asked yet whether Lightfast may read photos", "run lightfast authorize at the screen of this Mac"
	case Restricted:
		err.Text, err.Fix = "a profile or Screen Time keeps Lightfast from reading photos", "lift that restriction"
	case Limited:
		err.Text = "Lightfast may read only selected photos, which would make this library look small"
	}
	return err
}
