package photos

import "slices"

// Label is a word for a kind of asset that one may want to leave out.
type Label string

const (
	LabelOrphan          Label = "orphan"           // a file that no asset explains
	LabelTrashed         Label = "trashed"          // in "Recently Deleted"
	LabelHidden          Label = "hidden"           // in the album "Hidden"
	LabelShared          Label = "shared"           // of a shared album
	LabelSyndicated      Label = "syndicated"       // shared in a conversation, not saved
	LabelBurst           Label = "burst"            // a frame of a burst that nobody chose
	LabelScreenshot      Label = "screenshot"       // picture of a screen
	LabelScreenRecording Label = "screen_recording" // film of a screen
)

// Labels are all of them.
func Labels() []Label {
	return []Label{LabelOrphan, LabelTrashed, LabelHidden, LabelShared, LabelSyndicated, LabelBurst, LabelScreenshot, LabelScreenRecording}
}

// Has reports whether l is said of the asset. An unknown label never is.
func (a *Asset) Has(l Label) bool {
	m := &a.Metadata
	switch l {
	case LabelOrphan:
		return a.Orphan
	case LabelTrashed:
		return m.Trashed
	case LabelHidden:
		return m.Hidden
	case LabelShared:
		return m.Shared
	case LabelBurst:
		return m.Burst != nil && !m.Burst.Key && !m.Burst.Selected
	case LabelSyndicated, LabelScreenshot, LabelScreenRecording:
		return slices.Contains(m.Types, string(l))
	}
	return false
}
