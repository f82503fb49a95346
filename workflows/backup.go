// Package workflows decides what happens next in a backup or a restore. It
// holds no bytes and no lists: plans and counts are in the catalog of the
// host that has the library, and every step is an activity.
package workflows

import (
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"lightfast/activities"
)

// planTries is how often a plan that the catalog lost is made anew.
const planTries = 3

// BackupLibrary stores what is new or changed of one library, and makes it a
// snapshot. Its id names host, source and destination, so at most one runs.
func BackupLibrary(ctx workflow.Context, in activities.BackupInput) (res activities.BackupResult, err error) {
	var a *activities.Activities // nil: it only names the activities
	end := startPulse(ctx)
	var p activities.Prepared
	defer func() { err = worst(err, end(p.Epoch)) }()
	for try := 1; ; try++ {
		if err = workflow.ExecuteActivity(step(ctx, long), a.PrepareRun, in).Get(ctx, &p); err != nil {
			return res, err
		}
		interim := startInterims(ctx, p.Epoch, in.Interim)
		err = workOff(ctx, p, activities.Store)
		if interim(err); err == nil {
			break
		}
		if !planLost(err) || try == planTries {
			return res, err
		}
	}
	if err = workflow.ExecuteActivity(step(ctx, long), a.BuildPages, p.Epoch).Get(ctx, nil); err != nil {
		return res, err
	}
	err = workflow.ExecuteActivity(step(ctx, long), a.CommitHead, p.Epoch).Get(ctx, &res)
	res.Resumed = p.Resumed
	return res, err
}

// RestoreSnapshot writes the files of one snapshot into a folder, on the same
// pattern: plan, lanes, end.
func RestoreSnapshot(ctx workflow.Context, in activities.RestoreInput) (res activities.RestoreResult, err error) {
	var a *activities.Activities
	end := startPulse(ctx)
	var p activities.Prepared
	defer func() { err = worst(err, end(p.Epoch)) }()
	for try := 1; ; try++ {
		if err = workflow.ExecuteActivity(step(ctx, long), a.PrepareRestore, in).Get(ctx, &p); err != nil {
			return res, err
		}
		if err = workOff(ctx, p, activities.Restore); err == nil {
			break
		}
		if !planLost(err) || try == planTries {
			return res, err
		}
	}
	err = workflow.ExecuteActivity(step(ctx, long), a.FinishRestore, p.Epoch).Get(ctx, &res)
	res.Resumed = p.Resumed
	return res, err
}

// workOff runs the lanes of a plan. They have queues of their own: while
// local activities run, their workflow task stays open for seconds, and hours
// of video must never hold the slots that small assets need.
func workOff(ctx workflow.Context, p activities.Prepared, verb activities.Verb) error {
	tellOfCancel(ctx, p.Epoch)
	if p.Readers == 0 {
		return workOffLocal(ctx, p, verb)
	}
	fetching, cancel := workflow.WithCancel(ctx)
	defer cancel()
	cloud := startLane(fetching, LaneCloud, "cloud", 1, p, verb)
	if err := workOffLocal(ctx, p, verb); err != nil {
		cancel()
		return worst(err, ignoreCancel(cloud.Get(ctx, nil)))
	}
	if err := cloud.Get(ctx, nil); err != nil {
		return err
	}
	// What the others handed over when lane cloud had ended.
	return startLane(ctx, LaneCloud, "cloud", 2, p, verb).Get(ctx, nil)
}

func workOffLocal(ctx workflow.Context, p activities.Prepared, verb activities.Verb) error {
	large := startLane(ctx, LaneLarge, "large", 1, p, verb)
	var small []workflow.ChildWorkflowFuture
	for n := range max(p.Shares, 1) {
		small = append(small, startLane(ctx, LaneSmall, "small", int(n+1), p, verb))
	}
	var err error
	for _, one := range small {
		err = worst(err, one.Get(ctx, nil))
	}
	if err = worst(err, large.Get(ctx, nil)); err != nil {
		return err
	}
	// What lane small handed over at its end, when lane large had ended.
	return startLane(ctx, LaneLarge, "large", 2, p, verb).Get(ctx, nil)
}

// tellOfCancel has a cancel reach the local activities at once: while one is
// pending, its lane hears of nothing.
func tellOfCancel(ctx workflow.Context, epoch activities.Epoch) {
	var a *activities.Activities
	free, _ := workflow.NewDisconnectedContext(ctx)
	workflow.Go(free, func(free workflow.Context) {
		ctx.Done().Receive(free, nil)
		here := workflow.WithLocalActivityOptions(free, workflow.LocalActivityOptions{StartToCloseTimeout: 10 * time.Second})
		_ = workflow.ExecuteLocalActivity(here, a.StopRun, epoch).Get(free, nil) // without it the cancel takes longer, no more
	})
}

