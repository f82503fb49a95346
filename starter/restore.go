package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"lightfast/activities"
	"lightfast/internal/exit"
	"lightfast/internal/state"
	"lightfast/internal/wire"
	"lightfast/photos"
	"lightfast/workflows"
)

type restoreOptions struct {
	from, library, snapshot, to, layout string
	selection                           activities.Selection
	overwrite, dryRun, sidecars         bool
	giveUp                              time.Duration
	limits                              activities.Limits
}

func newRestoreCmd(a *app) *cobra.Command {
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore --from DEST --to DIR",
		Short: "Write the files of a snapshot into a folder",
		Long: `Restore writes files of a snapshot, all of them or those that are asked for. A
file gets its name when its bytes have been checked; a file that is there
already and differs is never overwritten without --overwrite, and no link is
ever followed. Killed at any moment, the same command goes on.

Layouts:
  library  every file at its path in the library; a file that a library only
           refers to at referenced/VOLUME/PATH
  dates    2024/2024-05-17/NAME, by the date at the place of capture; else
           undated/NAME
  albums   Folder/Album/NAME, in each album that has it; else Unsorted/NAME
  flat     NAME
In the last three, names are those that any file system takes, and a second
IMG_0001.JPG becomes "IMG_0001 (2).JPG".

With --sidecars, IMG_0001.HEIC.xmp beside each original and edited picture or
film says in XMP what the library knew: title, description, keywords, albums,
people and their faces, place, dates, camera, and five stars for a favorite.
A file of the snapshot that has such a name keeps it, and the sidecar becomes
"IMG_0001.HEIC (2).xmp".

` + exitCodes(),
		Example: `  lightfast restore --from /Volumes/Backup/photos --to ~/restored
  lightfast restore --from s3://photos --snapshot 20261123T012300Z --to ~/restored
  lightfast restore --from s3://photos --to ~/trip --layout flat --album "2026/Iceland" --role original --dry-run
  lightfast restore --from s3://photos --to ~/restored --layout dates --sidecars`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.restore(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "`DEST` of the repository: s3://BUCKET/PREFIX?endpoint=URL, or a folder")
	f.StringVar(&o.library, "library", "", "`ID` or name of the library, where there are several")
	f.StringVar(&o.snapshot, "snapshot", "latest", "`ID` of the snapshot, or the beginning of one")
	f.StringVar(&o.to, "to", "", "`DIR` to write into")
	f.StringVar(&o.layout, "layout", "library", "`LAYOUT`: library, dates, albums or flat")
	f.StringArrayVar(&o.selection.Assets, "asset", nil, "only the asset of this `ID`, UUID or original file name (repeatable)")
	f.StringArrayVar(&o.selection.Albums, "album", nil, "only what is in `ALBUM`, \"Folder/Album\" or the title alone (repeatable)")
	f.StringVar(&o.selection.Since, "since", "", "only what was taken, or where that is unknown added, on or after `DATE` (YYYY-MM-DD)")
	f.StringArrayVar(&o.selection.Roles, "role", nil, "only files of this `ROLE`: original, raw, live, edited, … (repeatable)")
	f.BoolVar(&o.overwrite, "overwrite", false, "replace files and links that differ (folders never)")
	f.BoolVar(&o.sidecars, "sidecars", false, "write what the library says of each picture beside it: IMG_0001.HEIC.xmp")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would be written, and write nothing")
	f.DurationVar(&o.giveUp, "give-up", 24*time.Hour, "`TIME` to wait for a repository that went away")
	downloadFlag(f, &o.limits)
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
	id, err := restoreID(d, in)
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.dryRestore(ctx, d, id, in)
	}
	j := job{
		id:       id,
		workflow: workflows.RestoreSnapshot,
		input:    in,
		limits:   in.Limits,
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

// restoreID: a restore goes on when all that it was asked for is the same.
func restoreID(d *state.Dir, in activities.RestoreInput) (string, error) {
	in.GiveUp, in.Limits = 0, activities.Limits{}
	asked, err := json.Marshal(in)
	return d.WorkflowID("restore", string(asked)), err
}

// dryRestore needs no engine.
func (a *app) dryRestore(ctx context.Context, d *state.Dir, id string, in activities.RestoreInput) (err error) {
	store, _, err := a.openRepository(ctx, in.Dest)
	if err != nil {
		return err
	}
	cat, err := wire.OpenCatalog(ctx, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	res, err := activities.DryRestore(ctx, cat, store, id, in, func(f activities.PlannedFile) {
		if a.json {
			a.emitAs("file", f)
		} else {
			fmt.Fprintf(a.stdout, "%-5s  %10s  %s\n", f.Action, humanize.IBytes(uint64(f.Size)), printable(f.Path))
		}
	})
	if err != nil {
		return err
	}
	return a.showRestore(res)
}

func (o restoreOptions) input() (in activities.RestoreInput, err error) {
	if o.from == "" || o.to == "" {
		return in, usage(fmt.Errorf("restore needs --from and --to"), "")
	}
	if !slices.Contains(activities.Layouts, activities.Layout(o.layout)) {
		return in, usage(fmt.Errorf("--layout %q", o.layout), "choose library, dates, albums or flat")
	}
	if s := o.selection.Since; s != "" {
		if _, err := time.Parse(time.DateOnly, s); err != nil {
			return in, usage(fmt.Errorf("--since %q", s), "write it like 2024-05-17")
		}
	}
	for _, r := range o.selection.Roles {
		if !slices.Contains(roles, photos.Role(r)) {
			return in, usage(fmt.Errorf("--role %q", r), fmt.Sprintf("choose of %s", roles))
		}
	}
	if err := o.limits.Check(); err != nil {
		return in, err
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
	return activities.RestoreInput{Dest: dest.String(), Library: o.library, Snapshot: o.snapshot, Target: target,
		Layout: activities.Layout(o.layout), Selection: o.selection, Overwrite: o.overwrite, Sidecars: o.sidecars, GiveUp: o.giveUp, Limits: o.limits}, nil
}

var roles = []photos.Role{photos.RoleOriginal, photos.RoleRAW, photos.RoleLive, photos.RoleEdited, photos.RoleEditedLive, photos.RolePoster,
	photos.RolePrevious, photos.RoleAdjustment, photos.RoleSidecar, photos.RolePreview, photos.RoleLibrary, photos.RoleOther}

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
	verb := "restored"
	if res.DryRun {
		verb = "would restore"
	}
	for _, p := range res.Missing {
		fmt.Fprintf(a.stdout, "not in the snapshot: %s, %s: %s\n", printable(p.Asset), printable(p.Resource), printable(p.Problem))
	}
	if more := res.Absent - int64(len(res.Missing)); more > 0 {
		fmt.Fprintf(a.stdout, "and %s more\n", humanize.Comma(more))
	}
	a.printProblems("not restored", res.Problems, res.Count)
	fmt.Fprintf(a.stdout, "%s %s files (%s) of snapshot %s, %s were there already, %s are not in the snapshot\n", verb, humanize.Comma(res.Files),
		humanize.IBytes(uint64(res.Bytes)), res.Snapshot, humanize.Comma(res.Equal), humanize.Comma(res.Absent))
	if res.Sidecars > 0 {
		fmt.Fprintf(a.stdout, "%s sidecars are beside them\n", humanize.Comma(res.Sidecars))
	}
	if res.Renamed > 0 {
		fmt.Fprintf(a.stdout, "%s of them have another name than in the library\n", humanize.Comma(res.Renamed))
	}
}

// printProblems prints what a result carries, and how many more there are.
func (a *app) printProblems(what string, problems []activities.Problem, count int64) {
	for _, p := range problems {
		line := what + ":"
		for _, part := range []string{p.Asset, p.Resource} {
			if part != "" {
				line += " " + printable(part) + ":"
			}
		}
		fmt.Fprintln(a.stdout, line, printable(p.Problem))
	}
	if more := count - int64(len(problems)); more > 0 {
		fmt.Fprintf(a.stdout, "and %s more\n", humanize.Comma(more))
	}
}
