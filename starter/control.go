package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"lightfast/catalog"
	"lightfast/internal/exit"
	"lightfast/internal/state"
	"lightfast/internal/wire"
)

// control changes an open run: by an update of its workflow, which returns
// when the process that works it off obeys, or where none is alive by writing
// down what the next one will find.
type control struct {
	update string
	arg    any
	write  func(*catalog.Catalog, runStatus) error
}

// controlNamed controls the open run that a person means, and reports whether
// a process works it off.
func (a *app) controlNamed(ctx context.Context, d *state.Dir, name string, ctl control) (r runStatus, served bool, err error) {
	err = a.ask(ctx, d, func(c *connection) (err error) {
		if r, err = openRun(ctx, c, name); err == nil {
			served, err = a.control(ctx, c, d, r, ctl)
		}
		return err
	})
	return r, served, err
}

func (a *app) control(ctx context.Context, c *connection, d *state.Dir, r runStatus, ctl control) (served bool, err error) {
	if !c.cluster {
		lock, free, err := d.TryLock(r.Workflow)
		if err != nil {
			return false, err
		}
		if free {
			return false, errors.Join(writeControl(ctx, d, r, ctl), lock.Unlock())
		}
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	h, err := c.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: r.Workflow, UpdateName: ctl.update, Args: []any{ctl.arg}, WaitForStage: client.WorkflowUpdateStageCompleted})
	if err == nil {
		err = h.Get(ctx, nil)
	}
	if err != nil && ctx.Err() != nil {
		err = &exit.Error{Code: exit.InUse, What: "the run's process", Err: fmt.Errorf("no answer in %s", answerTime.Round(time.Second)), Do: "`lightfast status` tells whether it lives"}
	}
	return true, err
}

func writeControl(ctx context.Context, d *state.Dir, r runStatus, ctl control) error {
	cat, err := wire.OpenCatalog(ctx, d)
	if err != nil {
		return err
	}
	return errors.Join(ctl.write(cat, r), cat.Close())
}

// unserved says that a change waits for the next process.
func unserved(served bool) string {
	if served {
		return ""
	}
	return " (no process works it off at the moment)"
}
