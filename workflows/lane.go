package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"lightfast/activities"
)

// LaneInput is all that a lane knows: the rest is in the catalog, so that it
// continues as new with the same input.
type LaneInput struct {
	Epoch activities.Epoch `json:"epoch"`
	Verb  activities.Verb  `json:"verb"`
	Share activities.Share `json:"share,omitzero"` // of lane small

	// Window is how many assets a lane of regular activities has in flight; 0
	// is that of lane large.
	Window int `json:"window,omitempty"`
}

const (
	// A batch ends with Commit, the durable checkpoint: after so many assets,
	// or when this much time has passed.
	batchSize = 1000
	batchTime = 4 * time.Second

	// Continue as new: at about 370 bytes of history an asset this is far
	// below where Temporal warns (temporal.md section 4).
	assetsPerRun = 2000

	cancelTime = 10 * time.Second // in which a cancel reaches a lane

	// Window is how many large assets are in flight.
	Window = 4

	// Sending is how many assets of lane cloud may be on their way from the
	// spool to the store, beside those that are being brought.
	Sending = 2
)

func laneID(parent workflow.Execution, lane string, number, epoch int) string {
	return fmt.Sprintf("%s/%s/%s-%d-%d", parent.ID, parent.RunID, lane, epoch, number)
}

// LaneSmall works off a share of the small assets: one local activity each, a
// ring of them in flight, in one coroutine (a coroutine an asset costs ten
// times as much). Nothing leaves a workflow while a local activity is pending,
// so Commit and NextAssets go together when the ring is empty. A disk takes
// seconds for Commit: the next batch is worked off meanwhile.
func LaneSmall(ctx workflow.Context, in LaneInput) error {
	var a *activities.Activities
	asked := activities.NextInput{Epoch: in.Epoch, Lane: activities.Small, Share: in.Share, N: batchSize}
	next := workflow.ExecuteActivity(step(ctx, long), a.NextAssets, asked)
	free, _ := workflow.NewDisconnectedContext(ctx) // what is done is kept, also by a cancel
	var commit workflow.Future                      // of the batch before
	for done := 0; ; {
		var todo activities.Next
		if err := next.Get(ctx, &todo); err != nil {
			return err
		}
		if len(todo.Refs) == 0 {
			return ended(free, commit)
		}
		n, out, err := ring(ctx, in, todo)
		if err = worst(err, ended(free, commit)); err != nil {
			return err
		}
		done += n
		commit = workflow.ExecuteActivity(step(free, short), a.Commit, in.Epoch)
		if out == activities.Stopped {
			// The cancel that stopped them is on its way here, too.
			if _, err := workflow.AwaitWithTimeout(free, cancelTime, func() bool { return ctx.Err() != nil }); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return worst(ctx.Err(), ended(free, commit))
		}
		if out == activities.StoreAway {
			if err := workflow.ExecuteActivity(step(ctx, long), a.AwaitStore, in.Epoch).Get(ctx, nil); err != nil {
				return err
			}
		}
		last := done >= assetsPerRun || workflow.GetInfo(ctx).GetContinueAsNewSuggested()
		if last {
			if err := ended(free, commit); err != nil {
				return err
			}
			return workflow.NewContinueAsNewError(ctx, LaneSmall, in)
		}
		next = workflow.ExecuteActivity(step(ctx, long), a.NextAssets, asked)
	}
}

// ended waits for a step that may not have been taken.
func ended(ctx workflow.Context, f workflow.Future) error {
	if f == nil {
		return nil
	}
	return f.Get(ctx, nil)
}

// ring runs assets, no more at once than the store takes well, until all are
// done, the batch has lasted long enough, or an outcome (the last such is
// returned) says that no more should be started. What has begun ends, also
// when ctx is canceled.
func ring(ctx workflow.Context, in LaneInput, todo activities.Next) (done int, halt activities.Outcome, err error) {
	free, _ := workflow.NewDisconnectedContext(ctx)
	var flight []workflow.Future
	refs, width := todo.Refs, max(todo.Ring, 1)
	until := workflow.Now(ctx).Add(batchTime)
	for len(refs) > 0 || len(flight) > 0 {
		if len(refs) > 0 && len(flight) < width && halt == "" && err == nil && workflow.Now(ctx).Before(until) && ctx.Err() == nil {
			flight = append(flight, runLocal(free, in, refs[0]))
			refs = refs[1:]
			continue
		}
		if len(flight) == 0 {
			break
		}
		var out activities.Outcome
		if failed := flight[0].Get(free, &out); failed != nil && err == nil {
			err = failed
		}
		flight = flight[1:]
		if out == activities.StoreAway || out == activities.Stopped {
			halt = out
		}
		done++
	}
	return done, halt, err
}

