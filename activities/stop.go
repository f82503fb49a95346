package activities

import (
	"context"
	"time"

	"lightfast/catalog"
)

// stopGrace is how long what has begun may go on when a run is canceled: a
// photo ends in that time; what stands still must not hold the cancel up.
const stopGrace = 5 * time.Second

// StopRun lets nothing more of a run begin in this process, because it was
// canceled.
func (a *Activities) StopRun(ctx context.Context, e catalog.Epoch) error {
	r, err := a.run(ctx, e)
	if err != nil {
		return toTemporal(err)
	}
	r.halt.Do(func() { close(r.stop) })
	return nil
}

func (r *openRun) isStopped() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

// untilStopped returns a context that ends stopGrace after StopRun.
func (r *openRun) untilStopped(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-r.stop:
		}
		select {
		case <-ctx.Done():
		case <-time.After(stopGrace):
			cancel()
		}
	}()
	return ctx, cancel
}
