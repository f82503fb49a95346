package activities

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"lightfast/catalog"
	"lightfast/internal/exit"
	"lightfast/manifest"
	"lightfast/photos"
)

// BackupInput is what a backup was asked to do. It holds no secret: it is
// kept in Temporal's history.
type BackupInput struct {
	Source  SourceSpec    `json:"source"`
	Dest    string        `json:"dest"`
	Init    bool          `json:"init,omitempty"`    // make a second repository for a library
	Accept  []string      `json:"accept,omitempty"`  // reasons that are no hole
	Exclude []string      `json:"exclude,omitempty"` // labels of assets to leave out
	GiveUp  time.Duration `json:"give_up"`           // how long to wait for a store that went away

	// Compress asks for TIFF and RAW too to be compressed, where samples say
	// that it pays.
	Compress bool `json:"compress,omitempty"`

	// What the user knows of a library that is not what it was.
	AcceptShrink   bool `json:"accept_shrink,omitempty"`
	AcceptIdentity bool `json:"accept_identity,omitempty"`

	Limits Limits `json:"limits,omitzero"` // that the run begins with

	// Interim is the time between interim heads; 0 for the usual.
	Interim time.Duration `json:"interim,omitempty"`
}

// Prepared is a plan to work off.
type Prepared struct {
	Epoch    catalog.Epoch `json:"epoch"`
	Snapshot string        `json:"snapshot"`
	Resumed  bool          `json:"resumed,omitempty"` // the plan was there already

	// Shares is how many workflows share lane small; 0, of an older version, is
	// one.
	Shares int64 `json:"shares,omitempty"`

	// Readers is how many assets are brought from iCloud at once, 0 for a plan
	// without such.
	Readers int `json:"readers,omitempty"`
}

// PrepareRun opens or creates the repository, learns who the library is, and
// scans it into a plan, or goes on with the plan that is there.
func (a *Activities) PrepareRun(ctx context.Context, in BackupInput) (Prepared, error) {
	defer heartbeat(ctx)()
	p, err := a.prepare(ctx, activity.GetInfo(ctx).WorkflowExecution.ID, in)
	return p, ofStep(ctx, err)
}

// stepTries is how often a step without which there is no run may fail for no
// known reason. What goes on failing must be shown, not hidden by retries.
const stepTries = 6

// ofStep is toTemporal for such a step. A store that is away is waited for.
func ofStep(ctx context.Context, err error) error {
	known := exit.CodeOf(err) != exit.Failed || errors.Is(err, catalog.ErrNoPlan) || isAway(err)
	if !known && activity.GetInfo(ctx).Attempt >= stepTries {
		err = &exit.Error{Code: exit.Failed, What: "backup", Err: err}
	}
	return toTemporal(err)
}

func (a *Activities) prepare(ctx context.Context, workflow string, in BackupInput) (p Prepared, err error) {
	r := &openRun{doc: runDoc{Source: in.Source, Dest: in.Dest, Accept: in.Accept, GiveUp: in.GiveUp, Started: a.Now(),
		Excluded: exclusions(in.Exclude), MayShrink: in.AcceptShrink, Compress: in.Compress}}
	if r.source, err = a.OpenSource(ctx, in.Source); err != nil {
		return p, SourceEnd(err)
	}
	defer func() {
		if err != nil {
			a.closeRun(r)
		}
	}()
	if r.doc.Library, err = r.source.Identity(ctx); err != nil {
		return p, SourceEnd(err)
	}
	a.openFetcher(ctx, r)
	if err = a.openRepository(ctx, r, in); err != nil {
		return p, err
	}
	lib, err := a.Catalog.Library(ctx, r.repo, r.doc.Library.ID, r.doc.Library.Name)
	if err != nil {
		return p, err
	}
	r.lib, r.doc.Parent = lib.ID, lib.Snapshot
	resumed, err := a.goOn(ctx, workflow, r)
	if err != nil {
		return p, err
	}
	if resumed {
		err = a.guardEmptied(ctx, r)
	} else {
		err = a.planAnew(ctx, workflow, r, lib, in)
	}
	if err != nil {
		return p, err
	}
	toDo, err := a.showTotals(ctx, r)
	if err != nil {
		return p, err
	}
	a.adopt(r)
	p = Prepared{Epoch: r.epoch, Snapshot: r.doc.snapshotID(), Resumed: resumed, Shares: sharesOf(toDo)}
	if r.doc.Fetch {
		p.Readers = max(a.Fetching.Readers, 1)
	}
	return p, nil
}

