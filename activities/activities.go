// Package activities holds the steps of a backup and of a restore: what
// happens to one library, one asset, one page, one head.
//
// Every step may run twice and any process may die inside one. What is done
// is in the catalog and in the store, never in Temporal: a step that finds
// its work done returns at once. The order blob, catalog, page, head holds
// everywhere, so that nothing is visible before it is whole.
package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/temporal"

	"lightfast/catalog"
	"lightfast/internal/budget"
	"lightfast/internal/exit"
	"lightfast/internal/ratelimit"
	"lightfast/internal/window"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/photos"
)

// Activities are registered with a Temporal worker. Workflows name the
// methods through a nil pointer.
type Activities struct {
	Catalog    *catalog.Catalog
	Budget     *budget.Budget
	OpenSource func(ctx context.Context, s SourceSpec) (photos.Source, error)
	OpenStore  func(ctx context.Context, dest string, line ratelimit.Line) (objectstore.Store, error)
	Host       manifest.Host
	Fetching   Fetching
	Progress   *Progress
	Manners    Manners // nil: nobody uses this machine
	PartSize   int64   // least size of the parts of large objects; 0 for 16 MiB
	Log        *slog.Logger
	Now        func() time.Time

	mu   sync.Mutex // guards runs
	runs map[catalog.Epoch]*openRun

	readersOnce sync.Once
	readers     chan struct{} // a place for each request that may be under way

	linesMu sync.Mutex                // guards lines, and their making
	lines   map[string]ratelimit.Line // by workflow

	pulses sync.Map // workflow run id → *pulse
}

// SourceSpec says where a library is.
type SourceSpec struct {
	Path string `json:"path"`
	Kind string `json:"kind,omitempty"` // "" to find out
	Name string `json:"name,omitempty"` // of a folder

	Handling Handling `json:"handling,omitempty"` // of a Photos library; "" is PhotosOnly
}

// Handling is what of a Photos library is backed up.
type Handling string

const (
	PhotosOnly       Handling = "PhotosOnly"       // assets with what is known of them
	LibraryOnly      Handling = "LibraryOnly"      // the bundle as a tree of files
	PhotosAndLibrary Handling = "PhotosAndLibrary" // both, each file once
)

// Handlings are all that there are.
var Handlings = []Handling{PhotosOnly, LibraryOnly, PhotosAndLibrary}

// place is what a catalog remembers a library by that was backed up from
// here. A library that turns out to be of another kind is at the same place.
func (s SourceSpec) place() (string, error) {
	s.Kind = ""
	b, err := json.Marshal(s)
	return string(b), err
}

// openRun is a run that this process has at hand: what its plan says, and the
// opened ends of it.
type openRun struct {
	once sync.Once
	err  error

	epoch  catalog.Epoch
	doc    runDoc
	repo   catalog.RepositoryID
	lib    catalog.LibraryID
	source photos.Source // nil in a restore or verify
	store  objectstore.Store
	window *window.Window // of requests that move bytes of assets
	cloud  cloudRun
	target target        // of a restore
	found  int64         // assets that the scan has found, those left out among them
	stop   chan struct{} // closed by StopRun
	halt   sync.Once

	mu     sync.Mutex              // guards what follows
	fails  map[int64]int           // tries of an item in lane large that failed, not those of a store that was away
	atWork map[int64]chan struct{} // items that an attempt is at, closed at its end

	away atomic.Int64 // since when the store does not answer, Unix nanoseconds; 0: it does
}

// answered notes that the store is there: patience with it begins anew.
func (r *openRun) answered() { r.away.Store(0) }

// failures returns how often an item has failed in this process.
func (r *openRun) failures(item int64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fails[item]
}

func (r *openRun) failedOnce(item int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fails == nil {
		r.fails = map[int64]int{}
	}
	r.fails[item]++
}

// alone returns when no other attempt at an item is at work in this process:
// Temporal makes a second one where the heartbeats of the first are lost on
// their way. Two would send everything twice.
func (r *openRun) alone(ctx context.Context, item int64) (over func(), err error) {
	for {
		r.mu.Lock()
		other, busy := r.atWork[item]
		if !busy {
			break
		}
		r.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer r.mu.Unlock()
	if r.atWork == nil {
		r.atWork = map[int64]chan struct{}{}
	}
	ended := make(chan struct{})
	r.atWork[item] = ended
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.atWork, item)
		close(ended)
	}, nil
}

