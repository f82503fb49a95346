package activities

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"lightfast/catalog"
	"lightfast/internal/atomicfile"
	"lightfast/internal/exit"
	"lightfast/manifest"
	"lightfast/objectstore"
)

// RestoreInput is what a restore was asked to do.
type RestoreInput struct {
	Dest     string        `json:"dest"` // the repository
	Library  string        `json:"library,omitempty"`
	Snapshot string        `json:"snapshot"` // an id or "latest"
	Target   string        `json:"target"`   // a folder on the worker's host
	GiveUp   time.Duration `json:"give_up"`
}

// RestoreResult is what a finished restore came to.
type RestoreResult struct {
	Snapshot string  `json:"snapshot"`
	Library  string  `json:"library"`
	Assets   int64   `json:"assets"`
	Files    int64   `json:"files"` // written
	Equal    int64   `json:"equal"` // there already, with the same bytes
	Bytes    int64   `json:"bytes"` // written
	Absent   int64   `json:"absent"`
	Duration float64 `json:"duration_s"`
	PeakRSS  int64   `json:"peak_rss_bytes"`
	Resumed  bool    `json:"resumed"`

	Problems []Problem `json:"problems"`
	Damaged  bool      `json:"damaged"` // some content is missing in the repository or not what it was
	Count    int64     `json:"problem_count"`
}

// restoreItem is one asset of a restore.
type restoreItem struct {
	ID        string              `json:"id"`
	Resources []manifest.Resource `json:"resources"` // stored ones
	Absent    int                 `json:"absent"`
}

// PrepareRestore finds the snapshot and plans its assets.
func (a *Activities) PrepareRestore(ctx context.Context, in RestoreInput) (Prepared, error) {
	defer heartbeat(ctx)()
	p, err := a.prepareRestore(ctx, activity.GetInfo(ctx).WorkflowExecution.ID, in)
	return p, toTemporal(err)
}

func (a *Activities) prepareRestore(ctx context.Context, workflow string, in RestoreInput) (Prepared, error) {
	store, err := a.reachStore(ctx, in.Dest)
	if err != nil {
		return Prepared{}, err
	}
	head, err := FindSnapshot(ctx, store, in.Dest, in.Library, in.Snapshot)
	if err != nil {
		return Prepared{}, err
	}
	if err := makeTarget(in.Target); err != nil {
		return Prepared{}, err
	}
	last, err := a.Catalog.LastRun(ctx, workflow)
	if err == nil && last.State == catalog.AtWork {
		r, err := a.run(ctx, last.Epoch)
		if err == nil && r.doc.Snapshot == head.ID {
			return Prepared{Epoch: last.Epoch, Snapshot: head.ID, Resumed: true}, a.showTotals(ctx, r)
		}
	} else if err != nil && !errors.Is(err, catalog.ErrNoPlan) {
		return Prepared{}, err
	}
	r := &openRun{store: store, doc: runDoc{Dest: in.Dest, Restore: &in, Snapshot: head.ID, GiveUp: in.GiveUp, Started: a.Now()}}
	r.doc.Library.ID = head.Library.ID
	if err := a.planRestore(ctx, workflow, r, head); err != nil {
		return Prepared{}, RepositoryEnd(in.Dest, err)
	}
	a.adopt(r)
	return Prepared{Epoch: r.epoch, Snapshot: head.ID}, a.showTotals(ctx, r)
}

func makeTarget(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &exit.Error{Code: exit.Failed, What: "restore to " + dir, Err: err, Do: "choose a folder that can be written"}
	}
	return nil
}

func (a *Activities) planRestore(ctx context.Context, workflow string, r *openRun, head manifest.Head) error {
	a.Progress.setPhase(Scanning)
	doc, err := json.Marshal(r.doc)
	if err != nil {
		return err
	}
	if r.epoch, err = a.Catalog.StartRun(ctx, catalog.Run{Workflow: workflow, Doc: doc}); err != nil {
		return err
	}
	n := int64(1)
	for _, ref := range head.Pages {
		items, docs, err := planPage(ctx, r.store, ref)
		if err != nil {
			return fmt.Errorf("page %s: %w", ref.SHA256, err)
		}
		if err := a.Catalog.AddItems(ctx, r.epoch, n, items, docs); err != nil {
			return err
		}
		n += int64(len(items))
		a.Progress.scanned(n)
	}
	return a.Catalog.SetRun(ctx, r.epoch, catalog.AtWork, nil)
}

