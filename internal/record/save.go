package main

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"lightfast/internal/dial"
)

// save writes the history of every workflow of the scenario to a file:
// PREFIX-TYPE-N.json.gz, where N counts those of a type as they began.
func (c command) save(ctx context.Context, prefix string) (n int, err error) {
	up := func(e event) bool { return e.Event == "up" }
	err = c.while(ctx, []string{"up"}, syscall.SIGINT, up, func(e event) error {
		tc, err := dial.Temporal(ctx, e.Address, dial.Options{})
		if err != nil {
			return err
		}
		defer tc.Close()
		list, err := tc.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{})
		if err != nil {
			return err
		}
		slices.SortFunc(list.Executions, func(a, b *workflowpb.WorkflowExecutionInfo) int {
			return a.StartTime.AsTime().Compare(b.StartTime.AsTime())
		})
		ofType := map[string]int{}
		for _, w := range list.Executions {
			h, err := history(ctx, tc, w)
			if err != nil {
				return err
			}
			ofType[w.Type.Name]++
			if err := writeHistory(fmt.Sprintf("%s-%s-%d.json.gz", prefix, w.Type.Name, ofType[w.Type.Name]), h); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

func history(ctx context.Context, tc client.Client, w *workflowpb.WorkflowExecutionInfo) (*historypb.History, error) {
	h := &historypb.History{}
	events := tc.GetWorkflowHistory(ctx, w.Execution.WorkflowId, w.Execution.RunId, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return nil, err
		}
		h.Events = append(h.Events, e)
	}
	return h, nil
}

// writeHistory writes JSON that client.HistoryFromJSON reads. The machine's
// name, which is in the memo and in names of queues, becomes "mac".
func writeHistory(name string, h *historypb.History) (err error) {
	b, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(h)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	payload := func(name string) string { return base64.StdEncoding.EncodeToString([]byte(strconv.Quote(name))) }
	neutral := strings.NewReplacer(payload(host), payload("mac"), `"`+host+`:`, `"mac:`)
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := neutral.WriteString(z, string(b)); err != nil {
		return err
	}
	return z.Close()
}
