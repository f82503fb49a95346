package activities

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"lightfast/catalog"
	"lightfast/internal/atomicfile"
	"lightfast/internal/exit"
	"lightfast/manifest"
)

// RestoreResult is what a finished restore came to.
type RestoreResult struct {
	Snapshot string  `json:"snapshot"`
	Library  string  `json:"library"`
	Assets   int64   `json:"assets"`
	Files    int64   `json:"files"`    // written, each of its names
	Equal    int64   `json:"equal"`    // there already, with the same bytes
	Renamed  int64   `json:"renamed"`  // resources that could not keep their name
	Sidecars int64   `json:"sidecars"` // made of metadata: written or there already, not among files
	Bytes    int64   `json:"bytes"`    // written
	Absent   int64   `json:"absent"`   // resources that the snapshot does not have
	Duration float64 `json:"duration_s"`
	PeakRSS  int64   `json:"peak_rss_bytes"`
	Resumed  bool    `json:"resumed"`
	DryRun   bool    `json:"dry_run,omitempty"` // nothing was written

	Missing  []Problem `json:"missing"` // the first of Absent, with their reasons
	Problems []Problem `json:"problems"`
	Count    int64     `json:"problem_count"`
	Damaged  bool      `json:"damaged"` // some content is missing in the repository or not what it was
}

func (r *RestoreResult) addProblems(ps []Problem) {
	r.Count += int64(len(ps))
	r.Problems = append(r.Problems, ps[:min(len(ps), problemsMost-len(r.Problems))]...)
}

// addAbsent counts what the snapshot does not have. It is a problem where the
// asset was asked for by name.
func (r *RestoreResult) addAbsent(ps []Problem, s Selection) {
	r.Absent += int64(len(ps))
	r.Missing = append(r.Missing, ps[:min(len(ps), problemsMost-len(r.Missing))]...)
	if len(s.Assets) > 0 {
		r.addProblems(ps)
	}
}

// RestoreAsset writes every stored resource of one asset to its places. A file
// gets its name when its hash was right, and nothing unequal is overwritten
// unless that was asked for.
func (a *Activities) RestoreAsset(ctx context.Context, in ItemInput) (Outcome, error) {
	return a.once(ctx, in, a.Catalog.PlannedItem, a.restoreAsset)
}

// restoreOutcome is what the catalog keeps of a restored asset beside counts.
type restoreOutcome struct {
	Absent   []Problem `json:"absent,omitempty"`
	Problems []Problem `json:"problems,omitempty"`
	Damaged  bool      `json:"damaged,omitempty"`
	Renamed  int64     `json:"renamed,omitempty"`
	Sidecars int64     `json:"sidecars,omitempty"`
}

func (o restoreOutcome) empty() bool {
	return o.Absent == nil && o.Problems == nil && o.Renamed == 0 && o.Sidecars == 0
}

func (a *Activities) restoreAsset(ctx context.Context, r *openRun, in ItemInput, p catalog.Planned) (size int64, out Outcome, err error) {
	var it restoreItem
	if err := json.Unmarshal(p.Doc, &it); err != nil {
		return 0, "", fmt.Errorf("item %d in the catalog: %w", in.Item, err)
	}
	target, err := r.sharedTarget()
	if err != nil {
		return 0, "", err
	}
	w := writer{Activities: a, openRun: r, target: target, in: in, out: catalog.Outcome{State: catalog.Done}}
	w.notes.Absent = it.Absent
	for _, f := range it.Files {
		if err := w.file(ctx, it, f); err != nil {
			return 0, "", err
		}
	}
	if w.notes.Problems != nil {
		w.out.State = catalog.Failed
	}
	if !w.notes.empty() {
		if w.out.Error, err = json.Marshal(w.notes); err != nil {
			return 0, "", err
		}
	}
	return it.size(), OutcomeDone, a.Catalog.SetItem(ctx, in.Epoch, in.Item, w.out)
}

// writer writes the files of one asset.
type writer struct {
	*Activities
	*openRun
	target *atomicfile.Tree
	in     ItemInput
	out    catalog.Outcome
	notes  restoreOutcome
}

// fileProblem is a failure that concerns one file alone.
type fileProblem struct {
	why     string
	damaged bool // of the repository's content, not of the target
}

func (p *fileProblem) Error() string { return p.why }

// file writes one resource under all its names, each with its sidecar. The
// second and further ones are hard links where the target has them: ten albums
// must not need ten times the room. A name that another file has gets no
// sidecar: it would speak of that one.
func (w *writer) file(ctx context.Context, it restoreItem, f restoreFile) error {
	if len(f.Paths) == 0 {
		w.problem(it.ID, f.Name, leadsOut(f))
	}
	if f.Renamed {
		w.notes.Renamed++
	}
	whole, sidecar := "", "" // names that have the content
	for i, p := range f.Paths {
		equal, err := w.name(ctx, f.Resource, string(p), whole)
		if problem, ok := errors.AsType[*fileProblem](err); ok {
			w.problem(it.ID, f.Name, problem)
			if problem.damaged {
				return nil // so it is for every name
			}
			continue
		} else if err != nil {
			return err
		}
		if whole = string(p); equal {
			w.out.Known++
		} else {
			w.out.Fresh++
		}
		if f.Sidecars == nil {
			continue
		}
		if sidecar, err = w.sidecar(ctx, it, f, i, sidecar); err != nil {
			return err
		}
	}
	return nil
}

