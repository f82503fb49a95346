package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"lightfast/activities"
	"lightfast/internal/dial"
	"lightfast/workflows"
)

// temporalAssets is how many assets a run of lane small works off here: ten
// times what it does before it continues as new.
const temporalAssets = 20_000

// temporalCost runs the real LaneSmall against a real server in a process of
// its own, with activities that do nothing: what is left is what Temporal
// costs.
func temporalCost(ctx context.Context, b *bench) error {
	var each []float64
	for n := range b.runs {
		server, here, wall, err := b.laneSmall(ctx, fmt.Sprint("state-", n))
		if err != nil {
			return err
		}
		per := func(d time.Duration) float64 { return d.Seconds() * 1000 / temporalAssets }
		each = append(each, per(server+here))
		fmt.Printf("  %d assets in %.1f s: %.2f ms CPU each (server %.2f, worker %.2f)\n", temporalAssets, wall.Seconds(), per(server+here), per(server), per(here))
	}
	fmt.Printf("  median %.2f ms\n", median(each))
	return nil
}

func (b *bench) laneSmall(ctx context.Context, state string) (server, here, wall time.Duration, err error) {
	up, stop, err := b.background(ctx, "up", "up", "--state", filepath.Join(b.work, state))
	if err != nil {
		return 0, 0, 0, err
	}
	before := self()
	start := time.Now()
	err = runLane(ctx, up.Address)
	wall, here = time.Since(start), self()-before
	e, stopErr := stop()
	if err == nil {
		err = stopErr
	}
	return e.cpu, here, wall, err // the server's start, some 0.02 ms an asset, is in it
}

// self is the CPU time of this process.
func self() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it cannot fail for one's own process
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func runLane(ctx context.Context, address string) error {
	c, err := dial.Temporal(ctx, address, dial.Options{Identity: "bench"})
	if err != nil {
		return err
	}
	defer c.Close()
	w := worker.New(c, "bench", worker.Options{
		MaxConcurrentActivityExecutionSize:      8,
		MaxConcurrentLocalActivityExecutionSize: 64,
		MaxConcurrentWorkflowTaskExecutionSize:  8,
	})
	w.RegisterWorkflow(workflows.LaneSmall)
	var given atomic.Int64
	next := func(_ context.Context, in activities.NextInput) (activities.Next, error) {
		todo := activities.Next{Ring: 16}
		for len(todo.Refs) < in.N {
			i := given.Add(1)
			if i > temporalAssets {
				break
			}
			todo.Refs = append(todo.Refs, activities.Ref{Item: i, Name: fmt.Sprintf("IMG_%06d.JPG", i), Size: 1000})
		}
		return todo, nil
	}
	store := func(context.Context, activities.ItemInput) (activities.Outcome, error) { return "", nil }
	commit := func(context.Context, activities.Epoch) error { return nil }
	for name, f := range map[string]any{"NextAssets": next, "StoreAsset": store, "Commit": commit} {
		w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: "bench"}, workflows.LaneSmall,
		workflows.LaneInput{Epoch: 1, Verb: activities.Store})
	if err != nil {
		return err
	}
	return run.Get(ctx, nil)
}
