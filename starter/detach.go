package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"lightfast/internal/exit"
	"lightfast/internal/state"
)

// detach starts a job and returns when it is durable. In a cluster its worker
// does the rest; else a process in a session of its own, which lives as long
// as a run is open.
func (a *app) detach(ctx context.Context, d *state.Dir, j job) error {
	if j.host == "" {
		j.host = a.hostID(d)
	}
	if err := a.ask(ctx, d, func(c *connection) error {
		if _, err := c.start(ctx, j); err != nil {
			return err
		}
		a.relimit(ctx, c, d, j)
		return listed(ctx, c, j.id)
	}); err != nil {
		return err
	}
	if a.address == "" {
		if err := a.leaveBehind(d); err != nil {
			return err
		}
	}
	if a.json {
		a.emit(event{"event": "result", "workflow": j.id, "detached": true})
	} else {
		fmt.Fprintln(a.stdout, "it goes on in the background; `lightfast status` shows how, `lightfast cancel` ends it")
	}
	return nil
}

// listed waits until the list of runs shows one: Temporal writes that list a
// moment later, and who comes next goes by it.
func listed(ctx context.Context, c *connection, id string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for {
		runs, err := newestRuns(ctx, c.client)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(runs, func(r runStatus) bool { return r.Workflow == id }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return &exit.Error{Code: exit.InUse, What: "Temporal", Err: errors.New("it does not list the run that it has begun"), Do: "see --log-level debug"}
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// leaveBehind starts `lightfast up --until-idle` with the flags of this
// command. It takes the server over when this process has ended.
func (a *app) leaveBehind(d *state.Dir) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out, _, err := openBackgroundLog(d)
	if err != nil {
		return err
	}
	defer out.Close()
	args := []string{"up", "--until-idle", "--state", d.Path, "--memory", a.memory, "--ui-port", fmt.Sprint(a.uiPort), "--log-level", a.logLevel, "--log-format", a.logFormat,
		"--spool", a.spool, "--keep-free", a.keepFree, "--icloud-readers", fmt.Sprint(a.readers), "--part-size", a.partSize}
	if a.caFile != "" {
		args = append(args, "--ca-file", a.caFile)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = a.env
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return &exit.Error{Code: exit.Failed, What: "start a process in the background", Err: err}
	}
	return cmd.Process.Release()
}

// openBackgroundLog opens what processes say that nobody looks at.
func openBackgroundLog(d *state.Dir) (f *os.File, path string, err error) {
	path = filepath.Join(d.Path, "background.log")
	f, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return f, path, err
}
