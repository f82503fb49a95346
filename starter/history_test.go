package main

import (
	"context"
	"strings"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"lightfast/engine"
	"lightfast/internal/dial"
	"lightfast/photos"
	"lightfast/photos/applelibrary"
)

// temporal opens the engine of a place where no lightfast runs.
func (p *place) temporal(t *testing.T) client.Client {
	t.Helper()
	e, err := engine.Start(t.Context(), engine.Options{StateDir: p.state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	c, err := dial.Temporal(t.Context(), e.Address(), dial.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// assetActivities counts the activities that the newest run scheduled for
// assets, local and regular, as its lanes' histories show them.
func (p *place) assetActivities(t *testing.T) (n int) {
	t.Helper()
	t.Run("history", func(t *testing.T) { n = countAssetActivities(t, p.temporal(t)) })
	return n
}

func countAssetActivities(t *testing.T, c client.Client) (n int) {
	list, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowType = 'BackupLibrary'"})
	if err != nil || len(list.Executions) == 0 {
		t.Fatalf("no run: %v", err)
	}
	newest := list.Executions[0].Execution
	lanes, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowType IN ('LaneSmall', 'LaneLarge')"})
	if err != nil {
		t.Fatal(err)
	}
	for _, lane := range lanes.Executions {
		if !strings.HasPrefix(lane.Execution.WorkflowId, newest.WorkflowId+"/"+newest.RunId+"/") {
			continue
		}
		events := c.GetWorkflowHistory(t.Context(), lane.Execution.WorkflowId, lane.Execution.RunId, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				t.Fatal(err)
			}
			if forAsset(e) {
				n++
			}
		}
	}
	return n
}

func forAsset(e *historypb.HistoryEvent) bool {
	if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
		return a.ActivityType.Name == "StoreAsset"
	}
	for _, p := range e.GetMarkerRecordedEventAttributes().GetDetails()["data"].GetPayloads() {
		if strings.Contains(string(p.Data), `"ActivityType":"StoreAsset"`) {
			return true
		}
	}
	return false
}

// libraryIDs returns the ids of a Photos library's assets that have an
// original on disk.
func libraryIDs(t *testing.T, path string) (ids []photos.AssetID) {
	t.Helper()
	lib, err := applelibrary.Open(t.Context(), path, applelibrary.Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer lib.Close()
	for a, err := range lib.Scan(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if !a.Orphan {
			ids = append(ids, a.ID)
		}
	}
	return ids
}