// goOn takes up the plan that this workflow made for the same library and
// repository, with the same exclusions and handling, if it was not finished.
func (a *Activities) goOn(ctx context.Context, workflow string, r *openRun) (bool, error) {
	last, err := a.Catalog.LastRun(ctx, workflow)
	if errors.Is(err, catalog.ErrNoPlan) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	_, doc, err := a.runRow(ctx, last.Epoch)
	if err != nil || last.State != catalog.AtWork || last.Library != r.lib || doc.Repository != r.doc.Repository || !sameLabels(doc.Excluded, r.doc.Excluded) ||
		doc.Source.Handling != r.doc.Source.Handling {
		return false, err
	}
	doc.Accept, doc.MayShrink, doc.GiveUp, doc.Compress = r.doc.Accept, r.doc.MayShrink, r.doc.GiveUp, r.doc.Compress // as asked for now
	r.epoch, r.doc = last.Epoch, doc
	r.cloud.over = doc.CloudEnd
	b, err := json.Marshal(doc)
	if err != nil {
		return false, err
	}
	return true, a.Catalog.SetRun(ctx, r.epoch, catalog.AtWork, b)
}

// planAnew makes a plan, unless the library is not what it was.
func (a *Activities) planAnew(ctx context.Context, workflow string, r *openRun, lib catalog.Library, in BackupInput) error {
	if !in.AcceptIdentity {
		if err := a.guardIdentity(ctx, r); err != nil {
			return err
		}
	}
	last, err := a.learnParent(ctx, r, lib)
	if err != nil {
		return err
	}
	return a.plan(ctx, workflow, r, last)
}

// plan scans. A run that the guard refuses is never AtWork: nothing goes on with
// it, and the next one scans again. Run id and time of the head are drawn here
// and kept, so that whoever repeats the head's PUT sends the same bytes.
func (a *Activities) plan(ctx context.Context, workflow string, r *openRun, last manifest.Head) (err error) {
	now := a.Now().UTC()
	r.doc.Run, r.doc.Time, r.doc.ScannedAt = newRunID(), headTime(now, last.Time), now
	if err := a.Catalog.Own(ctx, r.lib, workflow); err != nil {
		return err
	}
	doc, err := json.Marshal(r.doc)
	if err != nil {
		return err
	}
	if r.epoch, err = a.Catalog.StartRun(ctx, catalog.Run{Library: r.lib, Workflow: workflow, Doc: doc}); err != nil {
		return err
	}
	if err := a.scanLibrary(ctx, r); err != nil {
		return SourceEnd(err)
	}
	if !r.doc.MayShrink {
		if err := guardShrink(last, r.found); err != nil {
			return err
		}
	}
	r.doc.Warnings = r.source.Warnings()
	if doc, err = json.Marshal(r.doc); err != nil {
		return err
	}
	return a.Catalog.SetRun(ctx, r.epoch, catalog.AtWork, doc)
}

// headTime is the time by which a snapshot is called, in seconds: later than
// that of the last one, so that the newest by name is the newest, also of two
// in a second or after a clock was set back.
func headTime(now, last time.Time) time.Time {
	t := now.Truncate(time.Second)
	if !t.After(last) {
		t = last.Add(time.Second)
	}
	return t
}

// showTotals returns how many items are still to do.
func (a *Activities) showTotals(ctx context.Context, r *openRun) (toDo int64, err error) {
	f, err := a.Catalog.PlanFigures(ctx, r.epoch)
	if err != nil {
		return 0, err
	}
	a.Progress.setTotals(f.Done+f.Failed, f.Items, f.DoneSize, f.Size, f.Sent)
	return f.Items - f.Done - f.Failed, nil
}

// SourceEnd gives a failure of the library its exit code.
func SourceEnd(err error) error {
	if e, ok := errors.AsType[*photos.SourceError](err); ok {
		why := errors.New(e.Why)
		if e.Err != nil {
			why = fmt.Errorf("%s: %w", e.Why, e.Err)
		}
		return &exit.Error{Code: exit.Source, What: e.Path, Do: e.Do, Err: why}
	}
	return err
}

func newRunID() string {
	var b [4]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// heartbeat tells Temporal once a second that the activity is alive, until
// the returned function is called.
func heartbeat(ctx context.Context) (stop func()) {
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			activity.RecordHeartbeat(ctx)
			select {
			case <-end:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() { close(end); <-done }
}
