package main

import (
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"lightfast/activities"
)

func newStatusCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show the runs of this host and how they get on",
		Example: "  lightfast status\n  lightfast status --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context()) },
	}
}

// runState of a workflow, as `status` promises it.
type runState string

const (
	running    runState = "running"
	waiting    runState = "waiting"     // for a worker
	paused     runState = "paused"      // by a person
	workerLost runState = "worker_lost" // nobody has been heard of
	doneRun    runState = "done"
	failedRun  runState = "failed"
	canceled   runState = "canceled"
)

// runStatus is one run as Temporal shows it.
type runStatus struct {
	Workflow string            `json:"workflow"`
	Library  string            `json:"library"`
	State    runState          `json:"state"`
	Progress activities.Report `json:"progress"`
	Started  time.Time         `json:"started"`
	Heard    time.Time         `json:"heard,omitzero"` // of Pulse

	run   string            // of the workflow
	begun activities.Limits // that it began with
}

// lostAfter is the age at which a heartbeat no longer means life: Pulse sends
// one a second.
const lostAfter = 5 * time.Second

func (a *app) status(ctx context.Context) error {
	d, err := a.openState()
	if err != nil {
		return err
	}
	var runs []runStatus
	if err := a.ask(ctx, d, func(c *connection) (err error) {
		runs, err = newestRuns(ctx, c.client)
		return err
	}); err != nil {
		return err
	}
	if a.json {
		for _, r := range runs {
			a.emitAs("run", r)
		}
		a.emit(event{"event": "result", "runs": len(runs)})
		return nil
	}
	if len(runs) == 0 {
		fmt.Fprintln(a.stdout, "no runs yet")
	}
	tab := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	for _, r := range runs {
		fmt.Fprintf(tab, "%s\t%s\t%s\tstarted %s\n", printable(r.Library), r.State, r.describe(), r.Started.Local().Format(time.DateTime))
	}
	return tab.Flush()
}

func (r runStatus) describe() string {
	p := r.Progress
	text := fmt.Sprintf("%s, %s of %s assets, %s of %s", p.Phase, humanize.Comma(p.Assets.Done), humanize.Comma(p.Assets.Total),
		humanize.IBytes(uint64(max(p.Bytes.Done, 0))), humanize.IBytes(uint64(max(p.Bytes.Total, 0))))
	if limits := limitText(p.Limits); limits != "" {
		text += ", " + limits
	}
	for _, w := range p.Waiting {
		if w.What != activities.Paused { // that is its state
			text += ", waiting for " + w.What
		}
	}
	switch {
	case r.State == workerLost:
		return text + ", last heard of " + humanize.Time(r.Heard)
	case r.State == running && p.RateBPS > 0:
		return text + ", " + humanize.IBytes(uint64(p.RateBPS)) + "/s"
	case r.State.open():
		return text
	}
	return ""
}

// newestRuns returns the newest run of each workflow, newest first.
func newestRuns(ctx context.Context, c client.Client) (runs []runStatus, err error) {
	seen := map[string]bool{}
	var page []byte
	for {
		list, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: "WorkflowType IN ('BackupLibrary', 'RestoreSnapshot', 'VerifyRepository')", PageSize: 100, NextPageToken: page})
		if err != nil {
			return nil, err
		}
		for _, e := range list.Executions {
			id := e.Execution.WorkflowId
			if seen[id] {
				continue
			}
			seen[id] = true
			r, err := describe(ctx, c, id, e.Execution.RunId)
			if err != nil {
				return nil, err
			}
			runs = append(runs, r)
		}
		if page = list.NextPageToken; len(page) == 0 {
			return runs, nil
		}
	}
}

// describe asks Temporal for one run; its progress is the last heartbeat of
// Pulse. Pollers would tell nothing about life: their age is that of a long
// poll.
func describe(ctx context.Context, c client.Client, id, run string) (runStatus, error) {
	d, err := c.DescribeWorkflowExecution(ctx, id, run)
	if err != nil {
		return runStatus{}, err
	}
	info := d.WorkflowExecutionInfo
	r := runStatus{Workflow: id, State: waiting, Started: info.StartTime.AsTime(), run: info.Execution.RunId}
	r.Progress.Phase, r.Progress.InFlight, r.Progress.Waiting = activities.Starting, []string{}, []activities.Waiting{}
	dc := converter.GetDefaultDataConverter()
	for name, to := range map[string]any{"library": &r.Library, "limits": &r.begun} {
		if p := info.GetMemo().GetFields()[name]; p != nil {
			if err := dc.FromPayload(p, to); err != nil {
				return r, err
			}
		}
	}
	for _, p := range d.PendingActivities {
		if p.ActivityType.GetName() != "Pulse" {
			continue
		}
		if h := p.HeartbeatDetails; h != nil {
			if err := dc.FromPayloads(h, &r.Progress); err != nil {
				return r, err
			}
		}
		r.State, r.Heard = pulseState(p, time.Now())
		if r.State == running && slices.ContainsFunc(r.Progress.Waiting, func(w activities.Waiting) bool { return w.What == activities.Paused }) {
			r.State = paused
		}
	}
	switch info.Status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		r.State = doneRun
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		r.State = canceled
	default:
		r.State = failedRun
	}
	return r, nil
}

func pulseState(p *workflowpb.PendingActivityInfo, now time.Time) (runState, time.Time) {
	var heard time.Time
	if p.LastHeartbeatTime != nil {
		heard = p.LastHeartbeatTime.AsTime()
	}
	switch {
	case p.State == enumspb.PENDING_ACTIVITY_STATE_STARTED && now.Sub(heard) < lostAfter:
		return running, heard
	case p.State == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED && p.Attempt <= 1:
		return waiting, heard
	}
	return workerLost, heard
}
