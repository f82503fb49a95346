package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"lightfast/activities"
	"lightfast/internal/exit"
	"lightfast/workflows"
)

type verifyOptions struct {
	from, library, snapshot string
	checksums               bool
	giveUp                  time.Duration
	limits                  activities.Limits
}

func newVerifyCmd(a *app) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify --from DEST",
		Short: "Compare what snapshots need with what the repository holds",
		Long: `Verify reads every head and page, lists the repository once, and compares: each
blob that a snapshot names is there with its size and, with --checksums, with
the checksum that the store keeps of it. It reads no blob. What is damaged or
missing is named, and noted in a receipt. Objects that are none of
Lightfast's are counted and never touched.

` + exitCodes(),
		Example: `  lightfast verify --from /Volumes/Backup/photos
  lightfast verify --from s3://photos --snapshot latest --checksums`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.verify(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "`DEST` of the repository: s3://BUCKET/PREFIX?endpoint=URL, or a folder")
	f.StringVar(&o.library, "library", "", "`ID` or name of one library (default: all)")
	f.StringVar(&o.snapshot, "snapshot", "all", "`ID` of a snapshot, latest, or all")
	f.BoolVar(&o.checksums, "checksums", false, "ask the store for the checksum of each blob, too")
	f.DurationVar(&o.giveUp, "give-up", 24*time.Hour, "`TIME` to wait for a repository that went away")
	downloadFlag(f, &o.limits)
	return cmd
}

func (a *app) verify(ctx context.Context, o verifyOptions) error {
	if err := o.limits.Check(); err != nil {
		return err
	}
	_, dest, err := a.openRepository(ctx, o.from)
	if err != nil {
		return err
	}
	d, err := a.openState()
	if err != nil {
		return err
	}
	in := activities.VerifyInput{Dest: dest, Library: o.library, Snapshot: o.snapshot, Checksums: o.checksums, GiveUp: o.giveUp, Limits: o.limits}
	j := job{
		id:       d.WorkflowID("verify", in.Dest, in.Library, in.Snapshot, fmt.Sprint(in.Checksums)),
		workflow: workflows.VerifyRepository,
		input:    in,
		limits:   in.Limits,
		memo:     map[string]any{"library": in.Library, "source": in.Dest, "host": d.Host.Name},
	}
	s := a.newScreen("verified")
	defer s.close()
	var res activities.VerifyResult
	if _, err := a.drive(ctx, d, j, s, &res); err != nil {
		return err
	}
	s.close()
	return a.showVerify(res)
}

func (a *app) showVerify(res activities.VerifyResult) error {
	if a.json {
		a.emitAs("result", res)
	} else {
		a.printVerify(res)
	}
	if res.Count > 0 {
		return &exit.Error{Code: exit.Damaged, What: "the repository is damaged", Err: errReported}
	}
	return nil
}

func (a *app) printVerify(res activities.VerifyResult) {
	a.printProblems("damaged", res.Problems, 0)
	fmt.Fprintf(a.stdout, "%s snapshots with %s assets need %s blobs (%s)", humanize.Comma(res.Snapshots), humanize.Comma(res.Assets),
		humanize.Comma(res.Blobs), humanize.IBytes(uint64(res.Bytes)))
	if res.Count == 0 {
		fmt.Fprint(a.stdout, ": all are there with their sizes")
	} else {
		fmt.Fprintf(a.stdout, ": %s objects are damaged or missing, named in %s", humanize.Comma(res.Count), res.Receipt)
	}
	if res.Checksums > 0 {
		fmt.Fprintf(a.stdout, ", %s with the right checksum", humanize.Comma(res.Checksums))
	}
	fmt.Fprintln(a.stdout)
	if res.Foreign > 0 {
		fmt.Fprintf(a.stdout, "%s files there are none of ours\n", humanize.Comma(res.Foreign))
	}
}
