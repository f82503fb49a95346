package engine_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/workflow"
)

const (
	queue  = "test"
	ahead  = "go ahead" // a signal
	assets = 300
	parts  = 100
	// step is how long each asset and part takes.
	step = 20 * time.Millisecond
	// never is the timeout by which Temporal would notice a dead process: no test waits that long.
	never = 2 * time.Minute
)

// tree has both kinds of work in hand at once: a child that runs local activities, and a long regular activity.
func tree(ctx workflow.Context) error {
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowTaskTimeout: never,
	}), ring)
	var s *steps
	large := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * never,
		HeartbeatTimeout:    never,
	}), s.Large)
	if err := child.Get(ctx, nil); err != nil {
		return err
	}
	return large.Get(ctx, nil)
}

// ring runs one local activity per asset, four at a time.
func ring(ctx workflow.Context) error {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: never})
	var s *steps
	var inFlight []workflow.Future
	for n := range assets {
		if len(inFlight) == 4 {
			if err := inFlight[0].Get(ctx, nil); err != nil {
				return err
			}
			inFlight = inFlight[1:]
		}
		inFlight = append(inFlight, workflow.ExecuteLocalActivity(ctx, s.Small, n))
	}
	for _, f := range inFlight {
		if err := f.Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// one runs one activity that does nothing.
func one(ctx workflow.Context) error {
	var s *steps
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: never})
	return workflow.ExecuteActivity(ctx, s.Nothing).Get(ctx, nil)
}

// waiting ends with the signal.
func waiting(ctx workflow.Context) error {
	workflow.GetSignalChannel(ctx, ahead).Receive(ctx, nil)
	return nil
}

// canceled waits for an activity that never hears of its cancellation.
func canceled(ctx workflow.Context) error {
	var s *steps
	return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * never,
		HeartbeatTimeout:    never,
		WaitForCancellation: true,
	}), s.Deaf).Get(ctx, nil)
}

// steps write a line into the journal for everything that they have done.
type steps struct{ journal string }

func (s *steps) Small(ctx context.Context, n int) error {
	return s.done(ctx, "asset", n)
}

func (s *steps) Nothing(context.Context) error { return nil }

// Deaf sends no heartbeat.
func (s *steps) Deaf(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s *steps) Large(ctx context.Context) error {
	var n int
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &n); err != nil {
			return err
		}
	}
	for ; n < parts; n++ {
		if err := s.done(ctx, "part", n); err != nil {
			return err
		}
		activity.RecordHeartbeat(ctx, n+1)
	}
	return nil
}

func (s *steps) done(ctx context.Context, what string, n int) error {
	select {
	case <-time.After(step):
	case <-ctx.Done():
		return ctx.Err()
	}
	f, err := os.OpenFile(s.journal, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(f, what, n); err != nil {
		return err
	}
	return f.Close()
}
