package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"lightfast/activities"
	"lightfast/internal/exit"
	"lightfast/internal/wire"
	"lightfast/workflows"
)

type restoreOptions struct {
	from, library, snapshot, to, layout string
	giveUp                              time.Duration
}

func newRestoreCmd(a *app) *cobra.Command {
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore --from DEST --to DIR",
		Short: "Write the files of a snapshot into a folder",
		Long: `Restore writes every file of a snapshot at its place in the library. A file
gets its name when its bytes have been checked; a file that is there already is
never overwritten. Killed at any moment, the same command goes on.

` + exitCodes(),
		Example: `  lightfast restore --from /Volumes/Backup/photos --to ~/restored
  lightfast restore --from s3://photos --snapshot 20261123T012300Z --to ~/restored`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.restore(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "`DEST` of the repository: s3://BUCKET/PREFIX?endpoint=URL, or a folder")
	f.StringVar(&o.library, "library", "", "`ID` or name of the library, where there are several")
	f.StringVar(&o.snapshot, "snapshot", "latest", "`ID` of the snapshot, or the beginning of one")
	f.StringVar(&o.to, "to", "", "`DIR` to write into")
	f.StringVar(&o.layout, "layout", "library", "`LAYOUT`: library (every file at its path in the library)")
	f.DurationVar(&o.giveUp, "give-up", 24*time.Hour, "`TIME` to wait for a repository that went away")
	return cmd
}

func (a *app) restore(ctx context.Context, o restoreOptions) error {
	in, err := o.input()
	if err != nil {
		return err
	}
	d, err := a.openState()
	if err != nil {
		return err
	}
	j := job{
		id:       d.WorkflowID("restore", in.Dest, in.Library, in.Snapshot, in.Target),
		workflow: workflows.RestoreSnapshot,
		input:    in,
		memo:     map[string]any{"library": in.Library, "source": in.Dest, "destination": in.Target, "host": d.Host.Name},
	}
	s := a.newScreen("restored")
	defer s.close()
	var res activities.RestoreResult
	if _, err := a.drive(ctx, d, j, s, &res); err != nil {
		return err
	}
	s.close()
	return a.showRestore(res)
}

func (o restoreOptions) input() (in activities.RestoreInput, err error) {
	if o.from == "" || o.to == "" {
		return in, usage(fmt.Errorf("restore needs --from and --to"), "")
	}
	if o.layout != "library" {
		return in, usage(fmt.Errorf("--layout %q", o.layout), "the only layout so far is library")
	}
	dest, err := wire.ParseDest(o.from)
	if err != nil {
		return in, err
	}
	target, err := filepath.Abs(o.to)
	if err != nil {
		return in, usage(err, "")
	}
	if dest.Folder != "" && (inside(target, dest.Folder) || inside(dest.Folder, target)) {
		return in, usage(fmt.Errorf("%s and %s lie in one another", target, dest.Folder), "restore into another folder")
	}
	return activities.RestoreInput{Dest: dest.String(), Library: o.library, Snapshot: o.snapshot, Target: target, GiveUp: o.giveUp}, nil
}

func (a *app) showRestore(res activities.RestoreResult) error {
	if a.json {
		a.emitAs("result", res)
	} else {
		a.printRestore(res)
	}
	switch {
	case res.Damaged:
		return &exit.Error{Code: exit.Damaged, What: "some content is damaged", Err: errReported}
	case res.Count > 0:
		return &exit.Error{Code: exit.Incomplete, What: "some files could not be written"}
	}
	return nil
}

func (a *app) printRestore(res activities.RestoreResult) {
	for _, p := range res.Problems {
		fmt.Fprintf(a.stdout, "not restored: %s, %s: %s\n", printable(p.Asset), printable(p.Resource), p.Problem)
	}
	if more := res.Count - int64(len(res.Problems)); more > 0 {
		fmt.Fprintf(a.stdout, "and %s more\n", humanize.Comma(more))
	}
	fmt.Fprintf(a.stdout, "restored %s files (%s) of snapshot %s, %s were there already, %s are not in the snapshot\n", humanize.Comma(res.Files),
		humanize.IBytes(uint64(res.Bytes)), res.Snapshot, humanize.Comma(res.Equal), humanize.Comma(res.Absent))
}
