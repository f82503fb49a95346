package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
)

// Paused is what a held run waits for.
const Paused = "lightfast resume"

// SetPaused holds or releases the run of this workflow: nothing new begins,
// and no part of a film leaves. What small assets have begun ends.
func (a *Activities) SetPaused(ctx context.Context, on bool) error {
	return toTemporal(a.Catalog.SetPaused(ctx, activity.GetInfo(ctx).WorkflowExecution.ID, on))
}

// whilePaused returns when the run of workflow is not held.
func (a *Activities) whilePaused(ctx context.Context, workflow string) error {
	on, err := a.Catalog.Paused(ctx, workflow)
	if !on || err != nil {
		return err
	}
	defer heartbeat(ctx)()
	defer a.Progress.wait(Paused)()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for on && err == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			on, err = a.Catalog.Paused(ctx, workflow)
		}
	}
	return err
}
