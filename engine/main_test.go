package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"lightfast/engine"
	"lightfast/internal/dial"
)

const (
	childMode = "LIGHTFAST_TEST_CHILD" // what a re-executed test binary does instead of testing
	identity  = "0123456789abcdef"     // host id
	runOfTest = "backup/test"
)

// TestMain lets the test binary be the processes that are killed.
func TestMain(m *testing.M) {
	switch os.Getenv(childMode) {
	case "":
		os.Exit(m.Run())
	case "engine":
		child(func(ctx context.Context, dir string) error {
			return serve(ctx, dir, func(context.Context, *engine.Engine) error { return nil })
		})
	case "work":
		child(func(ctx context.Context, dir string) error { return serve(ctx, dir, work) })
	case "first":
		child(func(ctx context.Context, dir string) error { return serve(ctx, dir, first) })
	case "worker":
		child(workAt)
	default:
		panic(childMode)
	}
}

// child runs until SIGTERM. What it says goes to standard output, one line each; logs go to standard error.
func child(run func(ctx context.Context, dir string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve starts an engine, lets do something with it, and stops it at the end of ctx.
func serve(ctx context.Context, dir string, do func(context.Context, *engine.Engine) error) error {
	e, err := engine.Start(ctx, engine.Options{StateDir: dir, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	fmt.Println("address", e.Address())
	if err := do(ctx, e); err != nil {
		return err
	}
	<-ctx.Done()
	return e.Stop(context.WithoutCancel(ctx))
}

// work recovers the run, works on it until it has finished, and says what recovery found.
func work(ctx context.Context, e *engine.Engine) error {
	freed, err := engine.Recover(ctx, e.Address(), runOfTest, identity)
	if err != nil {
		return err
	}
	fmt.Printf("recovered %d %d %d\n", freed.Workflows, freed.WorkflowTasks, freed.Activities)
	c, err := dial.Temporal(ctx, e.Address(), dial.Options{Identity: identity})
	if err != nil {
		return err
	}
	defer c.Close()
	w := newWorker(c, os.Args[2])
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	run, err := startTree(ctx, c)
	if err != nil {
		return err
	}
	fmt.Println("run", run.GetRunID())
	if err := run.Get(ctx, nil); err != nil {
		return err
	}
	fmt.Println("done", run.GetRunID())
	return nil
}

// first runs one workflow of one activity.
func first(ctx context.Context, e *engine.Engine) error {
	c, err := dial.Temporal(ctx, e.Address(), dial.Options{Identity: identity})
	if err != nil {
		return err
	}
	defer c.Close()
	w := newWorker(c, "")
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: queue}, one)
	if err != nil {
		return err
	}
	if err := run.Get(ctx, nil); err != nil {
		return err
	}
	fmt.Println("done", run.GetRunID())
	return nil
}

// workAt is a worker alone, for the server at an address.
func workAt(ctx context.Context, address string) error {
	c, err := dial.Temporal(ctx, address, dial.Options{Identity: identity})
	if err != nil {
		return err
	}
	defer c.Close()
	w := newWorker(c, "")
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	fmt.Println("ready", address)
	<-ctx.Done()
	return nil
}

func newWorker(c client.Client, journal string) worker.Worker {
	w := worker.New(c, queue, worker.Options{
		MaxHeartbeatThrottleInterval: 100 * time.Millisecond,
		StickyScheduleToStartTimeout: never,
	})
	w.RegisterWorkflow(tree)
	w.RegisterWorkflow(ring)
	w.RegisterWorkflow(one)
	w.RegisterWorkflow(waiting)
	w.RegisterWorkflow(canceled)
	w.RegisterActivity(&steps{journal: journal})
	return w
}

func startTree(ctx context.Context, c client.Client) (client.WorkflowRun, error) {
	return c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: runOfTest, TaskQueue: queue,
		WorkflowTaskTimeout:      never,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}, tree)
}
