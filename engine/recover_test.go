package engine_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"lightfast/engine"
)

// Every timeout by which Temporal would notice a death is longer than any wait of this test.
func TestKilledProcessGoesOnAtOnce(t *testing.T) {
	dir, journal := t.TempDir(), filepath.Join(t.TempDir(), "journal")

	p := start(t, "work", dir, journal)
	var first, run, done, address string
	p.says("address", &first)
	p.says("run", &run)
	small, large := 0, 0
	for kill := range 3 {
		waitFor(t, "both lanes at work", func() bool {
			return count(t, journal, "asset ") > small+10 && count(t, journal, "part ") > large+10
		})
		p.kill()
		small, large = count(t, journal, "asset "), count(t, journal, "part ")
		before := time.Now()
		p = start(t, "work", dir, journal)
		p.says("address", &address)
		if address != first {
			t.Errorf("address after a kill = %s, want the one before, %s", address, first)
		}
		var freed engine.Recovered
		p.says("recovered", &freed.Workflows, &freed.WorkflowTasks, &freed.Activities)
		if want := (engine.Recovered{Workflows: 2, WorkflowTasks: 1, Activities: 1}); freed != want {
			t.Errorf("Recover after kill %d = %+v, want %+v", kill, freed, want)
		}
		waitFor(t, "an asset and a part after the kill", func() bool {
			return count(t, journal, "asset ") > small && count(t, journal, "part ") > large
		})
		t.Logf("kill %d: both lanes at work again after %v", kill, time.Since(before))
	}
	p.says("done", &done)
	if done != run {
		t.Errorf("run that finished = %s, want the one that was started, %s", done, run)
	}
	if n := count(t, journal, "part 0\n"); n != 1 {
		t.Errorf("the first part was done %d times: the heartbeat is lost", n)
	}
	p.stop()
}

// The server lives on and still believes that the dead worker listens on its sticky queue.
func TestTaskOfDeadWorkersStickyQueueIsSentAgain(t *testing.T) {
	e := startEngine(t, t.TempDir())
	c := connectTo(t, e)
	p := start(t, "worker", e.Address())
	p.says("ready", new(string))
	run := execute(t, c, waiting)
	waitFor(t, "the first workflow task is done", func() bool { return completedTasks(t, c, run) == 1 })
	p.kill()
	if err := c.SignalWorkflow(t.Context(), run.GetID(), "", ahead, nil); err != nil {
		t.Fatal(err)
	}

	wantRecovered(t, e, run, engine.Recovered{Workflows: 1, WorkflowTasks: 1})
	startWorker(t, c)
	wantEnd(t, run, func(err error) bool { return err == nil })
}

// A cancelled activity is not retried, so it must not fail.
func TestCancelledActivityOfDeadProcessIsCancelled(t *testing.T) {
	e := startEngine(t, t.TempDir())
	c := connectTo(t, e)
	p := start(t, "worker", e.Address())
	p.says("ready", new(string))
	run := execute(t, c, canceled)
	waitFor(t, "the activity has begun", func() bool { return pending(t, c, run) == enums.PENDING_ACTIVITY_STATE_STARTED })
	if err := c.CancelWorkflow(t.Context(), run.GetID(), ""); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the cancellation is asked for", func() bool {
		return pending(t, c, run) == enums.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
	})
	p.kill()

	wantRecovered(t, e, run, engine.Recovered{Workflows: 1, Activities: 1})
	startWorker(t, c)
	wantEnd(t, run, temporal.IsCanceledError)
}

// What another host has in hand is its own.
func TestRecoverLeavesActivitiesOfOthersAlone(t *testing.T) {
	e := startEngine(t, t.TempDir())
	c := connectTo(t, e)
	startWorker(t, c)
	run := execute(t, c, canceled)
	waitFor(t, "the activity has begun", func() bool { return pending(t, c, run) == enums.PENDING_ACTIVITY_STATE_STARTED })
	freed, err := engine.Recover(t.Context(), e.Address(), run.GetID(), "another host")
	if want := (engine.Recovered{Workflows: 1}); freed != want || err != nil {
		t.Errorf("Recover as another host = %+v, %v; want %+v", freed, err, want)
	}
	if got := pending(t, c, run); got != enums.PENDING_ACTIVITY_STATE_STARTED {
		t.Errorf("state of the activity = %v, want started", got)
	}
}

func TestRecoverFindsNothingToDo(t *testing.T) {
	e := startEngine(t, t.TempDir())
	c := connectTo(t, e)
	startWorker(t, c)
	done := execute(t, c, waiting)
	if err := c.SignalWorkflow(t.Context(), done.GetID(), "", ahead, nil); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, done, func(err error) bool { return err == nil })
	for what, id := range map[string]string{"no such workflow": "backup/never-started", "a closed workflow": done.GetID()} {
		freed, err := engine.Recover(t.Context(), e.Address(), id, identity)
		if freed != (engine.Recovered{}) || err != nil {
			t.Errorf("Recover(%s) = %+v, %v; want nothing", what, freed, err)
		}
	}
}

func wantRecovered(t *testing.T, e *engine.Engine, run client.WorkflowRun, want engine.Recovered) {
	t.Helper()
	got, err := engine.Recover(t.Context(), e.Address(), run.GetID(), identity)
	if got != want || err != nil {
		t.Errorf("Recover = %+v, %v; want %+v", got, err, want)
	}
}

func wantEnd(t *testing.T, run client.WorkflowRun, good func(error) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := run.Get(ctx, nil); !good(err) {
		t.Errorf("the workflow ended with %v", err)
	}
}

// completedTasks counts the workflow tasks that a worker has completed.
func completedTasks(t *testing.T, c client.Client, run client.WorkflowRun) (n int) {
	t.Helper()
	for h := c.GetWorkflowHistory(t.Context(), run.GetID(), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); h.HasNext(); {
		event, err := h.Next()
		if err != nil {
			t.Fatal(err)
		}
		if event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			n++
		}
	}
	return n
}

// pending is the state of the workflow's only activity.
func pending(t *testing.T, c client.Client, run client.WorkflowRun) enums.PendingActivityState {
	t.Helper()
	w, err := c.DescribeWorkflowExecution(t.Context(), run.GetID(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range w.GetPendingActivities() {
		return a.GetState()
	}
	return enums.PENDING_ACTIVITY_STATE_UNSPECIFIED
}