// silent notes that the store did not answer, and returns for how long now.
func (r *openRun) silent(now time.Time) time.Duration {
	r.away.CompareAndSwap(0, now.UnixNano())
	return now.Sub(time.Unix(0, r.away.Load()))
}

// runDoc is what a catalog keeps of a run for those who go on with it.
type runDoc struct {
	Source     SourceSpec           `json:"source,omitzero"`
	Dest       string               `json:"dest"`
	Repository string               `json:"repository"`
	RepoID     catalog.RepositoryID `json:"repo_id"`
	Library    photos.Identity      `json:"library,omitzero"`
	Run        string               `json:"run"`
	Time       time.Time            `json:"time"`       // of the head
	ScannedAt  time.Time            `json:"scanned_at"` // when the scan began
	Started    time.Time            `json:"started"`
	Parent     string               `json:"parent,omitempty"`
	Warnings   []string             `json:"warnings,omitempty"`
	Excluded   map[string]int64     `json:"excluded,omitempty"`   // assets left out, by label
	MayShrink  bool                 `json:"may_shrink,omitempty"` // the user has said so
	Accept     []string             `json:"accept,omitempty"`
	GiveUp     time.Duration        `json:"give_up"`
	Compress   bool                 `json:"compress,omitempty"` // TIFF and RAW too
	Restore    *RestoreInput        `json:"restore,omitempty"`
	Snapshot   string               `json:"snapshot,omitempty"` // of a restore
	Verify     *VerifyInput         `json:"verify,omitempty"`
	Fetch      bool                 `json:"fetch,omitempty"`     // something is to be brought from iCloud
	Sample     []photos.AssetID     `json:"sample,omitempty"`    // whose being shown proves that Photos has this library open
	CloudEnd   *Problem             `json:"cloud_end,omitempty"` // why iCloud is not asked any more
	Problems   []Problem            `json:"problems,omitempty"`  // found by the plan of a restore
	Damaged    bool                 `json:"damaged,omitempty"`   // and some of them in the repository
}

func (d runDoc) snapshotID() string { return manifest.SnapshotID(d.Time, d.Run) }

// run returns a run by its epoch, opened on first use in this process.
func (a *Activities) run(ctx context.Context, e catalog.Epoch) (*openRun, error) {
	a.mu.Lock()
	r := a.runs[e]
	if r == nil {
		if a.runs == nil {
			a.runs = map[catalog.Epoch]*openRun{}
		}
		r = &openRun{epoch: e, stop: make(chan struct{}), window: window.New()}
		a.runs[e] = r
	}
	a.mu.Unlock()
	r.once.Do(func() { r.err = a.openRun(ctx, r) })
	if r.err != nil {
		a.drop(r)
		return nil, r.err
	}
	return r, nil
}

func (a *Activities) openRun(ctx context.Context, r *openRun) error {
	row, doc, err := a.runRow(ctx, r.epoch)
	if err != nil {
		return err
	}
	r.doc, r.repo, r.lib = doc, doc.RepoID, row.Library
	line, err := a.line(ctx, row.Workflow)
	if err != nil {
		return err
	}
	if r.store, err = a.OpenStore(ctx, r.doc.Dest, line); err != nil {
		return destination(r.doc.Dest, err)
	}
	if r.doc.Restore == nil && r.doc.Verify == nil {
		if r.source, err = a.OpenSource(ctx, r.doc.Source); err != nil {
			return SourceEnd(err)
		}
		a.openFetcher(ctx, r)
		if err := r.guardSwap(ctx); err != nil {
			return err
		}
		if err := a.guardEmptied(ctx, r); err != nil {
			return err
		}
	}
	// What this process opens, an earlier one has planned and begun.
	_, err = a.showTotals(ctx, r)
	return err
}

// runRow reads what the catalog keeps of a run.
func (a *Activities) runRow(ctx context.Context, e catalog.Epoch) (row catalog.Run, doc runDoc, err error) {
	if row, err = a.Catalog.Run(ctx, e); err != nil {
		return row, doc, err
	}
	if err := json.Unmarshal(row.Doc, &doc); err != nil {
		return row, doc, fmt.Errorf("run %d in the catalog: %w", e, err)
	}
	return row, doc, nil
}

