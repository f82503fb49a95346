package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"lightfast/internal/exit"
	"lightfast/manifest"
	"lightfast/photos"
)

// The guards keep a library that is not what it was (its disk not mounted, an
// empty one made in its place, another one of the same name) from becoming the
// next snapshot, from which everything older would seem to be deleted.

// guardIdentity refuses another library than was last backed up from here.
func (a *Activities) guardIdentity(ctx context.Context, r *openRun) error {
	place, err := r.doc.Source.place()
	if err != nil {
		return err
	}
	was, err := a.Catalog.LibraryAt(ctx, r.repo, place)
	if err != nil || was.ID == 0 || was.ID == r.lib {
		return err
	}
	return suspicious(fmt.Errorf("%s is library %q, id %s; the last backup from there was of %q, id %s",
		r.doc.Source.Path, r.doc.Library.Name, r.doc.Library.ID, was.Name, was.Key),
		"look which library that is; --accept-identity backs it up as a library of its own")
}

// Of a library that had fewer assets than shrinkFloor any number may go but
// the last one: who has nine pictures deletes three without a thought.
const shrinkFloor = 10

// guardShrink refuses a library that has lost 30 % of its assets, or all of
// them, since the last snapshot. found counts what the run leaves out, too:
// to leave more out is no loss.
func guardShrink(last manifest.Head, found int64) error {
	was := last.Totals.Assets
	for label, n := range last.Excluded {
		if label != string(photos.LabelOrphan) {
			was += n
		}
	}
	emptied := found == 0 && was > 0
	if !emptied && (was < shrinkFloor || found*10 > was*7) {
		return nil
	}
	return suspicious(fmt.Errorf("%s assets, %s in the last snapshot of %s", humanize.Comma(found), humanize.Comma(was), last.Time.Format(time.DateOnly)),
		"check that it is whole and its disk mounted; --accept-shrink backs it up as it is")
}

// guardSwap refuses to go on with the plan of one library in another: none of
// its files would be there.
func (r *openRun) guardSwap(ctx context.Context) error {
	is, err := r.source.Identity(ctx)
	if err != nil || is.ID == r.doc.Library.ID {
		return SourceEnd(err)
	}
	return suspicious(fmt.Errorf("%s is library %q, id %s; this run is of %q, id %s", r.doc.Source.Path, is.Name, is.ID, r.doc.Library.Name, r.doc.Library.ID),
		"put that one back; else the same command begins anew with the one that is there")
}

// guardEmptied refuses to go on with the plan of a folder in which nothing is
// left: what is still to do would all become holes. The plan stays, and is
// gone on with when the disk is there again. A Photos library needs no such
// look: without its database it has no identity.
func (a *Activities) guardEmptied(ctx context.Context, r *openRun) error {
	if r.doc.MayShrink || r.doc.Library.Kind != "folder" {
		return nil
	}
	f, err := a.Catalog.PlanFigures(ctx, r.epoch)
	left := f.Items - f.Done - f.Failed
	if err != nil || left == 0 {
		return err
	}
	for _, err := range r.source.Scan(ctx) {
		return SourceEnd(err) // one asset is enough
	}
	return suspicious(fmt.Errorf("0 assets, %s of this run are still to be stored", humanize.Comma(left)),
		"check that its disk is mounted; --accept-shrink goes on as it is")
}

func suspicious(why error, do string) error {
	return &exit.Error{Code: exit.Source, What: "source suspicious", Err: why, Do: do}
}