func planPage(ctx context.Context, store objectstore.Store, ref manifest.PageRef) (items []catalog.Item, docs [][]byte, err error) {
	for asset, err := range ReadPage(ctx, store, ref) {
		if err != nil {
			return nil, nil, err
		}
		it := restoreItem{ID: asset.ID}
		plan := catalog.Item{Lane: Small, Name: path.Base(asset.ID)}
		for _, res := range asset.Resources {
			if !res.Stored() {
				it.Absent++
				continue
			}
			it.Resources = append(it.Resources, res)
			plan.Size += res.Size
			plan.Name = res.Name
		}
		if plan.Size > smallAsset {
			plan.Lane, plan.Rank = Large, plan.Size
		}
		doc, err := json.Marshal(it)
		if err != nil {
			return nil, nil, err
		}
		items, docs = append(items, plan), append(docs, doc)
	}
	return items, docs, nil
}

// RestoreAsset writes every stored resource of one asset to its place. A file
// gets its name when its hash was right, and nothing unequal is overwritten.
func (a *Activities) RestoreAsset(ctx context.Context, in ItemInput) (Outcome, error) {
	r, err := a.run(ctx, in.Epoch)
	if err != nil {
		return "", toTemporal(err)
	}
	state, err := a.Catalog.ItemState(ctx, in.Epoch, in.Item)
	if err != nil {
		return "", toTemporal(err)
	}
	if state != catalog.ToDo {
		return OutcomeDone, nil
	}
	end := a.Progress.begin(in.Name)
	size, err := a.restoreAsset(ctx, r, in)
	end(err == nil, size)
	if err == nil || ctx.Err() != nil {
		return OutcomeDone, err
	}
	return a.failed(ctx, r, in, err)
}

// restoreOutcome is what the catalog keeps of a restored asset; its words are
// those of the result.
type restoreOutcome struct {
	Absent   int       `json:"absent,omitempty"`
	Problems []Problem `json:"problems,omitempty"`
	Damaged  bool      `json:"damaged,omitempty"`
}

func (a *Activities) restoreAsset(ctx context.Context, r *openRun, in ItemInput) (size int64, err error) {
	doc, err := a.Catalog.ItemDoc(ctx, in.Epoch, in.Item)
	if err != nil {
		return 0, err
	}
	var it restoreItem
	if err := json.Unmarshal(doc, &it); err != nil {
		return 0, fmt.Errorf("item %d in the catalog: %w", in.Item, err)
	}
	root, err := os.OpenRoot(r.doc.Restore.Target)
	if err != nil {
		return 0, &exit.Error{Code: exit.Failed, What: "restore to " + r.doc.Restore.Target, Err: err}
	}
	defer root.Close()
	out := catalog.Outcome{State: catalog.Done}
	notes := restoreOutcome{Absent: it.Absent}
	for _, res := range it.Resources {
		equal, err := a.restoreFile(ctx, r, root, res)
		var p *fileProblem
		switch {
		case errors.As(err, &p):
			notes.Problems = append(notes.Problems, Problem{Asset: it.ID, Resource: res.Name, Problem: p.why})
			notes.Damaged = notes.Damaged || p.damaged
			out.State = catalog.Failed
		case err != nil:
			return size, err
		case equal:
			out.Known++
		default:
			out.Fresh++
			out.Bytes += res.Size
		}
		size += res.Size
	}
	if notes.Absent > 0 || notes.Problems != nil {
		if out.Error, err = json.Marshal(notes); err != nil {
			return size, err
		}
	}
	return size, a.Catalog.SetItem(ctx, in.Epoch, in.Item, out)
}

// fileProblem is a failure that concerns one file alone.
type fileProblem struct {
	why     string
	damaged bool // of the repository's content, not of the target
}

func (p *fileProblem) Error() string { return p.why }

func (a *Activities) restoreFile(ctx context.Context, r *openRun, root *os.Root, res manifest.Resource) (equal bool, err error) {
	name, ok := targetPath(res)
	if !ok {
		return false, &fileProblem{why: fmt.Sprintf("path %q leads out of the target", res.Path), damaged: true}
	}
	if equal, err := sameFile(root, name, res); err != nil || equal {
		return equal, err
	}
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return false, &fileProblem{why: err.Error()}
	}
	f, err := atomicfile.Create(root, name, 0o600)
	if err != nil {
		return false, targetProblem(err)
	}
	defer f.Discard()
	if err := fetch(ctx, r.store, res, f); err != nil {
		return false, err
	}
	if res.ModTime != 0 {
		if err := f.SetModTime(time.Unix(0, res.ModTime)); err != nil {
			return false, targetProblem(err)
		}
	}
	if err := f.Commit(); errors.Is(err, fs.ErrExist) {
		return false, &fileProblem{why: "another file has its name; it was left as it is"}
	} else if err != nil {
		return false, targetProblem(err)
	}
	return false, nil
}