func runLocal(ctx workflow.Context, in LaneInput, ref activities.Ref) workflow.Future {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		// Not a limit on a slow line: what stands still is handed over by
		// the store's own watchdog long before.
		StartToCloseTimeout: time.Hour,
		Summary:             ref.Name,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
	})
	return workflow.ExecuteLocalActivity(ctx, in.Verb.Activity(), item(in, ref, activities.Small))
}

func item(in LaneInput, ref activities.Ref, lane string) activities.ItemInput {
	return activities.ItemInput{Epoch: in.Epoch, Item: ref.Item, Name: ref.Name, Lane: lane}
}

// LaneLarge works off everything else that is local: one regular activity
// each, with heartbeats, resumed by part, every retry visible.
func LaneLarge(ctx workflow.Context, in LaneInput) error {
	return regular(ctx, in, activities.Large, LaneLarge)
}

// LaneCloud works off what only iCloud has. An asset that has not come goes
// back into the plan, and the next one has its turn.
func LaneCloud(ctx workflow.Context, in LaneInput) error {
	return regular(ctx, in, activities.Cloud, LaneCloud)
}

// regular is the lane called name; self is the workflow that it continues as.
func regular(ctx workflow.Context, in LaneInput, name string, self any) error {
	var a *activities.Activities
	window := in.Window
	if window == 0 {
		window = Window
	}
	flight := map[int64]workflow.Future{}
	var order []int64 // of flight: maps must not be ranged over in a workflow
	started := 0
	for {
		more := started < assetsPerRun && !workflow.GetInfo(ctx).GetContinueAsNewSuggested() && ctx.Err() == nil
		if more && len(order) < window {
			var todo activities.Next
			ask := activities.NextInput{Epoch: in.Epoch, Lane: name, N: window - len(order), Busy: order}
			if err := workflow.ExecuteActivity(step(ctx, long), a.NextAssets, ask).Get(ctx, &todo); err != nil {
				return drain(ctx, flight, order, err)
			}
			for _, ref := range todo.Refs {
				flight[ref.Item] = runRegular(ctx, in, ref, name)
				order = append(order, ref.Item)
				started++
			}
			more = len(todo.Refs) > 0
		}
		if len(order) == 0 {
			if more || started < assetsPerRun {
				return ctx.Err()
			}
			return workflow.NewContinueAsNewError(ctx, self, in)
		}
		i, err := first(ctx, flight, order)
		if err != nil {
			return drain(ctx, flight, append(order[:i:i], order[i+1:]...), err)
		}
		delete(flight, order[i])
		order = append(order[:i:i], order[i+1:]...)
	}
}

// first waits for one of flight and returns its place in order.
func first(ctx workflow.Context, flight map[int64]workflow.Future, order []int64) (at int, err error) {
	s := workflow.NewSelector(ctx)
	for i, id := range order {
		s.AddFuture(flight[id], func(f workflow.Future) { at, err = i, f.Get(ctx, nil) })
	}
	s.Select(ctx)
	return at, err
}

// drain lets what is in flight end, and returns why no more was started.
func drain(ctx workflow.Context, flight map[int64]workflow.Future, order []int64, why error) error {
	for _, id := range order {
		// Its outcome is in the catalog; the run ends for another reason.
		_ = flight[id].Get(ctx, nil)
	}
	return why
}

func runRegular(ctx workflow.Context, in LaneInput, ref activities.Ref, lane string) workflow.Future {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 365 * 24 * time.Hour, // size and line decide; heartbeats notice the dead
		HeartbeatTimeout:    20 * time.Second,     // beaten once a second
		WaitForCancellation: true,
		Summary:             ref.Name,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
	return workflow.ExecuteActivity(ctx, in.Verb.Activity(), item(in, ref, lane))
}
