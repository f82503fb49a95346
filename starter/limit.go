package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lightfast/activities"
	"lightfast/catalog"
	"lightfast/internal/state"
	"lightfast/workflows"
)

func newLimitCmd(a *app) *cobra.Command {
	var l activities.Limits
	cmd := &cobra.Command{
		Use:   "limit [--upload RATE] [--download RATE] [RUN]",
		Short: "Change how fast a run may send and read",
		Long: `Limit changes the rates of an open run, in the midst of what it is sending. They
hold until it ends, also after a restart. RUN is a library's name or a workflow
id as "lightfast status" shows it; it may be left out where one run is open.

` + rateHelp,
		Example: `  lightfast limit --upload 2M
  lightfast limit --upload "08:00,512k 19:00,10M 23:00,off" "Photos Library.photoslibrary"
  lightfast limit --upload off --download off`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.limit(cmd.Context(), strings.Join(args, ""), l)
		},
	}
	cmd.Flags().StringVar(&l.Upload, "upload", "", "`RATE` at which to send (default: as it is)")
	cmd.Flags().StringVar(&l.Download, "download", "", "`RATE` at which to read (default: as it is)")
	return cmd
}

const rateHelp = `RATE is bytes a second in units of 1024, such as 512k or 10M, at least 16k; off;
or a timetable of the day, each rate from its time on until the next one:
"08:00,512k 19:00,10M 23:00,off".`

func uploadFlag(f *pflag.FlagSet, l *activities.Limits) {
	f.StringVar(&l.Upload, "limit-upload", "", "`RATE` at which to send, or a timetable; see \"lightfast limit --help\" (default: no limit)")
}

func downloadFlag(f *pflag.FlagSet, l *activities.Limits) {
	f.StringVar(&l.Download, "limit-download", "", "`RATE` at which to read, or a timetable; see \"lightfast limit --help\" (default: no limit)")
}

func (a *app) limit(ctx context.Context, name string, l activities.Limits) error {
	if l == (activities.Limits{}) {
		return usage(errors.New("limit needs --upload or --download"), "")
	}
	if err := l.Check(); err != nil {
		return err
	}
	d, err := a.openState()
	if err != nil {
		return err
	}
	r, served, err := a.controlNamed(ctx, d, name, setLimits(ctx, l))
	if err != nil {
		return err
	}
	if a.json {
		a.emit(event{"event": "result", "workflow": r.Workflow, "library": r.Library, "limits": l, "served": served})
		return nil
	}
	fmt.Fprintf(a.stdout, "%s: %s%s\n", printable(r.Library), limitText(l), unserved(served))
	return nil
}

func setLimits(ctx context.Context, l activities.Limits) control {
	return control{workflows.UpdateLimits, l, func(cat *catalog.Catalog, r runStatus) error {
		return activities.ChangeLimits(ctx, cat, r.Workflow, r.run, l)
	}}
}

// relimit gives a run that was there before this command the limits that the
// command names, unless it began with the same: then somebody may have changed
// them since, and that holds.
func (a *app) relimit(ctx context.Context, c *connection, d *state.Dir, j job) {
	if j.limits == (activities.Limits{}) {
		return
	}
	r, err := describe(ctx, c.client, j.id, "")
	if err == nil && r.begun != j.limits && r.State.open() {
		_, err = a.control(ctx, c, d, r, setLimits(ctx, j.limits))
	}
	if err != nil && ctx.Err() == nil {
		a.warn("limits", fmt.Sprintf("the run goes on at the limits that it has: %v", err))
	}
}

// limitText names the directions of which l says something.
func limitText(l activities.Limits) string {
	var parts []string
	if l.Upload != "" {
		parts = append(parts, "upload limit "+l.Upload)
	}
	if l.Download != "" {
		parts = append(parts, "download limit "+l.Download)
	}
	return strings.Join(parts, ", ")
}
