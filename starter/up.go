package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"lightfast/internal/exit"
	"lightfast/internal/state"
	"lightfast/internal/supervise"
)

type upOptions struct{ untilIdle, supervise bool }

func newUpCmd(a *app) *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Keep Temporal and its UI running, and work off every open run",
		Long: `Up keeps the Temporal server and its UI running until Ctrl-C, and works off
every run of this state directory that no other process has in hand.

With --supervise this process only keeps another one running that does so (with
--address: lightfast-worker, which serves the cluster). A LaunchAgent starts
that, see docs/macos.md: the permissions of this process are those of its
children.`,
		Example: "  lightfast up\n  lightfast up --ui-port 8233\n  lightfast up --supervise",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.up(cmd.Context(), o) },
	}
	cmd.Flags().BoolVar(&o.untilIdle, "until-idle", false, "end when no run is open")
	cmd.Flags().BoolVar(&o.supervise, "supervise", false, "do the work in another process, and start that anew when it dies")
	return cmd
}

func (a *app) up(ctx context.Context, o upOptions) error {
	switch {
	case o.supervise && o.untilIdle:
		return usage(errors.New("--supervise does not end when nothing is to do"), "leave out --until-idle")
	case o.supervise:
		return a.supervise(ctx)
	case a.address != "":
		return usage(errors.New("up is for Temporal in this process"), "with a cluster, run lightfast-worker, or add --supervise")
	}
	ctx = supervise.Supervised(ctx)
	d, err := a.openState()
	if err != nil {
		return err
	}
	for {
		err := a.keepUp(ctx, d, o)
		switch {
		case ctx.Err() != nil:
			return &exit.Error{Code: exit.Interrupted, What: "interrupted", Do: "open runs go on with `lightfast up` or their own command"}
		case !errors.Is(err, errServerGone):
			return err
		}
	}
}

// keepUp serves until it is interrupted, idle, or without a server.
func (a *app) keepUp(ctx context.Context, d *state.Dir, o upOptions) (err error) {
	c, err := a.connect(ctx, d)
	if err != nil {
		return err
	}
	defer c.client.Close()
	a.announce(c)
	shifts := map[string]*shift{}
	defer func() {
		for _, s := range shifts {
			err = errors.Join(err, s.end())
		}
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		open, err := a.tend(ctx, c, d, shifts)
		if err != nil {
			return a.orGone(ctx, c, d, err)
		}
		if o.untilIdle && open == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if !c.served(ctx, d) {
			return errServerGone
		}
	}
}

func (a *app) announce(c *connection) {
	if a.json {
		a.emit(event{"event": "up", "address": c.address, "ui": c.ui})
		return
	}
	fmt.Fprintf(a.stdout, "Temporal at %s, its pages at %s/namespaces/lightfast/workflows (no login: this machine only)\n", c.address, c.ui)
}

// tend begins a shift for every open run that nobody has in hand, ends those
// whose run is closed, and returns how many runs are open.
func (a *app) tend(ctx context.Context, c *connection, d *state.Dir, shifts map[string]*shift) (int, error) {
	runs, err := newestRuns(ctx, c.client)
	if err != nil {
		return 0, err
	}
	open := 0
	for _, r := range runs {
		s := shifts[r.Workflow]
		switch {
		case !r.State.open() && s != nil:
			delete(shifts, r.Workflow)
			if err := s.end(); err != nil {
				return open, err
			}
			fmt.Fprintf(a.stderr, "%s: %s\n", printable(r.Library), r.State)
		case !r.State.open():
		case s == nil:
			open++
			if s, err = a.take(ctx, c, d, job{id: r.Workflow}); err != nil {
				return open, err
			}
			if s != nil {
				shifts[r.Workflow] = s
			}
		default:
			open++
		}
	}
	return open, nil
}

// open reports whether a run in this state has still something to do.
func (s runState) open() bool { return s == running || s == waiting || s == paused || s == workerLost }