// startLane starts one of the workflows of a lane, numbered from 1: shares of
// lane small, which work side by side, and turns of the others.
func startLane(ctx workflow.Context, lane any, name string, number int, p activities.Prepared, verb activities.Verb) workflow.ChildWorkflowFuture {
	info := workflow.GetInfo(ctx)
	queue, in := info.TaskQueueName, LaneInput{Epoch: p.Epoch, Verb: verb}
	switch name {
	case activities.Small:
		in.Share = activities.Share{N: int64(number - 1), Of: p.Shares}
	case activities.Large:
		queue = LargeQueue(queue)
	case activities.Cloud:
		queue, in.Window = CloudQueue(queue), p.Readers+Sending
	}
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:          laneID(info.WorkflowExecution, name, number, int(p.Epoch)),
		TaskQueue:           queue,
		ParentClosePolicy:   enumspb.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		WaitForCancellation: true,
		StaticSummary:       "lane " + name,
	})
	return workflow.ExecuteChildWorkflow(ctx, lane, in)
}

// LargeQueue is the task queue of lane large beside queue.
func LargeQueue(queue string) string { return queue + "-large" }

// CloudQueue is the task queue of lane cloud beside queue.
func CloudQueue(queue string) string { return queue + "-cloud" }

// startPulse starts the activity that carries the process's counters. The
// returned function ends it, and with it what the run has open in the process.
func startPulse(ctx workflow.Context) (end func(epoch activities.Epoch) error) {
	var a *activities.Activities
	beat := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 365 * 24 * time.Hour,
		HeartbeatTimeout:    10 * time.Second,
		WaitForCancellation: true,
		Summary:             "progress",
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 1},
	})
	pulse := workflow.ExecuteActivity(beat, a.Pulse)
	takeUpdates(ctx)
	return func(epoch activities.Epoch) error {
		ctx, cancel := workflow.NewDisconnectedContext(ctx)
		defer cancel()
		here := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: 10 * time.Second})
		if err := workflow.ExecuteLocalActivity(here, a.EndRun, epoch).Get(ctx, nil); err != nil {
			return err
		}
		if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
			return err
		}
		return ignoreCancel(pulse.Get(ctx, nil))
	}
}

// UpdatePause holds a run (true) or lets it go on (false), and returns when
// that has taken effect.
const UpdatePause = "pause"

// UpdateLimits changes the limits of a run, and returns when that has taken
// effect.
const UpdateLimits = "limits"

func takeUpdates(ctx workflow.Context) {
	var a *activities.Activities
	err := errors.Join(
		workflow.SetUpdateHandler(ctx, UpdatePause, func(ctx workflow.Context, on bool) error {
			return workflow.ExecuteActivity(step(ctx, short), a.SetPaused, on).Get(ctx, nil)
		}),
		workflow.SetUpdateHandler(ctx, UpdateLimits, func(ctx workflow.Context, l activities.Limits) error {
			return workflow.ExecuteActivity(step(ctx, short), a.SetLimits, l).Get(ctx, nil)
		}))
	if err != nil {
		panic(err) // a handler's form is wrong: a bug
	}
}

func ignoreCancel(err error) error {
	if temporal.IsCanceledError(err) {
		return nil
	}
	return err
}

func planLost(err error) bool { return failureType(err) == activities.ErrPlanLost }

func failureType(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Type()
	}
	return ""
}

// worst returns the error that tells most: the one that ends the run, else
// the first. Joined errors would lose their types on the way through Temporal.
func worst(a, b error) error {
	if a == nil || b != nil && failureType(b) == activities.ErrExit {
		return b
	}
	return a
}

// Lengths of steps.
const (
	short = 30 * time.Second // a look into the catalog
	long  = 0                // as long as it takes, with heartbeats
)

// step gives activities that are no asset their options. Whatever may help is
// tried for ever: what cannot help has a type that is not retried.
func step(ctx workflow.Context, most time.Duration) workflow.Context {
	o := workflow.ActivityOptions{
		StartToCloseTimeout: most,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second},
	}
	if most == long {
		o.StartToCloseTimeout, o.HeartbeatTimeout = 30*24*time.Hour, 30*time.Second
	}
	return workflow.WithActivityOptions(ctx, o)
}
