package workflows_test

import (
	"compress/gzip"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"lightfast/workflows"
)

// recorded reads a history that `make histories` recorded.
func recorded(t *testing.T, name string) *historypb.History {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	h, err := client.HistoryFromJSON(z, client.HistoryJSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// replay runs r over h as the execution that it was: names of lanes are made
// of it.
func replay(t *testing.T, r worker.WorkflowReplayer, h *historypb.History) error {
	t.Helper()
	started := h.Events[0].GetWorkflowExecutionStartedEventAttributes()
	return r.ReplayWorkflowHistoryWithOptions(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), h, worker.ReplayWorkflowHistoryOptions{
		OriginalExecution: workflow.Execution{ID: started.WorkflowId, RunID: started.OriginalExecutionRunId},
	})
}

func TestRunsOfOlderVersionsGoOn(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories: %v", err)
	}
	r := worker.NewWorkflowReplayer()
	for _, w := range []any{workflows.BackupLibrary, workflows.RestoreSnapshot, workflows.VerifyRepository, workflows.LaneSmall, workflows.LaneLarge, workflows.LaneCloud} {
		r.RegisterWorkflow(w)
	}
	for _, file := range files {
		name := filepath.Base(file[:len(file)-len(".json.gz")])
		t.Run(name, func(t *testing.T) {
			if err := replay(t, r, recorded(t, name)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Replays prove something only if the histories have what they are named for.
func TestHistoriesHoldWhatIsHard(t *testing.T) {
	for _, tt := range []struct {
		name string
		what string
		in   func(e *historypb.HistoryEvent) bool
	}{
		{"whole-LaneSmall-1", "continue as new", is(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW)},
		{"whole-LaneSmall-2", "the end of the lane", is(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)},
		{"whole-LaneLarge-1", "a regular activity", is(enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED)},
		{"canceled-BackupLibrary-1", "a cancel", is(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED)},
		{"canceled-LaneSmall-1", "a cancel", is(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED)},
		{"canceled-LaneLarge-1", "a cancel", is(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED)},
		{"killed-BackupLibrary-1", "a second try of an activity", secondTry},
		{"killed-BackupLibrary-1", "the end of the run", is(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)},
		{"killed-LaneLarge-1", "a second try of an activity", secondTry},
		{"icloud-BackupLibrary-1", "a lane cloud", func(e *historypb.HistoryEvent) bool {
			return e.GetStartChildWorkflowExecutionInitiatedEventAttributes().GetWorkflowType().GetName() == "LaneCloud"
		}},
		{"icloud-LaneCloud-1", "a second try of an activity", secondTry},
		{"killed-LaneSmall-1", "a workflow task that was lost", is(enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED)},
	} {
		found := false
		for _, e := range recorded(t, tt.name).Events {
			found = found || tt.in(e)
		}
		if !found {
			t.Errorf("%s has no event that is %s", tt.name, tt.what)
		}
	}
}

func is(want enumspb.EventType) func(*historypb.HistoryEvent) bool {
	return func(e *historypb.HistoryEvent) bool { return e.EventType == want }
}

func secondTry(e *historypb.HistoryEvent) bool {
	return e.GetActivityTaskStartedEventAttributes().GetAttempt() > 1
}

func TestReplayRefusesAnotherWorkflow(t *testing.T) {
	r := worker.NewWorkflowReplayer()
	r.RegisterWorkflowWithOptions(workflows.LaneLarge, workflow.RegisterOptions{Name: "LaneSmall"})
	if err := replay(t, r, recorded(t, "whole-LaneSmall-1")); err == nil {
		t.Error("the history of lane small replays as lane large")
	}
}
