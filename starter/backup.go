package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

type backupOptions struct {
	source, sourceKind, name, to string
	handling                     string
	initRepo, noFollow, detach   bool
	accept, exclude              []string
	acceptShrink, acceptIdentity bool
	compress                     bool
	giveUp, interim              time.Duration
	limits                       activities.Limits
}

func newBackupCmd(a *app) *cobra.Command {
	var o backupOptions
	cmd := &cobra.Command{
		Use:   "backup --source PATH --to DEST",
		Short: "Store what is new or changed as a snapshot",
		Long: `Backup stores what is new or changed of one library and makes it a snapshot.
Killed at any moment, the same command goes on where it stopped.

Of a Photos library, --photos-handling says what is stored:
  PhotosOnly        assets and what is known of them: files that one can
                    import, but no library that Photos could open
  LibraryOnly       the bundle as a tree of files, its databases as they were
                    at one moment: restored, Photos can open it
  PhotosAndLibrary  both, each file once

All assets are backed up unless --exclude leaves some out, by these labels; they
are counted, each once, and stay in the snapshots that have them:
` + labelHelp() + `
Databases, plists and texts of a bundle are stored compressed (zstd); what is
compressed already never is.

A library that has lost 30 % of its assets since its last snapshot (all of
them, if it had fewer than ten), or that is another one than was last backed up
from this path, is refused as suspicious until you say that this is meant.

` + exitCodes(),
		Example: `  lightfast backup --source ~/Pictures/Photos\ Library.photoslibrary --to /Volumes/Backup/photos
  lightfast backup --source ~/Pictures/Scans --to 's3://photos/scans?endpoint=http://127.0.0.1:9000'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.backup(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.source, "source", "", "`PATH` of a Photos library or of a folder")
	f.StringVar(&o.sourceKind, "source-kind", "", "`KIND` of the source if it is not what it looks like: photos or folder")
	f.StringVar(&o.handling, "photos-handling", "", "`MODE` for a Photos library: PhotosOnly, LibraryOnly or PhotosAndLibrary (default: PhotosOnly)")
	f.StringVar(&o.name, "name", "", "`NAME` of a folder as a library, so that it may move (default: its path)")
	f.StringVar(&o.to, "to", "", "`DEST`: s3://BUCKET/PREFIX?endpoint=URL, or a folder")
	f.BoolVar(&o.initRepo, "init", false, "begin another repository for a library that has one elsewhere")
	f.BoolVar(&o.noFollow, "no-follow", false, "after going on with an older run, do not start one that sees what is new since")
	f.BoolVar(&o.detach, "detach", false, "return when the run is durable; it goes on in the background")
	f.StringSliceVar(&o.accept, "accept", nil, "`REASONS` for which something may be absent in a complete snapshot")
	f.BoolVar(&o.acceptShrink, "accept-shrink", false, "back up a library that has lost many of its assets since its last snapshot")
	f.BoolVar(&o.acceptIdentity, "accept-identity", false, "back up a library that has taken another one's place, as a library of its own")
	f.StringSliceVar(&o.exclude, "exclude", nil, "`LABELS` of assets to leave out, such as trashed,hidden")
	f.BoolVar(&o.compress, "compress", false, "compress TIFF and RAW too, where samples say that it pays: a bucket cannot show them then")
	f.DurationVar(&o.giveUp, "give-up", 24*time.Hour, "`TIME` to wait for a destination that went away")
	uploadFlag(f, &o.limits)
	f.DurationVar(&o.interim, "interim", 0, "`TIME` between interim snapshots of a long run (default: 10 minutes, then half an hour)")
	return cmd
}

// backup tells the story: what is asked for, who sees it through, what it
// came to.
func (a *app) backup(ctx context.Context, o backupOptions) error {
	asked := time.Now()
	in, err := o.input(a.address != "")
	if err != nil {
		return err
	}
	d, err := a.openState()
	if err != nil {
		return err
	}
	if a.address == "" { // else the library is the worker's
		if err := a.checkSource(ctx, in, d); err != nil {
			return err
		}
	}
	j := job{
		id:       state.WorkflowID("backup", a.hostID(d), workflowParts(in)...),
		workflow: workflows.BackupLibrary,
		input:    in,
		limits:   in.Limits,
		memo:     map[string]any{"library": title(in.Source), "source": in.Source.Path, "destination": in.Dest, "host": d.Host.Name},
	}
	if o.detach {
		return a.detach(ctx, d, j)
	}
	s := a.newScreen("stored")
	defer s.close()
	var res activities.BackupResult
	if _, err = a.drive(ctx, d, j, s, &res); err != nil {
		return err
	}
	// A run that was there before us saw the library as it was then, and may
	// have been asked for less of it.
	older := res.ScannedAt.Before(asked) || res.Handling != in.Source.Handling
	if older && !o.noFollow {
		var next activities.BackupResult
		if _, err = a.drive(ctx, d, j, s, &next); err != nil {
			a.warn("snapshot", fmt.Sprintf("the older run ended with snapshot %s, of the library as it was at %s; one more, that sees what is new since, did not",
				res.Snapshot, res.ScannedAt.Local().Format(time.DateTime)))
			return err
		}
		res = join(res, next)
	}
	res.Resumed = res.Resumed || older
	s.close()
	return a.showBackup(res)
}

func (o backupOptions) input(remote bool) (in activities.BackupInput, err error) {
	if o.source == "" || o.to == "" {
		return in, usage(fmt.Errorf("backup needs --source and --to"), "")
	}
	if o.sourceKind != "" && o.sourceKind != "photos" && o.sourceKind != "folder" {
		return in, usage(fmt.Errorf("--source-kind %q", o.sourceKind), "choose photos or folder")
	}
	if h := activities.Handling(o.handling); h != "" && !slices.Contains(activities.Handlings, h) {
		return in, usage(fmt.Errorf("--photos-handling %q", o.handling), "choose PhotosOnly, LibraryOnly or PhotosAndLibrary")
	}
	for _, reason := range o.accept {
		if !photos.Reason(reason).Hole() || !known(photos.Reason(reason)) {
			return in, usage(fmt.Errorf("--accept %q is no reason for a hole", reason), "choose from "+strings.Join(holeReasons(), ", "))
		}
	}
	for _, l := range o.exclude {
		if !slices.Contains(photos.Labels(), photos.Label(l)) {
			return in, usage(fmt.Errorf("--exclude %q is no label", l), "choose from "+strings.Join(labelNames(), ", "))
		}
	}
	if err := o.limits.Check(); err != nil {
		return in, err
	}
	dest, err := wire.ParseDest(o.to)
	if err != nil {
		return in, err
	}
	source := filepath.Clean(o.source)
	if !remote {
		if source, err = canonical(o.source); err != nil {
			return in, err
		}
	} else if !filepath.IsAbs(source) {
		return in, usage(fmt.Errorf("--source %q is not absolute", o.source), "name it as the worker's host has it")
	}
	if dest.Folder != "" {
		if inside(dest.Folder, source) || inside(source, dest.Folder) {
			return in, usage(fmt.Errorf("%s and %s lie in one another", source, dest.Folder), "a backup must not back itself up: choose another folder")
		}
	}
	spec := activities.SourceSpec{Path: source, Kind: o.sourceKind, Name: o.name, Handling: activities.Handling(o.handling)}
	if spec.Handling == activities.PhotosOnly && wire.KindOf(spec) == "photos" {
		spec.Handling = "" // the default has one name
	}
	return activities.BackupInput{Source: spec,
		Dest: dest.String(), Init: o.initRepo, Accept: o.accept, Exclude: o.exclude,
		AcceptShrink: o.acceptShrink, AcceptIdentity: o.acceptIdentity, GiveUp: o.giveUp, Compress: o.compress, Limits: o.limits, Interim: o.interim}, nil
}

// workflowParts name the run. PhotosOnly and PhotosAndLibrary make snapshots of
// one library, so only one of them runs at a time; LibraryOnly has a library
// of its own.
func workflowParts(in activities.BackupInput) []string {
	parts := []string{in.Source.Path, in.Source.Name, in.Dest}
	if in.Source.Handling == activities.LibraryOnly {
		parts = append(parts, string(activities.LibraryOnly))
	}
	return parts
}

// title is what a person calls the run by.
func title(s activities.SourceSpec) string {
	name := filepath.Base(s.Path)
	if s.Handling == activities.LibraryOnly {
		name += " (bundle)"
	}
	return name
}

// canonical follows links, so that one place has one name.
func canonical(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return "", &exit.Error{Code: exit.Source, What: "source " + path, Err: err, Do: "check the path, and that the disk is mounted"}
	}
	return abs, nil
}

// inside reports whether path, which need not be there yet, is dir or lies
// below it, by whatever name: through a link, or mounted a second time.
func inside(path, dir string) bool {
	want, err := os.Stat(dir)
	if err != nil {
		return false
	}
	for {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if got, err := os.Stat(path); err == nil && os.SameFile(want, got) {
			return true
		}
		up := filepath.Dir(path)
		if up == path {
			return false
		}
		path = up
	}
}

var reasons = []photos.Reason{photos.ICloudOnly, photos.ReferencedOutside, photos.Lost, photos.IncompleteImport,
	photos.SharedNotDownloaded, photos.RenderNeverMade, photos.Unavailable}

func known(r photos.Reason) bool {
	for _, k := range reasons {
		if k == r {
			return true
		}
	}
	return false
}

func holeReasons() (names []string) {
	for _, r := range reasons {
		if r.Hole() {
			names = append(names, string(r))
		}
	}
	return names
}

func labelNames() (names []string) {
	for _, l := range photos.Labels() {
		names = append(names, string(l))
	}
	return names
}

// checkSource answers a wrong source before anything is started.
func (a *app) checkSource(ctx context.Context, in activities.BackupInput, d *state.Dir) error {
	src, err := wire.OpenSource(ctx, in.Source, d, nil, a.log)
	if err != nil {
		return activities.SourceEnd(err)
	}
	return src.Close()
}

// join covers two runs of one command with one result: what was done is
// summed, the rest is what the second found.
func join(first, second activities.BackupResult) activities.BackupResult {
	res := second
	res.Assets.Stored += first.Assets.Stored
	res.Assets.Unchanged = max(res.Assets.Total-res.Assets.Stored-res.Assets.Incomplete-res.Assets.Failed, 0)
	res.Assets.Stored = res.Assets.Total - res.Assets.Unchanged - res.Assets.Incomplete - res.Assets.Failed
	res.Resources.Stored += first.Resources.Stored
	res.Resources.Deduplicated += first.Resources.Deduplicated
	res.Bytes.Sent += first.Bytes.Sent
	res.Bytes.Stored += first.Bytes.Stored
	res.Duration += first.Duration
	res.PeakRSS = max(first.PeakRSS, second.PeakRSS)
	res.Resumed = first.Resumed || second.Resumed
	return res
}

// showBackup prints the result, and ends with 3 if the snapshot has holes.
func (a *app) showBackup(res activities.BackupResult) error {
	if a.json {
		for _, w := range res.Warnings {
			a.emit(event{"event": "warning", "class": "source", "asset": "", "resource": "", "message": w, "action": ""})
		}
		for _, p := range res.Problems {
			name := "warning"
			if p.Asset == "" { // of the whole run
				name = "error"
			}
			a.emit(event{"event": name, "class": cmp.Or(p.Class, "resource"), "asset": p.Asset, "resource": p.Resource, "message": p.Problem, "action": p.Action})
		}
		res.Warnings, res.Problems = nil, nil
		a.emitAs("result", res)
	} else {
		a.printBackup(res)
	}
	if res.Holes() {
		return &exit.Error{Code: exit.Incomplete, What: "the snapshot has holes"}
	}
	return nil
}

func (a *app) printBackup(res activities.BackupResult) {
	out := func(format string, args ...any) { fmt.Fprintf(a.stdout, format+"\n", args...) }
	for _, w := range res.Warnings {
		out("warning: %s", printable(w))
	}
	for _, p := range res.Problems {
		text := printable(p.Problem)
		if p.Action != "" {
			text += "; " + printable(p.Action)
		}
		if p.Asset == "" {
			out("error: %s", text)
		} else {
			out("warning: %s, %s: %s", printable(p.Asset), printable(p.Resource), text)
		}
	}
	out("snapshot %s", res.Snapshot)
	out("  assets     %s: %s stored, %s unchanged, %s incomplete, %s failed", humanize.Comma(res.Assets.Total), humanize.Comma(res.Assets.Stored),
		humanize.Comma(res.Assets.Unchanged), humanize.Comma(res.Assets.Incomplete), humanize.Comma(res.Assets.Failed))
	out("  resources  %s stored, %s known already, %s kept though absent now", humanize.Comma(res.Resources.Stored),
		humanize.Comma(res.Resources.Deduplicated), humanize.Comma(res.Resources.Kept))
	for _, line := range roleTable(res.Resources.ByRole) {
		out("             %s", line)
	}
	if len(res.Excluded) > 0 {
		out("  excluded   %s", excluded(res.Excluded))
	}
	out("  bytes      %s in the snapshot, %s sent", humanize.IBytes(uint64(res.Bytes.Source)), humanize.IBytes(uint64(res.Bytes.Sent)))
	out("  took %s, at most %s of memory", time.Duration(res.Duration*float64(time.Second)).Round(time.Millisecond), humanize.IBytes(uint64(res.PeakRSS)))
	if res.Holes() {
		out("incomplete: %s of %s assets have holes; `lightfast ls` names them", humanize.Comma(res.Assets.Incomplete+res.Assets.Failed), humanize.Comma(res.Assets.Total))
	} else {
		out("complete")
	}
}
