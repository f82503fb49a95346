package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"go.temporal.io/sdk/activity"

	"lightfast/catalog"
	"lightfast/internal/atomicfile"
	"lightfast/internal/exit"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/photos"
)

// RestoreInput is what a restore was asked to do.
type RestoreInput struct {
	Dest      string        `json:"dest"` // the repository
	Library   string        `json:"library,omitempty"`
	Snapshot  string        `json:"snapshot"` // an id or "latest"
	Target    string        `json:"target"`   // a folder on the worker's host
	Layout    Layout        `json:"layout"`
	Selection Selection     `json:"selection,omitzero"`
	Overwrite bool          `json:"overwrite,omitempty"` // replace files that are not equal
	Sidecars  bool          `json:"sidecars,omitempty"`  // write what the library says beside each picture
	GiveUp    time.Duration `json:"give_up"`
	Limits    Limits        `json:"limits,omitzero"`
}

// restoreItem is one asset of a restore.
type restoreItem struct {
	ID     string        `json:"id"`
	Files  []restoreFile `json:"files,omitempty"`
	Absent []Problem     `json:"absent,omitempty"` // asked for, not in the snapshot, and why

	Metadata *photos.Metadata `json:"metadata,omitempty"` // where sidecars are made of it
}

func (it restoreItem) name() string {
	if len(it.Files) > 0 {
		return it.Files[0].Name
	}
	return path.Base(it.ID)
}

// size of the content, which each file has once.
func (it restoreItem) size() (n int64) {
	for _, f := range it.Files {
		n += f.Size
	}
	return n
}

// PrepareRestore finds the snapshot, and plans what to write where.
func (a *Activities) PrepareRestore(ctx context.Context, in RestoreInput) (Prepared, error) {
	defer heartbeat(ctx)()
	p, err := a.prepareRestore(ctx, activity.GetInfo(ctx).WorkflowExecution.ID, in)
	return p, toTemporal(err)
}

func (a *Activities) prepareRestore(ctx context.Context, workflow string, in RestoreInput) (p Prepared, err error) {
	r := &openRun{}
	if r.store, err = a.reachStore(ctx, in.Dest, in.Limits); err != nil {
		return p, err
	}
	defer func() {
		if err != nil {
			a.closeRun(r)
		}
	}()
	head, err := FindSnapshot(ctx, r.store, in.Dest, in.Library, in.Snapshot)
	if err != nil {
		return p, err
	}
	p.Snapshot = head.ID
	if p.Resumed, err = a.resumeRestore(ctx, workflow, r, head.ID); err != nil {
		return p, err
	}
	if !p.Resumed {
		r.doc = runDoc{Dest: in.Dest, Restore: &in, Run: workOwner(workflow), Snapshot: head.ID, GiveUp: in.GiveUp, Started: a.Now()}
		r.doc.Library.ID = head.Library.ID
		if err = a.planRestore(ctx, workflow, r, head); err != nil {
			return p, RepositoryEnd(in.Dest, err)
		}
	}
	toDo, err := a.showTotals(ctx, r)
	if err != nil {
		return p, err
	}
	a.adopt(r)
	p.Epoch, p.Shares = r.epoch, sharesOf(toDo)
	return p, nil
}

// resumeRestore takes up the plan that this workflow made for the same
// snapshot, if it was not finished.
func (a *Activities) resumeRestore(ctx context.Context, workflow string, r *openRun, snapshot string) (bool, error) {
	last, err := a.Catalog.LastRun(ctx, workflow)
	if errors.Is(err, catalog.ErrNoPlan) || err == nil && last.State != catalog.AtWork {
		return false, nil
	} else if err != nil {
		return false, err
	}
	_, doc, err := a.runRow(ctx, last.Epoch)
	if err != nil || doc.Snapshot != snapshot {
		return false, err
	}
	r.epoch, r.doc = last.Epoch, doc
	return true, nil
}

// workOwner names the work folder of a restore in its target: the next run of
// the same restore finds what a dead one left there, another never does.
func workOwner(workflow string) string {
	sum := sha256.Sum256([]byte(workflow))
	return hex.EncodeToString(sum[:6])
}

