package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

	"lightfast/catalog"
	"lightfast/internal/exit"
	"lightfast/manifest"
	"lightfast/objectstore"
)

// ItemInput names one item of a plan.
type ItemInput struct {
	Epoch catalog.Epoch `json:"epoch"`
	Item  int64         `json:"item"`
	Name  string        `json:"name"`
	Lane  string        `json:"lane"`
}

// Outcome of an activity for one item, as its lane acts on it. Everything
// that counts is in the catalog.
type Outcome string

const (
	OutcomeDone Outcome = "done"
	// HandedOver: what is left of the asset is now another lane's: large has
	// the small ones that failed or stood still, cloud what is only there.
	HandedOver Outcome = "handed over"
	// Later: iCloud did not give something; the asset is still to do, after
	// others had their turn.
	Later Outcome = "later"
	// StoreAway: the store does not answer; the asset is still to do.
	StoreAway Outcome = "store away"
	// Stopped: the run was canceled before the asset began.
	Stopped Outcome = "stopped"
)

// mostTries is how often an asset is tried that fails for another reason than
// a store which is away: it changes while it is read, the store refuses its
// checksum, or nobody knows.
const mostTries = 4

// smallMost is how long an asset may take in lane small, whose workflow task
// stays open meanwhile; Temporal bears half an hour.
const smallMost = 20 * time.Minute

// worker does what an item asks for, and returns what it has read and what
// became of the item: OutcomeDone, HandedOver or Later.
type worker func(context.Context, *openRun, ItemInput, catalog.Planned) (size int64, out Outcome, err error)

// look asks the catalog what is planned for an item.
type look func(context.Context, catalog.Epoch, int64) (catalog.Planned, error)

// once does what an item of a plan asks for, unless it is done.
func (a *Activities) once(ctx context.Context, in ItemInput, planned look, f worker) (Outcome, error) {
	if in.Lane != Small {
		// By the clock, not by the part: on a slow line one takes minutes.
		defer heartbeat(ctx)()
	}
	r, err := a.run(ctx, in.Epoch)
	if in.Lane == Small && isAway(err) {
		return StoreAway, nil
	} else if err != nil {
		return "", toTemporal(err)
	}
	over, err := r.alone(ctx, in.Item)
	if err != nil {
		return "", err
	}
	defer over()
	p, err := planned(ctx, in.Epoch, in.Item)
	if err != nil {
		return "", toTemporal(err)
	}
	if p.State != catalog.ToDo { // done by an attempt that nobody heard of
		return OutcomeDone, nil
	}
	return a.work(ctx, r, in, p, f)
}

// work runs one item, and tells its lane what became of it.
func (a *Activities) work(ctx context.Context, r *openRun, in ItemInput, p catalog.Planned, f worker) (Outcome, error) {
	ctx, cancel := r.untilStopped(ctx)
	defer cancel()
	if in.Lane == Small && r.isStopped() {
		return Stopped, nil
	}
	end := a.Progress.begin(in.Name)
	within := ctx
	if in.Lane == Small { // on a line that has become slow it is not small any more
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, smallMost)
		defer cancel()
	}
	size, out, err := f(within, r, in, p)
	end(err == nil && out == OutcomeDone, size)
	switch {
	case err == nil:
		return out, nil
	case in.Lane == Small && r.isStopped():
		return Stopped, nil
	case ctx.Err() != nil:
		return "", err
	}
	return a.failed(ctx, r, in, err)
}

// failed decides what becomes of an asset that could not be stored now.
func (a *Activities) failed(ctx context.Context, r *openRun, in ItemInput, err error) (Outcome, error) {
	switch err = a.patience(r, err); {
	case exit.CodeOf(err) == exit.Destination:
		return "", toTemporal(err)
	case in.Lane == Small && isAway(err) && !r.answers(ctx):
		return StoreAway, nil
	case in.Lane == Small:
		// Also of a store that answers but does not take this one: lane
		// large waits between its tries, and gives up in the end.
		a.Log.Warn("asset handed over", "asset", in.Name, "err", err)
		return HandedOver, toTemporal(a.Catalog.HandOver(ctx, in.Epoch, in.Item, Large))
	}
	if !isAway(err) {
		r.failedOnce(in.Item)
	}
	return "", toTemporal(err)
}

// patience is destination for a run at work, which ends when the store has
// not answered for as long as the user waits.
func (a *Activities) patience(r *openRun, err error) error {
	if isAway(err) && r.silent(a.Now()) > r.doc.GiveUp {
		return givenUp(r.doc.Dest, err)
	}
	return destination(r.doc.Dest, err)
}

// isAway tells a store that may answer later from everything else.
func isAway(err error) bool {
	return errors.Is(err, objectstore.Unavailable) || errors.Is(err, objectstore.Throttled)
}

// answers asks the store for something that is there.
func (r *openRun) answers(ctx context.Context) bool {
	_, err := r.store.Stat(ctx, manifest.ConfigKey)
	return err == nil
}

func givenUp(dest string, err error) error {
	return &exit.Error{Code: exit.Destination, What: "destination " + dest, Err: err,
		Do: "run the same command again when it is back: it goes on where it stopped"}
}

// AwaitStore returns when the destination answers again, and gives up after
// the time that the user set.
func (a *Activities) AwaitStore(ctx context.Context, e catalog.Epoch) error {
	defer heartbeat(ctx)()
	_, doc, err := a.runRow(ctx, e)
	if err != nil {
		return toTemporal(err)
	}
	defer a.Progress.wait(waitStore + doc.Dest)()
	since := activity.GetInfo(ctx).ScheduledTime
	for {
		r, err := a.run(ctx, e)
		if err == nil {
			_, err = r.store.Stat(ctx, manifest.ConfigKey)
		}
		if err == nil {
			r.answered()
			return nil
		}
		if !isAway(err) {
			return ofStep(ctx, destination(doc.Dest, err))
		}
		if a.Now().Sub(since) > doc.GiveUp {
			return toTemporal(givenUp(doc.Dest, err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
