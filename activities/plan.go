package activities

import (
	"context"
	"time"

	"lightfast/catalog"
	"lightfast/internal/atomicfile"
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

// NextInput asks for up to N items of a lane, except those in Busy.
type NextInput struct {
	Epoch catalog.Epoch `json:"epoch"`
	Lane  string        `json:"lane"`
	N     int           `json:"n"`
	Busy  []int64       `json:"busy,omitempty"`
}

// NextAssets returns what a lane has still to do, best first; none ends it. A
// run that is held waits here.
func (a *Activities) NextAssets(ctx context.Context, in NextInput) ([]Ref, error) {
	run, doc, err := a.runRow(ctx, in.Epoch)
	if err == nil {
		err = a.whilePaused(ctx, run.Workflow)
	}
	if err != nil {
		return nil, toTemporal(err)
	}
	next := a.next
	if in.Lane == Cloud {
		next = a.nextFetched
	}
	items, err := next(ctx, run.Workflow, doc, in)
	if err != nil {
		return nil, toTemporal(err)
	}
	refs := make([]Ref, len(items))
	for i, it := range items {
		refs[i] = Ref{Item: it.Item, Name: summary(it.Name), Size: it.Size}
	}
	return refs, nil
}

const (
	// smallTime is how long the small assets of a batch may take: Temporal
	// bears a task that is open for minutes, not one for hours.
	smallTime = time.Minute

	// firstRate, in bytes a second, is believed until something was moved.
	firstRate = 1 << 20
)

// rateOf is what a run moves in a second, as far as that is known, and no more
// than its limit.
func (a *Activities) rateOf(e catalog.Epoch, limit int64) int64 {
	rate := int64(firstRate)
	a.mu.Lock()
	r := a.runs[e]
	a.mu.Unlock()
	if r != nil && r.window != nil && r.window.Rate() > 0 {
		rate = r.window.Rate()
	}
	if limit > 0 {
		rate = min(rate, limit)
	}
	return rate
}

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
		items, err := a.Catalog.Next(ctx, in.Epoch, in.Lane, in.N, in.Busy)
		if err != nil || in.Lane != Small {
			return items, err
		}
		most := a.rateOf(in.Epoch, limit.Rate()) * int64(smallTime/time.Second)
		rest, fit := most, items[:0]
		for _, it := range items {
			if it.Size > most {
				if err := a.Catalog.HandOver(ctx, in.Epoch, it.Item, Large); err != nil {
					return nil, err
				}
				continue
			}
			if rest -= it.Size; rest < 0 {
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