func leadsOut(f restoreFile) *fileProblem {
	return &fileProblem{why: fmt.Sprintf("path %q leads out of the target", f.Path), damaged: true}
}

func (w *writer) problem(asset, name string, p *fileProblem) {
	w.notes.Problems = append(w.notes.Problems, Problem{Asset: asset, Resource: name, Problem: p.why})
	w.notes.Damaged = w.notes.Damaged || p.damaged
}

// name gives the content of res a name: it is there already, or a link to
// whole, or written.
func (w *writer) name(ctx context.Context, res manifest.Resource, name, whole string) (equal bool, err error) {
	overwrite := w.doc.Restore.Overwrite
	switch same, err := sameFile(w.target, name, res); {
	case err != nil || same == fileEqual:
		return same == fileEqual, err
	case same == fileDiffers && !overwrite:
		return false, errInTheWay
	}
	if whole != "" {
		err := w.target.Link(whole, name, overwrite)
		if err == nil || !errors.Is(err, errors.ErrUnsupported) {
			return false, wrapTarget(err)
		}
	}
	f, err := w.content(ctx, res)
	if err != nil {
		return false, err
	}
	defer f.Discard()
	if res.ModTime != 0 {
		if err := f.SetModTime(res.ModTime); err != nil {
			return false, targetProblem(err)
		}
	}
	err = f.Commit(name, overwrite)
	if errors.Is(err, fs.ErrExist) { // it came meanwhile
		same, err := sameFile(w.target, name, res)
		if err == nil && same != fileEqual {
			err = errInTheWay
		}
		return same == fileEqual, err
	}
	if err == nil {
		w.out.Bytes += res.Size
	}
	return false, wrapTarget(err)
}

// content returns a file without a name that has the content of res.
func (w *writer) content(ctx context.Context, res manifest.Resource) (*atomicfile.File, error) {
	plain := res.Key != "" && res.Encoding == ""
	if plain && res.Size >= rangedLeast {
		return w.download(ctx, res)
	}
	f, err := w.target.Create()
	if err != nil {
		return nil, targetProblem(err)
	}
	if plain {
		err = w.fetchPlain(ctx, res, f)
	} else {
		err = fetch(ctx, w.store, w.Budget, res, f)
	}
	if err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

var errInTheWay = &fileProblem{why: "another file has its name; it was left as it is (--overwrite replaces it)"}

// fileState is how a name in the target compares with the content that it
// should have.
type fileState int

const (
	fileNone fileState = iota
	fileEqual
	fileDiffers
)

// sameFile compares by length and hash. A link is a difference: it is never
// followed.
func sameFile(t *atomicfile.Tree, name string, res manifest.Resource) (fileState, error) {
	f, err := t.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fileNone, nil
	}
	if e, ok := errors.AsType[*atomicfile.InTheWay](err); ok && e.Name == name {
		return fileDiffers, nil
	} else if err != nil {
		return fileNone, targetProblem(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fileNone, targetProblem(err)
	}
	if info.Size() != res.Size {
		return fileDiffers, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fileNone, targetProblem(err)
	}
	if manifest.Hash(h.Sum(nil)) != *res.SHA256 {
		return fileDiffers, nil
	}
	return fileEqual, nil
}

// targetProblem: a full disk ends the restore, anything else is about this
// file.
func targetProblem(err error) error {
	if isFull(err) {
		return &exit.Error{Code: exit.Failed, What: "restore", Err: err, Do: "make room and run the same command again: it goes on where it stopped"}
	}
	return &fileProblem{why: err.Error()}
}

func wrapTarget(err error) error {
	if err == nil {
		return nil
	}
	return targetProblem(err)
}

// FinishRestore sums a restore up.
func (a *Activities) FinishRestore(ctx context.Context, e catalog.Epoch) (RestoreResult, error) {
	defer heartbeat(ctx)()
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
		Duration: a.Now().Sub(r.doc.Started).Seconds(), PeakRSS: PeakBytes(), Missing: []Problem{}, Problems: []Problem{}, Damaged: r.doc.Damaged}
	res.addProblems(r.doc.Problems)
	err = a.Catalog.Errors(ctx, r.epoch, func(_ string, doc []byte) error {
		var o restoreOutcome
		if err := json.Unmarshal(doc, &o); err != nil {
			return err
		}
		res.addAbsent(o.Absent, r.doc.Restore.Selection)
		res.Renamed += o.Renamed
		res.Sidecars += o.Sidecars
		res.Damaged = res.Damaged || o.Damaged
		res.addProblems(o.Problems)
		return nil
	})
	if err != nil {
		return res, err
	}
	target, err := r.openTarget()
	if err != nil {
		return res, err
	}
	defer target.Close()
	if err := errors.Join(target.Clean(), atomicfile.SyncTree(r.doc.Restore.Target)); err != nil {
		return res, targetEnd(r.doc.Restore.Target, err)
	}
	return res, a.Catalog.SetRun(ctx, r.epoch, catalog.Finished, nil)
}