// target is the folder that a run writes into, opened once for all its files:
// they are made durable together.
type target struct {
	mu   sync.Mutex // guards tree
	tree *atomicfile.Tree
}

func (t *target) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tree == nil {
		return nil
	}
	err := t.tree.Close()
	t.tree = nil
	return err
}

// sharedTarget returns the target of a run. It is closed with the run.
func (r *openRun) sharedTarget() (t *atomicfile.Tree, err error) {
	r.target.mu.Lock()
	defer r.target.mu.Unlock()
	if r.target.tree == nil {
		r.target.tree, err = r.openTarget()
	}
	return r.target.tree, err
}

// openTarget opens the folder that a run writes into.
func (r *openRun) openTarget() (*atomicfile.Tree, error) {
	t, err := atomicfile.Open(r.doc.Restore.Target, r.doc.Run)
	if err != nil {
		return nil, targetEnd(r.doc.Restore.Target, err)
	}
	return t, nil
}

func targetEnd(dir string, err error) error {
	return &exit.Error{Code: exit.Failed, What: "restore to " + dir, Err: err, Do: "choose a folder that can be written"}
}

func (a *Activities) planRestore(ctx context.Context, workflow string, r *openRun, head manifest.Head) error {
	a.Progress.setPhase(Scanning)
	in := r.doc.Restore
	if err := os.MkdirAll(in.Target, 0o700); err != nil {
		return targetEnd(in.Target, err)
	}
	target, err := r.openTarget()
	if err != nil {
		return err
	}
	defer target.Close()
	p := restorePlan{catalog: a.Catalog, store: r.store, in: *in, head: head, keep: true}
	if p.target, err = target.Names(); err != nil {
		return targetEnd(in.Target, err)
	}
	var assets, need int64
	doc, err := json.Marshal(r.doc)
	if err != nil {
		return err
	}
	if r.epoch, err = a.Catalog.StartRun(ctx, catalog.Run{Workflow: workflow, Doc: doc}); err != nil {
		return err
	}
	if err := p.make(ctx, r.epoch, func(items []restoreItem) error {
		assets += int64(len(items))
		a.Progress.scanned(assets)
		for _, it := range items {
			need += missing(target, it)
		}
		return nil
	}); err != nil {
		return err
	}
	if free, err := target.Free(); err != nil {
		return targetEnd(in.Target, err)
	} else if need > free {
		return &exit.Error{Code: exit.Failed, What: "restore to " + in.Target,
			Err: fmt.Errorf("%s are needed and %s are free", humanize.IBytes(uint64(need)), humanize.IBytes(uint64(free))),
			Do:  "make room, or choose less with --asset, --album, --since or --role"}
	}
	r.doc.Problems, r.doc.Damaged = p.problems, p.damaged
	if doc, err = json.Marshal(r.doc); err != nil {
		return err
	}
	return a.Catalog.SetRun(ctx, r.epoch, catalog.AtWork, doc)
}

// missing returns the bytes that an asset still needs, by the sizes of what
// is in the target.
func missing(target *atomicfile.Tree, it restoreItem) (n int64) {
	for _, f := range it.Files {
		if len(f.Paths) > 0 && !hasSize(target, f.Paths[0], f.Size) {
			n += f.Size
		}
		if len(f.Sidecars) > 0 {
			if res, _ := sidecarOf(*it.Metadata, f); !hasSize(target, f.Sidecars[0], res.Size) {
				n += res.Size
			}
		}
	}
	return n
}

func hasSize(target *atomicfile.Tree, name []byte, size int64) bool {
	here, err := target.Read(string(name))
	if err != nil {
		return false
	}
	defer here.Close()
	info, err := here.Stat()
	return err == nil && info.Size() == size
}

// restorePlan decides which files of a snapshot go where.
type restorePlan struct {
	catalog *catalog.Catalog
	store   objectstore.Store
	in      RestoreInput
	head    manifest.Head
	target  atomicfile.Names
	keep    bool // the items, to be worked off

	problems []Problem
	damaged  bool
}