// targetPath returns where a resource goes, slash-separated and inside the
// target, or false for a path that is none of ours.
func targetPath(res manifest.Resource) (string, bool) {
	p := res.Path
	if res.PathRaw != nil {
		p = string(res.PathRaw)
	}
	if p == "" || strings.ContainsRune(p, 0) || path.IsAbs(p) || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../") || p == "." {
		return "", false
	}
	return p, true
}

// sameFile reports whether a file of that name is there with these bytes.
// Another one there is a problem: restore never overwrites it.
func sameFile(root *os.Root, name string, res manifest.Resource) (bool, error) {
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, targetProblem(err)
	}
	differs := &fileProblem{why: "another file has its name; it was left as it is"}
	if !info.Mode().IsRegular() || info.Size() != res.Size {
		return false, differs
	}
	f, err := root.Open(name)
	if err != nil {
		return false, targetProblem(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false, targetProblem(err)
	}
	if manifest.Hash(h.Sum(nil)) != *res.SHA256 {
		return false, differs
	}
	return true, nil
}

// targetProblem: a full disk ends the restore, anything else is about this
// file.
func targetProblem(err error) error {
	if isFull(err) {
		return &exit.Error{Code: exit.Failed, What: "restore", Err: err, Do: "make room and run the same command again: it goes on where it stopped"}
	}
	return &fileProblem{why: err.Error()}
}

// fetch writes the content of a resource, and fails unless it is what its
// hash says.
func fetch(ctx context.Context, store objectstore.Store, res manifest.Resource, w io.Writer) error {
	if res.Key == "" { // in the page, which was verified
		_, err := w.Write(res.Inline)
		return wrapTarget(err)
	}
	if res.Encoding != "" {
		return &fileProblem{why: fmt.Sprintf("encoding %q is not known to this version", res.Encoding)}
	}
	body, err := store.Get(ctx, res.Key, 0, -1)
	if errors.Is(err, objectstore.NotFound) {
		return &fileProblem{why: "its content is missing in the repository", damaged: true}
	} else if err != nil {
		return err
	}
	defer body.Close()
	h := sha256.New()
	n, err := io.Copy(tee{w, h}, body)
	switch {
	case err != nil:
		return err
	case n != res.Size || manifest.Hash(h.Sum(nil)) != *res.SHA256:
		return &fileProblem{why: "its content in the repository is damaged", damaged: true}
	}
	return nil
}

// tee writes to a file, whose errors are the target's, and to a hash.
type tee struct {
	file io.Writer
	hash io.Writer
}

func (t tee) Write(p []byte) (int, error) {
	n, err := t.file.Write(p)
	t.hash.Write(p[:n])
	return n, wrapTarget(err)
}

func wrapTarget(err error) error {
	if err == nil {
		return nil
	}
	return targetProblem(err)
}

// FinishRestore sums a restore up.
func (a *Activities) FinishRestore(ctx context.Context, e catalog.Epoch) (RestoreResult, error) {
	r, err := a.run(ctx, e)
	if err != nil {
		return RestoreResult{}, toTemporal(err)
	}
	a.Progress.setPhase(Finishing)
	res, err := a.finishRestore(ctx, r)
	return res, toTemporal(err)
}

func (a *Activities) finishRestore(ctx context.Context, r *openRun) (res RestoreResult, err error) {
	f, err := a.Catalog.PlanFigures(ctx, r.epoch)
	if err != nil {
		return res, err
	}
	res = RestoreResult{Snapshot: r.doc.Snapshot, Library: r.doc.Library.ID, Assets: f.Items, Files: f.Fresh, Equal: f.Known, Bytes: f.Bytes,
		Duration: a.Now().Sub(r.doc.Started).Seconds(), PeakRSS: PeakBytes(), Problems: []Problem{}}
	err = a.Catalog.Errors(ctx, r.epoch, func(_ string, doc []byte) error {
		var o restoreOutcome
		if err := json.Unmarshal(doc, &o); err != nil {
			return err
		}
		res.Absent += int64(o.Absent)
		res.Count += int64(len(o.Problems))
		res.Damaged = res.Damaged || o.Damaged
		res.Problems = append(res.Problems, o.Problems[:min(len(o.Problems), problemsMost-len(res.Problems))]...)
		return nil
	})
	if err != nil {
		return res, err
	}
	if err := atomicfile.SyncTree(r.doc.Restore.Target); err != nil {
		return res, &exit.Error{Code: exit.Failed, What: "restore to " + r.doc.Restore.Target, Err: err}
	}
	return res, a.Catalog.SetRun(ctx, r.epoch, catalog.Finished, nil)
}
