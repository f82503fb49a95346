package activities

import (
	"context"
	"errors"
	"io/fs"

	"lightfast/catalog"
	"lightfast/internal/atomicfile"
	"lightfast/manifest"
	"lightfast/objectstore"
)

// PlannedFile is what a restore would do with one name.
type PlannedFile struct {
	Path   string        `json:"path"`
	Size   int64         `json:"size"`
	SHA256 manifest.Hash `json:"sha256"`
	Asset  string        `json:"asset"`
	Role   string        `json:"role"`
	Action string        `json:"action"` // "write", "equal", or "keep" what is there and differs
}

// DryRestore tells what a restore would do, and does nothing but read. What
// the target's file system does with names cannot be learned that way: it is
// taken for one that holds them all.
func DryRestore(ctx context.Context, c *catalog.Catalog, s objectstore.Store, workflow string, in RestoreInput, show func(PlannedFile)) (res RestoreResult, err error) {
	head, err := FindSnapshot(ctx, s, in.Dest, in.Library, in.Snapshot)
	if err != nil {
		return res, err
	}
	target, err := atomicfile.OpenRead(in.Target)
	if err == nil {
		defer target.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return res, targetEnd(in.Target, err)
	}
	epoch, err := c.StartRun(ctx, catalog.Run{Workflow: "dry-" + workflow, Doc: []byte("{}")})
	if err != nil {
		return res, err
	}
	res = RestoreResult{Snapshot: head.ID, Library: head.Library.ID, DryRun: true, Missing: []Problem{}, Problems: []Problem{}}
	p, d := restorePlan{catalog: c, store: s, in: in, head: head}, dryRun{in, target, &res, show}
	err = p.make(ctx, epoch, func(items []restoreItem) error {
		res.Assets += int64(len(items))
		for _, it := range items {
			if err := d.item(it); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return res, RepositoryEnd(in.Dest, err)
	}
	res.addProblems(p.problems)
	res.Damaged = res.Damaged || p.damaged
	return res, c.SetRun(ctx, epoch, catalog.Finished, nil)
}

// dryRun looks at names, and counts.
type dryRun struct {
	in     RestoreInput
	target *atomicfile.Tree // nil where there is none yet
	res    *RestoreResult
	show   func(PlannedFile)
}

func (d dryRun) item(it restoreItem) error {
	d.res.addAbsent(it.Absent, d.in.Selection)
	for _, f := range it.Files {
		if len(f.Paths) == 0 {
			d.res.addProblems([]Problem{{Asset: it.ID, Resource: f.Name, Problem: leadsOut(f).why}})
			d.res.Damaged = true
		}
		if f.Renamed {
			d.res.Renamed++
		}
		for i, p := range f.Paths {
			action, err := d.name(it.ID, f.Resource, p, i == 0)
			if err != nil {
				return err
			}
			switch action {
			case writes:
				d.res.Files++
			case equals:
				d.res.Equal++
			}
			if action == keeps || f.Sidecars == nil {
				continue
			}
			sidecar, _ := sidecarOf(*it.Metadata, f)
			if action, err = d.name(it.ID, sidecar, f.Sidecars[i], i == 0); err != nil {
				return err
			}
			if action != keeps {
				d.res.Sidecars++
			}
		}
	}
	return nil
}

// What a restore does with a name.
const (
	writes = "write"
	equals = "equal"
	keeps  = "keep"
)

// name tells what becomes of one name; first is false for what would be a
// link to the one before.
func (d dryRun) name(asset string, res manifest.Resource, name []byte, first bool) (action string, err error) {
	file := PlannedFile{Path: string(name), Size: res.Size, SHA256: *res.SHA256, Asset: asset, Role: res.Role}
	state := fileNone
	if d.target != nil {
		state, err = sameFile(d.target, file.Path, res)
	}
	problem, ok := errors.AsType[*fileProblem](err)
	if err != nil && !ok {
		return "", err
	}
	switch {
	case state == fileDiffers && !d.in.Overwrite:
		problem = errInTheWay
		fallthrough
	case problem != nil:
		file.Action = keeps
		d.res.addProblems([]Problem{{Asset: asset, Resource: res.Name, Problem: problem.why}})
	case state == fileEqual:
		file.Action = equals
	default:
		file.Action = writes
		if first {
			d.res.Bytes += res.Size
		}
	}
	d.show(file)
	return file.Action, nil
}
