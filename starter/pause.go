package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lightfast/catalog"
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
	r, served, err := a.controlNamed(ctx, d, name, control{workflows.UpdatePause, on, func(cat *catalog.Catalog, r runStatus) error {
		return cat.SetPaused(ctx, r.Workflow, on)
	}})
	if err != nil {
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
	fmt.Fprintf(a.stdout, "%s: %s%s\n", printable(r.Library), what, unserved(served))
	return nil
}
