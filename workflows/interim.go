package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"lightfast/activities"
)

// A first backup takes days. Interim heads make what is done so far
// restorable by name, should the Mac die before the end.
const (
	firstInterim = 10 * time.Minute
	nextInterim  = 30 * time.Minute

	// However large the library, interim heads take a twentieth of the time.
	interimShare = 20
)

// startInterims writes an interim head now and then until the returned
// function is called with the end of the lanes. A cancel leaves one, too.
// every replaces both waits unless it is 0.
func startInterims(ctx workflow.Context, epoch activities.Epoch, every time.Duration) (end func(error)) {
	var a *activities.Activities
	n := 0
	write := func(ctx workflow.Context) {
		n++
		// Its failure is none of the run's: the next one may succeed.
		err := workflow.ExecuteActivity(step(ctx, long), a.InterimHead, activities.InterimInput{Epoch: epoch, N: n}).Get(ctx, nil)
		if err != nil && !temporal.IsCanceledError(err) {
			workflow.GetLogger(ctx).Warn("no interim head", "err", err)
		}
	}
	waiting, stop := workflow.WithCancel(ctx)
	over := workflow.NewWaitGroup(ctx)
	over.Add(1)
	workflow.Go(waiting, func(ctx workflow.Context) {
		defer over.Done()
		wait := firstInterim
		for {
			if every > 0 {
				wait = every
			}
			if workflow.Sleep(ctx, wait) != nil {
				return
			}
			begun := workflow.Now(ctx)
			write(ctx)
			wait = max(nextInterim, interimShare*workflow.Now(ctx).Sub(begun))
		}
	})
	return func(why error) {
		stop()
		free, _ := workflow.NewDisconnectedContext(ctx)
		over.Wait(free)
		if temporal.IsCanceledError(why) {
			write(free)
		}
	}
}