// adopt gives a prepared run the ends that are open already.
func (a *Activities) adopt(r *openRun) {
	r.stop, r.window = make(chan struct{}), window.New()
	r.once.Do(func() {})
	a.forget(r.epoch) // of an attempt whose answer was lost
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.runs == nil {
		a.runs = map[catalog.Epoch]*openRun{}
	}
	a.runs[r.epoch] = r
}

// forget closes what a run has open here.
func (a *Activities) forget(e catalog.Epoch) {
	a.mu.Lock()
	r := a.runs[e]
	a.mu.Unlock()
	if r != nil {
		a.drop(r)
	}
}

// drop closes r, unless somebody did. Another one of its epoch stays.
func (a *Activities) drop(r *openRun) {
	a.mu.Lock()
	mine := a.runs[r.epoch] == r
	if mine {
		delete(a.runs, r.epoch)
	}
	a.mu.Unlock()
	if mine {
		if rate := r.window.Rate(); rate > 0 {
			a.Log.Info("what the store took", "requests_at_once", r.window.Size(), "rate_bps", rate)
		}
		a.closeRun(r)
	}
}

func (a *Activities) closeRun(r *openRun) {
	for _, end := range []any{r.source, r.cloud.fetcher, r.store, &r.target} {
		if c, ok := end.(io.Closer); ok {
			if err := c.Close(); err != nil {
				a.Log.Warn("close", "err", err)
			}
		}
	}
}

// Close releases what runs have open. No activity may be running. It is no
// method because every exported method of Activities is an activity.
func Close(a *Activities) {
	a.mu.Lock()
	epochs := make([]catalog.Epoch, 0, len(a.runs))
	for e := range a.runs {
		epochs = append(epochs, e)
	}
	a.mu.Unlock()
	for _, e := range epochs {
		a.forget(e)
	}
}

// Types of application errors that a workflow acts on.
const (
	// ErrPlanLost: the catalog does not know the run; scan again.
	ErrPlanLost = "PlanLost"
	// ErrExit: the run cannot go on; Details hold an ExitDetail.
	ErrExit = "Exit"
)

// ExitDetail carries an exit.Error through Temporal.
type ExitDetail struct {
	Code exit.Code `json:"code"`
	What string    `json:"what"`
	Why  string    `json:"why"`
	Do   string    `json:"do"`
}

// toTemporal gives err the type that a workflow acts on. What is no known
// end stays retryable.
func toTemporal(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*exit.Error](err); ok {
		d := ExitDetail{Code: e.Code, What: e.What, Do: e.Do}
		if e.Err != nil {
			d.Why = e.Err.Error()
		}
		return temporal.NewApplicationErrorWithOptions(e.Error(), ErrExit, temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{d}})
	}
	if errors.Is(err, catalog.ErrNoPlan) {
		return temporal.NewNonRetryableApplicationError(err.Error(), ErrPlanLost, err)
	}
	return err
}

// FromTemporal returns the exit.Error that an activity or workflow ended
// with, or err itself.
func FromTemporal(err error) error {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok || app.Type() != ErrExit {
		return err
	}
	var d ExitDetail
	if app.Details(&d) != nil {
		return err
	}
	e := &exit.Error{Code: d.Code, What: d.What, Do: d.Do}
	if d.Why != "" {
		e.Err = errors.New(d.Why)
	}
	return e
}

// destination turns a failure of the store that no repetition of this call
// can mend into the end of the run; others it returns as they are.
func destination(dest string, err error) error {
	if err == nil {
		return nil
	}
	do := ""
	switch objectstore.ClassOf(err) {
	case objectstore.Denied:
		do = "check the credentials and what they may do there"
		if !strings.HasPrefix(dest, "s3:") {
			do = "check who may write there, and how it is mounted"
		}
	case objectstore.Full:
		do = "make room and run the same command again: it goes on where it stopped"
	case objectstore.Invalid:
		do = "check the destination's address"
	default:
		return err
	}
	return &exit.Error{Code: exit.Destination, What: "destination " + dest, Do: do, Err: err}
}
