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
	p := restorePlan{catalog: c, store: s, in: in, head: head}
	err = p.make(ctx, epoch, func(items []restoreItem) error {
		res.Assets += int64(len(items))
		for _, it := range items {
			if err := dryItem(target, in, it, &res, show); err != nil {
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

func dryItem(target *atomicfile.Tree, in RestoreInput, it restoreItem, res *RestoreResult, show func(PlannedFile)) error {
	res.addAbsent(it.Absent, in.Selection)
	for _, f := range it.Files {
		if len(f.Paths) == 0 {
			res.addProblems([]Problem{{Asset: it.ID, Resource: f.Name, Problem: leadsOut(f).why}})
			res.Damaged = true
		}
		if f.Renamed {
			res.Renamed++
		}
		for i, p := range f.Paths {
			file := PlannedFile{Path: string(p), Size: f.Size, SHA256: *f.SHA256, Asset: it.ID, Role: f.Role}
			state, err := fileNone, error(nil)
			if target != nil {
				state, err = sameFile(target, file.Path, f.Resource)
			}
			problem, ok := errors.AsType[*fileProblem](err)
			if err != nil && !ok {
				return err
			}
			switch {
			case state == fileDiffers && !in.Overwrite:
				problem = errInTheWay
				fallthrough
			case problem != nil:
				file.Action = "keep"
				res.addProblems([]Problem{{Asset: it.ID, Resource: f.Name, Problem: problem.why}})
			case state == fileEqual:
				file.Action = "equal"
				res.Equal++
			default:
				file.Action = "write"
				res.Files++
				if i == 0 {
					res.Bytes += f.Size
				}
			}
			show(file)
		}
	}
	return nil
}
