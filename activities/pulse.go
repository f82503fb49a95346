package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"lightfast/catalog"
)

// pulse is the one of a workflow run in this process.
type pulse struct {
	end  chan struct{}
	once sync.Once

	mu    sync.Mutex    // guards newer
	newer chan struct{} // closed when another attempt begins
}

// begin ends the attempt before, of whose heartbeats the server did not hear:
// nobody would tell it, and it would keep its slot for good.
func (p *pulse) begin() (newer <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.newer != nil {
		close(p.newer)
	}
	p.newer = make(chan struct{})
	return p.newer
}

func (a *Activities) pulse(ctx context.Context) *pulse {
	p, _ := a.pulses.LoadOrStore(activity.GetInfo(ctx).WorkflowExecution.RunID, &pulse{end: make(chan struct{})})
	return p.(*pulse)
}

// Pulse carries the process's counters once a second in its heartbeats, so
// that any terminal sees progress through Temporal alone and a lost worker is
// noticed. It returns the last of them when EndRun is called.
func (a *Activities) Pulse(ctx context.Context) (Report, error) {
	p := a.pulse(ctx)
	newer := p.begin()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	here := a.present(ctx)
	defer here.leave()
	for {
		r := a.Progress.Report()
		here.mind(ctx, r)
		activity.RecordHeartbeat(ctx, r)
		select {
		case <-p.end:
			return a.Progress.Report(), nil
		case <-newer:
			return a.Progress.Report(), errors.New("another attempt has begun")
		case <-ctx.Done():
			return a.Progress.Report(), ctx.Err()
		case <-tick.C:
		}
	}
}

// EndRun ends the Pulse of its workflow run, which runs in the same process,
// and releases what the run has open here.
func (a *Activities) EndRun(ctx context.Context, e catalog.Epoch) error {
	p := a.pulse(ctx)
	p.once.Do(func() { close(p.end) })
	a.forget(e)
	workflow := activity.GetInfo(ctx).WorkflowExecution.ID
	// A hold ends with its run: the next one must not wait for somebody.
	return toTemporal(errors.Join(a.endLimits(ctx, workflow), a.Catalog.SetPaused(ctx, workflow, false)))
}
