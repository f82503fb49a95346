package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"lightfast/catalog"
	"lightfast/internal/exit"
	"lightfast/internal/state"
	"lightfast/workflows"
)

func newPauseCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "pause [RUN]",
		Short: "Hold a run: nothing new begins until it is resumed",
		Long: `Pause holds a run, also after a restart: no further asset begins, and no
further part of a film leaves. RUN is a library's name or a workflow id as
"lightfast status" shows it; it may be left out where one run is open.`,
		Example: "  lightfast pause\n  lightfast pause \"Photos Library.photoslibrary\"",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.pause(cmd.Context(), strings.Join(args, ""), true)
		},
	}
}

func newResumeCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "resume [RUN]",
		Short:   "Let a run go on that was paused",
		Example: "  lightfast resume",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.pause(cmd.Context(), strings.Join(args, ""), false)
		},
	}
}

func (a *app) pause(ctx context.Context, name string, on bool) error {
	d, err := a.openState()
	if err != nil {
		return err
	}
	var r runStatus
	served := true
	if err := a.ask(ctx, d, func(c *connection) (err error) {
		if r, err = openRun(ctx, c, name); err != nil {
			return err
		}
		served, err = a.setPaused(ctx, c, d, r.Workflow, on)
		return err
	}); err != nil {
		return err
	}
	if a.json {
		a.emit(event{"event": "result", "workflow": r.Workflow, "library": r.Library, "paused": on, "served": served})
		return nil
	}
	what := "goes on"
	if on {
		what = "paused; `lightfast resume` lets it go on"
	}
	if !served {
		what += " (no process works it off at the moment)"
	}
	fmt.Fprintf(a.stdout, "%s: %s\n", printable(r.Library), what)
	return nil
}

// setPaused asks the run's process, or writes down what the next one will
// find where none is alive; it reports which.
func (a *app) setPaused(ctx context.Context, c *connection, d *state.Dir, workflow string, on bool) (served bool, err error) {
	if !c.cluster {
		lock, free, err := d.TryLock(workflow)
		if err != nil {
			return false, err
		}
		if free {
			return false, errors.Join(a.writePaused(ctx, d, workflow, on), lock.Unlock())
		}
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	h, err := c.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: workflow, UpdateName: workflows.UpdatePause, Args: []any{on}, WaitForStage: client.WorkflowUpdateStageCompleted})
	if err == nil {
		err = h.Get(ctx, nil)
	}
	if err != nil && ctx.Err() != nil {
		err = &exit.Error{Code: exit.InUse, What: "the run's process", Err: fmt.Errorf("no answer in %s", answerTime.Round(time.Second)), Do: "`lightfast status` tells whether it lives"}
	}
	return true, err
}

func (a *app) writePaused(ctx context.Context, d *state.Dir, workflow string, on bool) error {
	c, err := catalog.Open(ctx, d.Catalog())
	if err != nil {
		return err
	}
	return errors.Join(c.SetPaused(ctx, workflow, on), c.Close())
}
