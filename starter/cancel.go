package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"

	"lightfast/internal/exit"
	"lightfast/internal/state"
)

func newCancelCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel [RUN]",
		Short: "End a run in an orderly way; what is done is kept",
		Long: `Cancel ends a run: what is being stored ends, nothing more begins. The command
that started it ends with 8, and the same command goes on later. RUN is a
library's name or a workflow id as "lightfast status" shows it; it may be left
out where one run is open.`,
		Example: "  lightfast cancel\n  lightfast cancel \"Photos Library.photoslibrary\"",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.cancel(cmd.Context(), strings.Join(args, ""))
		},
	}
}

func (a *app) cancel(ctx context.Context, name string) error {
	d, err := a.openState()
	if err != nil {
		return err
	}
	var r runStatus
	if err := a.ask(ctx, d, func(c *connection) (err error) {
		if r, err = openRun(ctx, c, name); err != nil {
			return err
		}
		return a.cancelRun(ctx, c, d, r.Workflow)
	}); err != nil {
		return err
	}
	if a.json {
		a.emit(event{"event": "result", "workflow": r.Workflow, "library": r.Library})
	} else {
		fmt.Fprintf(a.stdout, "%s: canceled; its own command goes on where it stopped\n", printable(r.Library))
	}
	return nil
}

// openRun finds the open run that a person means.
func openRun(ctx context.Context, c *connection, name string) (runStatus, error) {
	runs, err := newestRuns(ctx, c.client)
	if err != nil {
		return runStatus{}, err
	}
	var open []runStatus
	for _, r := range runs {
		if r.State.open() && (name == "" || name == r.Library || name == r.Workflow) {
			open = append(open, r)
		}
	}
	switch {
	case len(open) == 1:
		return open[0], nil
	case len(open) == 0 && name == "":
		return runStatus{}, &exit.Error{Code: exit.Failed, What: "no run is open", Do: "`lightfast status` lists the last ones"}
	case len(open) == 0:
		return runStatus{}, &exit.Error{Code: exit.Failed, What: "no open run is called " + name, Do: "`lightfast status` lists them"}
	}
	return runStatus{}, usage(fmt.Errorf("%d runs are open", len(open)), "name one as `lightfast status` shows it")
}

// cancelRun cancels a run and waits for its end. One that no living process
// has in hand is terminated: what is done is in the catalog.
func (a *app) cancelRun(ctx context.Context, c *connection, d *state.Dir, workflow string) error {
	if !c.cluster { // there, no lock of ours says who works it off
		lock, free, err := d.TryLock(workflow)
		if err != nil {
			return err
		}
		if free {
			defer lock.Unlock()
			return gone(c.client.TerminateWorkflow(ctx, workflow, "", "canceled while no process worked it off"))
		}
	}
	if err := c.client.CancelWorkflow(ctx, workflow, ""); err != nil {
		return gone(err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := describe(ctx, c.client, workflow, "")
		if err == nil && !r.State.open() {
			return nil
		}
		if err != nil && c.served(ctx, d) {
			return err
		}
		if err != nil {
			return nil // the run's process had the server, and both have ended
		}
		select {
		case <-ctx.Done():
			return &exit.Error{Code: exit.InUse, What: "the run has not ended yet", Do: "it will when its process answers; `lightfast status` tells"}
		case <-tick.C:
		}
	}
}

// gone: a run that has just ended needs no cancel.
func gone(err error) error {
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return nil
	}
	return err
}
