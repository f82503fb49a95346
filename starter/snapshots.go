package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"lightfast/activities"
	"lightfast/internal/exit"
	"lightfast/objectstore"
)

type snapshotsOptions struct{ from, library string }

func newSnapshotsCmd(a *app) *cobra.Command {
	var o snapshotsOptions
	cmd := &cobra.Command{
		Use:     "snapshots --from DEST",
		Short:   "List the snapshots of a repository",
		Example: "  lightfast snapshots --from /Volumes/Backup/photos",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.snapshots(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "`DEST` of the repository: s3://BUCKET/PREFIX?endpoint=URL, or a folder")
	f.StringVar(&o.library, "library", "", "`ID` of one library (default: all)")
	return cmd
}

func (a *app) snapshots(ctx context.Context, o snapshotsOptions) error {
	store, dest, err := a.openRepository(ctx, o.from)
	if err != nil {
		return err
	}
	if _, err := activities.ReadConfig(ctx, store); errors.Is(err, objectstore.NotFound) {
		return &exit.Error{Code: exit.NoRepo, What: "no repository at " + dest, Do: "check the address"}
	} else if err != nil {
		return activities.RepositoryEnd(dest, err)
	}
	tab := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	n, damaged := 0, 0
	for h, err := range activities.Snapshots(ctx, store, o.library) {
		if objectstore.ClassOf(err) != "" || ctx.Err() != nil {
			return activities.RepositoryEnd(dest, err)
		}
		if err != nil { // the others can still be read
			damaged++
			a.warn("damaged", err.Error())
			continue
		}
		n++
		if a.json {
			a.emit(event{"event": "snapshot", "id": h.ID, "library": h.Library.ID, "name": h.Library.Name, "time": h.Time.Format(time.RFC3339),
				"assets": h.Totals.Assets, "bytes": h.Totals.Bytes, "incomplete": h.Totals.Incomplete})
			continue
		}
		state := "complete"
		if h.Totals.Incomplete > 0 {
			state = fmt.Sprintf("%s assets with holes", humanize.Comma(h.Totals.Incomplete))
		}
		fmt.Fprintf(tab, "%s\t%s\t%s assets\t%s\t%s\n", h.ID, printable(h.Library.Name), humanize.Comma(h.Totals.Assets), humanize.IBytes(uint64(h.Totals.Bytes)), state)
	}
	if a.json {
		a.emit(event{"event": "result", "snapshots": n, "damaged": damaged})
	} else if err := tab.Flush(); err != nil {
		return err
	}
	if damaged > 0 {
		return &exit.Error{Code: exit.Damaged, What: "some snapshots cannot be read", Err: errReported}
	}
	return nil
}

// warn tells of something that does not stop the command.
func (a *app) warn(class, message string) {
	if a.json {
		a.emit(event{"event": "warning", "class": class, "asset": "", "resource": "", "message": message, "action": ""})
		return
	}
	fmt.Fprintln(a.stderr, "warning: "+printable(message))
}