// make goes through the pages of the snapshot and calls each with the assets
// that are wanted of one page. A page that cannot be read is a problem, and
// does not hide the others.
func (p *restorePlan) make(ctx context.Context, e catalog.Epoch, each func([]restoreItem) error) error {
	if p.in.Sidecars {
		if err := p.reserve(ctx, e); err != nil {
			return err
		}
	}
	wanted, next := newSelector(p.in.Selection), int64(1)
	for _, ref := range p.head.Pages {
		assets, err := wholePage(ctx, p.store, ref)
		if why, bad := damageOf(err); bad {
			p.damaged = true
			p.problems = append(p.problems, Problem{Resource: manifest.PageKey(ref.SHA256), Problem: fmt.Sprintf("%s: %d assets are not restored", why, ref.Assets-len(assets))})
		} else if err != nil {
			return err
		}
		items, err := p.page(ctx, e, wanted, next, assets)
		if err != nil {
			return err
		}
		next += int64(len(items))
		if err := each(items); err != nil {
			return err
		}
	}
	p.problems = append(p.problems, wanted.missed()...)
	return p.catalog.ForgetNames(ctx, e)
}

// wholePage returns the assets of a page, at least those before an error.
func wholePage(ctx context.Context, store objectstore.Store, ref manifest.PageRef) (assets []manifest.Asset, err error) {
	for asset, err := range ReadPage(ctx, store, ref) {
		if err != nil {
			return assets, err
		}
		assets = append(assets, asset)
	}
	return assets, nil
}

// damageOf says why an object of the repository cannot be read for good.
func damageOf(err error) (why string, damaged bool) {
	if errors.Is(err, objectstore.NotFound) {
		return "missing in the repository", true
	}
	if e, ok := errors.AsType[*manifest.DamagedError](err); ok {
		return "damaged in the repository (" + e.Err.Error() + ")", true
	}
	return "", false
}

// page names the files of one page's wanted assets in one transaction.
func (p *restorePlan) page(ctx context.Context, e catalog.Epoch, wanted *selector, next int64, assets []manifest.Asset) (items []restoreItem, err error) {
	err = p.catalog.PlanItems(ctx, e, func(names catalog.Planner) error {
		items = items[:0]
		pl := p.placer(names)
		for _, asset := range assets {
			it, ok, err := p.item(pl, wanted, asset)
			if err != nil || !ok {
				if err != nil {
					return err
				}
				continue
			}
			if p.keep {
				doc, err := json.Marshal(it)
				if err != nil {
					return err
				}
				if err := names.Add(planned(it, next+int64(len(items))), doc); err != nil {
					return err
				}
			}
			items = append(items, it)
		}
		return nil
	})
	return items, err
}

func (p *restorePlan) placer(names catalog.Planner) placer {
	return placer{layout: p.in.Layout, target: p.target, names: names}
}

func planned(it restoreItem, n int64) catalog.Item {
	plan := catalog.Item{Item: n, Lane: Small, Name: it.name(), Size: it.size()}
	if plan.Size > smallAsset {
		plan.Lane, plan.Rank = Large, plan.Size
	}
	return plan
}

// taken is when a picture was taken, as the time of a file; 0 for unknown.
func taken(m photos.Metadata) int64 {
	t, err := time.Parse(time.RFC3339, m.Date)
	if err != nil {
		return 0
	}
	return t.UnixNano()
}

func (p *restorePlan) item(pl placer, wanted *selector, asset manifest.Asset) (it restoreItem, ok bool, err error) {
	var m photos.Metadata
	if err := json.Unmarshal(asset.Metadata, &m); err != nil {
		m = photos.Metadata{} // its files matter more than what is said of them
	}
	if !wanted.asset(asset, m) {
		return it, false, nil
	}
	it.ID = asset.ID
	var stored []manifest.Resource
	for _, res := range asset.Resources {
		switch {
		case !wanted.resource(res):
		case res.Stored():
			if res.ModTime == 0 { // it came from iCloud, where there are no files
				res.ModTime = taken(m)
			}
			stored = append(stored, res)
		default:
			it.Absent = append(it.Absent, Problem{Asset: asset.ID, Resource: res.Role + " " + res.Name, Problem: res.Reason})
		}
	}
	if stored == nil && it.Absent == nil {
		return it, false, nil
	}
	if it.Files, err = pl.place(asset, m, stored); err == nil && p.in.Sidecars && pl.space == fileSpace {
		err = pl.placeSidecars(&it, m)
	}
	return it, err == nil, err
}
