package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"lightfast/activities"
	"lightfast/internal/exit"
	"lightfast/internal/wire"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/photos"
)

type lsOptions struct{ from, library, snapshot string }

func newLsCmd(a *app) *cobra.Command {
	var o lsOptions
	cmd := &cobra.Command{
		Use:   "ls --from DEST",
		Short: "List the assets of a snapshot and what is stored of each",
		Example: `  lightfast ls --from /Volumes/Backup/photos
  lightfast ls --from s3://photos --json | jq -r 'select(.event=="asset") | .original_filename'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.ls(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "`DEST` of the repository: s3://BUCKET/PREFIX?endpoint=URL, or a folder")
	f.StringVar(&o.library, "library", "", "`ID` or name of the library, where there are several")
	f.StringVar(&o.snapshot, "snapshot", "latest", "`ID` of the snapshot, or the beginning of one")
	return cmd
}

// openRepository opens a repository for reading: bucket and key are enough.
func (a *app) openRepository(ctx context.Context, from string) (objectstore.Store, string, error) {
	if from == "" {
		return nil, "", usage(fmt.Errorf("--from is missing"), "")
	}
	dest, err := wire.ParseDest(from)
	if err != nil {
		return nil, "", err
	}
	d, err := a.openState()
	if err != nil {
		return nil, "", err
	}
	s, err := wire.OpenExisting(ctx, dest, d.Host, a.options)
	if err != nil {
		return nil, "", activities.RepositoryEnd(dest.String(), err)
	}
	return s, dest.String(), nil
}

func (a *app) ls(ctx context.Context, o lsOptions) error {
	store, dest, err := a.openRepository(ctx, o.from)
	if err != nil {
		return err
	}
	head, err := activities.FindSnapshot(ctx, store, dest, o.library, o.snapshot)
	if err != nil {
		return err
	}
	out := a.newLister()
	for _, ref := range head.Pages {
		for asset, err := range activities.ReadPage(ctx, store, ref) {
			if err != nil {
				return activities.RepositoryEnd(dest, fmt.Errorf("page %s: %w", ref.SHA256, err))
			}
			if err := out.show(asset); err != nil {
				return &exit.Error{Code: exit.Format, What: "asset " + asset.ID, Err: err}
			}
		}
	}
	return out.end(head)
}

// lister prints assets one by one: nothing is held of a large library.
type lister struct {
	a    *app
	tab  *tabwriter.Writer
	n    int64
	orph int64
}

func (a *app) newLister() *lister {
	l := &lister{a: a}
	if !a.json {
		l.tab = tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	}
	return l
}

// lsResource is a resource as `ls --json` promises it.
type lsResource struct {
	Role    string         `json:"role"`
	Name    string         `json:"name"`
	Size    int64          `json:"size"`
	SHA256  *manifest.Hash `json:"sha256,omitempty"`
	Reason  string         `json:"reason,omitempty"`
	Warning string         `json:"warning,omitempty"`
	Since   string         `json:"since,omitempty"`
	Path    string         `json:"path,omitempty"`
}

// lsAsset is an asset as `ls --json` promises it: every field is always there.
type lsAsset struct {
	ID               string        `json:"id"`
	UUID             string        `json:"uuid"`
	OriginalFilename string        `json:"original_filename"`
	Kind             photos.Kind   `json:"kind"`
	Date             *string       `json:"date"`
	TZOffset         *int          `json:"tz_offset_s"`
	Trashed          bool          `json:"trashed"`
	Hidden           bool          `json:"hidden"`
	Favorite         bool          `json:"favorite"`
	Shared           bool          `json:"shared"`
	Burst            *photos.Burst `json:"burst"`
	Title            string        `json:"title"`
	Description      string        `json:"description"`
	Keywords         []string      `json:"keywords"`
	Albums           []string      `json:"albums"`
	Persons          []string      `json:"persons"`
	Place            *photos.Place `json:"place"`
	Types            []string      `json:"types"`
	Resources        []lsResource  `json:"resources"`
}

func (l *lister) show(asset manifest.Asset) error {
	var m photos.Metadata
	if err := json.Unmarshal(asset.Metadata, &m); err != nil {
		return err
	}
	if asset.Orphan {
		l.orph++
		return l.orphan(asset)
	}
	l.n++
	if !l.a.json {
		l.line(m, asset)
		return nil
	}
	row := lsAsset{ID: asset.ID, UUID: m.UUID, OriginalFilename: m.OriginalFilename, Kind: m.Kind, TZOffset: m.TZOffset,
		Trashed: m.Trashed, Hidden: m.Hidden, Favorite: m.Favorite, Shared: m.Shared, Burst: m.Burst, Title: m.Title,
		Description: m.Description, Keywords: list(m.Keywords), Albums: list(m.Albums), Persons: list(m.Persons), Place: m.Place, Types: list(m.Types)}
	if m.Date != "" {
		row.Date = &m.Date
	}
	if row.UUID == "" {
		row.UUID = asset.ID
	}
	for _, r := range asset.Resources {
		row.Resources = append(row.Resources, lsResource{Role: r.Role, Name: r.Name, Size: r.Size, SHA256: r.SHA256, Reason: r.Reason, Warning: r.Warning, Since: r.Since, Path: r.Path})
	}
	l.a.emitAs("asset", row)
	return nil
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (l *lister) orphan(asset manifest.Asset) error {
	for _, r := range asset.Resources {
		if !r.Stored() {
			continue
		}
		if l.a.json {
			l.a.emit(event{"event": "orphan", "path": r.Path, "size": r.Size, "sha256": r.SHA256})
		} else {
			fmt.Fprintf(l.tab, "%s\torphan\t\t%s\t\n", printable(r.Path), humanize.IBytes(uint64(r.Size)))
		}
	}
	return nil
}

func (l *lister) line(m photos.Metadata, asset manifest.Asset) {
	var size int64
	note := ""
	for _, r := range asset.Resources {
		switch {
		case r.Stored() && r.Since != "":
			note += fmt.Sprintf(" %s kept (%s)", r.Role, r.Warning)
		case !r.Stored():
			note += fmt.Sprintf(" %s absent (%s)", r.Role, r.Reason)
		}
		if r.Stored() {
			size += r.Size
		}
	}
	fmt.Fprintf(l.tab, "%s\t%s\t%s\t%s\t%s\n", printable(m.OriginalFilename), m.Kind, m.Date, humanize.IBytes(uint64(size)), note)
}

func (l *lister) end(head manifest.Head) error {
	if l.a.json {
		l.a.emit(event{"event": "result", "snapshot": head.ID, "library": head.Library.ID, "assets": l.n, "orphans": l.orph})
		return nil
	}
	if err := l.tab.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(l.a.stdout, "%s assets in snapshot %s of %s\n", humanize.Comma(l.n), head.ID, printable(head.Library.Name))
	return nil
}
