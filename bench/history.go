package main

import (
	"context"
	"fmt"

	"go.temporal.io/api/workflowservice/v1"

	"lightfast/internal/dial"
)

// histories prints the largest history of a workflow that a state directory
// has: Temporal warns at 10,240 events or 10 MB, and ends a run at five times
// as much.
func (b *bench) histories(ctx context.Context, state string) error {
	up, stop, err := b.background(ctx, "up", "up", "--state", state)
	if err != nil {
		return err
	}
	defer stop()
	c, err := dial.Temporal(ctx, up.Address, dial.Options{Identity: "bench"})
	if err != nil {
		return err
	}
	defer c.Close()
	var runs, events, bytes int64
	for page := []byte(nil); ; {
		list, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: 1000, NextPageToken: page})
		if err != nil {
			return err
		}
		for _, e := range list.Executions {
			runs, events, bytes = runs+1, max(events, e.HistoryLength), max(bytes, e.HistorySizeBytes)
		}
		if page = list.NextPageToken; len(page) == 0 {
			break
		}
	}
	fmt.Printf("  histories: %d workflow runs; the longest has %d events, the largest %.2f MB\n", runs, events, float64(bytes)/1e6)
	return nil
}
