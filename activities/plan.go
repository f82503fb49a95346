package activities

import (
	"context"
	"time"

	"lightfast/catalog"
	"lightfast/internal/atomicfile"
	"lightfast/internal/window"
)

// Names of lanes.
const (
	Small = "small"
	Large = "large"
	Cloud = "cloud" // what only iCloud has
)

// Ref is an asset as a workflow knows it: enough to name it, no more.
type Ref struct {
	Item int64  `json:"i"`
	Name string `json:"n"`
	Size int64  `json:"s"`
}

// Share is one of some equal parts of a lane.
type Share = catalog.Share

// NextInput asks for up to N items of a share of a lane, except those in Busy.
type NextInput struct {
	Epoch catalog.Epoch `json:"epoch"`
	Lane  string        `json:"lane"`
	Share Share         `json:"share,omitzero"`
	N     int           `json:"n"`
	Busy  []int64       `json:"busy,omitempty"`
}

// Next is what a lane is to do next.
type Next struct {
	Refs []Ref `json:"refs"` // best first; none ends the lane
	Ring int   `json:"ring"` // so many small assets of the share may be on their way
}

// NextAssets returns what a lane has still to do, best first; none ends it. A
// run that is held waits here.
func (a *Activities) NextAssets(ctx context.Context, in NextInput) (Next, error) {
	run, doc, err := a.runRow(ctx, in.Epoch)
	if err == nil {
		err = a.whilePaused(ctx, run.Workflow)
	}
	if err != nil {
		return Next{}, toTemporal(err)
	}
	next := a.next
	if in.Lane == Cloud {
		next = a.nextFetched
	}
	items, err := next(ctx, run.Workflow, doc, in)
	if err != nil {
		return Next{}, toTemporal(err)
	}
	refs := make([]Ref, len(items))
	for i, it := range items {
		refs[i] = Ref{Item: it.Item, Name: summary(it.Name), Size: it.Size}
	}
	return Next{Refs: refs, Ring: ringOf(a.windowOf(in.Epoch), in.Share)}, nil
}

const (
	// smallTime is how long the small assets that are on their way at once may
	// take: Temporal bears a task that is open for minutes, not one for hours.
	smallTime = time.Minute

	// firstRate, in bytes a second, is believed until something was moved.
	firstRate = 1 << 20
)

// rateOf is what a run moves in a second, as far as that is known, and no more
// than its limit.
func (a *Activities) rateOf(e catalog.Epoch, limit int64) int64 {
	rate := a.windowOf(e).Rate()
	if rate == 0 {
		rate = firstRate
	}
	if limit > 0 {
		rate = min(rate, limit)
	}
	return rate
}

// windowOf is the window of a run, or a new one if the run is not open here yet.
func (a *Activities) windowOf(e catalog.Epoch) *window.Window {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.runs[e]; r != nil {
		return r.window
	}
	return window.New()
}

// ringOf is how many small assets of a share may be on their way. All shares
// together have the window's requests, and half as many more that are read,
// looked up or written down meanwhile: else a store nearby would never have all
// the requests that it is given, and the window would learn nothing of it.
func ringOf(w *window.Window, s Share) int {
	all, of := w.Size()+w.Size()/2, int(max(s.Of, 1))
	return (all + of - 1) / of
}

const (
	// MostShares of lane small work side by side. Whenever a local activity
	// ends, the SDK wakes every coroutine of its workflow, and there is one for
	// each that is pending: few in each of some workflows cost less than all in
	// one.
	MostShares = 2
	// leastShare, in assets, is worth a workflow.
	leastShare = 250
)

// sharesOf is how many workflows share lane small of a plan.
func sharesOf(toDo int64) int64 { return min(max(toDo/leastShare, 1), MostShares) }

// next leaves to lane large what on a slow line is not small.
func (a *Activities) next(ctx context.Context, workflow string, doc runDoc, in NextInput) ([]catalog.Item, error) {
	line, err := a.line(ctx, workflow)
	if err != nil {
		return nil, err
	}
	limit := line.Up
	if doc.Restore != nil {
		limit = line.Down
	}
	for {
		items, err := a.Catalog.Next(ctx, in.Epoch, in.Lane, in.Share, in.N, in.Busy)
		if err != nil || in.Lane != Small {
			return items, err
		}
		most := a.rateOf(in.Epoch, limit.Rate()) * int64(smallTime/time.Second)
		ring := ringOf(a.windowOf(in.Epoch), in.Share)
		open, fit := int64(0), items[:0] // bytes of the share that may be on their way at once
		for _, it := range items {
			if it.Size > most {
				if err := a.Catalog.HandOver(ctx, in.Epoch, it.Item, Large); err != nil {
					return nil, err
				}
				continue
			}
			open += it.Size
			if n := len(fit); n >= ring {
				open -= fit[n-ring].Size
			}
			if open > most/max(in.Share.Of, 1) && len(fit) > 0 {
				break
			}
			fit = append(fit, it)
		}
		if len(fit) > 0 || len(items) == 0 {
			return fit, nil
		}
	}
}

// Commit makes everything that is done so far survive a power cut: what a
// restore has written before what the catalog says of it.
func (a *Activities) Commit(ctx context.Context, e catalog.Epoch) error {
	_, doc, err := a.runRow(ctx, e)
	if err != nil {
		return toTemporal(err)
	}
	if doc.Restore != nil {
		if err := atomicfile.SyncTree(doc.Restore.Target); err != nil {
			return toTemporal(targetEnd(doc.Restore.Target, err))
		}
	}
	return toTemporal(a.Catalog.Sync(ctx))
}

// summary shortens a file name to what Temporal takes beside an activity
// (400 bytes; shorter keeps histories small).
func summary(name string) string {
	const most = 120
	if len(name) <= most {
		return name
	}
	cut := most
	for cut > 0 && name[cut]&0xC0 == 0x80 { // not inside a rune
		cut--
	}
	return name[:cut] + "…"
}

// Epoch numbers the runs of one host.
type Epoch = catalog.Epoch

// Verb is what the lanes of a run do with an item.
type Verb string

const (
	Store   Verb = "store"
	Restore Verb = "restore"
)

// Activity returns the method that a workflow names for the verb.
func (v Verb) Activity() any {
	var a *Activities
	if v == Restore {
		return a.RestoreAsset
	}
	return a.StoreAsset
}
