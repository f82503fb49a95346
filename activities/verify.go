package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"lightfast/catalog"
	"lightfast/internal/exit"
	"lightfast/manifest"
	"lightfast/objectstore"
)

// VerifyInput is what a verify was asked to do.
type VerifyInput struct {
	Dest      string        `json:"dest"`
	Library   string        `json:"library,omitempty"`
	Snapshot  string        `json:"snapshot"` // an id, "latest" or "all"
	Checksums bool          `json:"checksums,omitempty"`
	GiveUp    time.Duration `json:"give_up"`
	Limits    Limits        `json:"limits,omitzero"`

	Found *VerifyResult `json:"found,omitempty"` // by the steps so far, in the catalog alone
}

// VerifyResult is what a finished verify came to.
type VerifyResult struct {
	Snapshots    int64   `json:"snapshots"`
	Pages        int64   `json:"pages"` // read and compared with their hashes, each once
	Assets       int64   `json:"assets"`
	Blobs        int64   `json:"blobs"`        // named by the snapshots, each once
	Bytes        int64   `json:"bytes"`        // of those, as stored
	Checksums    int64   `json:"checksums"`    // blobs whose checksum the store has, and it is right
	Unreferenced int64   `json:"unreferenced"` // blobs that these snapshots do not name
	Foreign      int64   `json:"foreign"`      // objects that are none of ours; never touched
	Receipt      string  `json:"receipt"`
	Duration     float64 `json:"duration_s"`
	PeakRSS      int64   `json:"peak_rss_bytes"`

	ForeignKeys []string  `json:"foreign_keys"`  // the first of them
	Problems    []Problem `json:"problems"`      // the first of them
	Count       int64     `json:"problem_count"` // damaged objects; the receipt names them
}

// The steps of a verify follow one another. Heads are read before pages, and
// pages before the listing: what a backup commits meanwhile raises no alarm.
// Each may be repeated; what it found is in the catalog.

// PrepareVerify reads the heads, and lists their pages in the catalog.
func (a *Activities) PrepareVerify(ctx context.Context, in VerifyInput) (Prepared, error) {
	defer heartbeat(ctx)()
	p, err := a.prepareVerify(ctx, activity.GetInfo(ctx).WorkflowExecution.ID, in)
	return p, toTemporal(err)
}

func (a *Activities) prepareVerify(ctx context.Context, workflow string, in VerifyInput) (p Prepared, err error) {
	a.Progress.setPhase(Scanning)
	store, err := a.reachStore(ctx, in.Dest, in.Limits)
	if err != nil {
		return Prepared{}, err
	}
	in.Found = &VerifyResult{ForeignKeys: []string{}, Problems: []Problem{}}
	r := &openRun{store: store, doc: runDoc{Dest: in.Dest, Verify: &in, Run: newRunID(), GiveUp: in.GiveUp,
		Started: a.Now(), Time: a.Now().UTC().Truncate(time.Second)}}
	defer func() {
		if err != nil {
			a.closeRun(r)
		}
	}()
	config, err := ReadConfig(ctx, store)
	if errors.Is(err, objectstore.NotFound) {
		return Prepared{}, &exit.Error{Code: exit.NoRepo, What: "no repository at " + in.Dest, Do: "check the address"}
	} else if err != nil {
		return Prepared{}, RepositoryEnd(in.Dest, err)
	}
	r.doc.Repository = config.Repository
	pages, damaged, err := a.verifyHeads(ctx, r)
	if err != nil {
		return Prepared{}, RepositoryEnd(in.Dest, err)
	}
	doc, err := json.Marshal(r.doc)
	if err != nil {
		return Prepared{}, err
	}
	if r.epoch, err = a.Catalog.StartRun(ctx, catalog.Run{Workflow: workflow, Doc: doc}); err != nil {
		return Prepared{}, err
	}
	if err := a.Catalog.SetPages(ctx, r.epoch, pages); err != nil {
		return Prepared{}, err
	}
	if err := a.Catalog.CheckedObjects(ctx, r.epoch, damaged); err != nil {
		return Prepared{}, err
	}
	if err := a.Catalog.SetRun(ctx, r.epoch, catalog.AtWork, nil); err != nil {
		return Prepared{}, err
	}
	a.adopt(r)
	return Prepared{Epoch: r.epoch}, nil
}

// verifyHeads returns the pages that the wanted heads name, each once, and
// the heads that cannot be read.
func (a *Activities) verifyHeads(ctx context.Context, r *openRun) (pages [][]byte, damaged []catalog.Object, err error) {
	in := r.doc.Verify
	seen := map[manifest.Hash]bool{} // 2,000 assets a page
	add := func(h manifest.Head) error {
		in.Found.Snapshots++
		r.doc.Snapshot, r.doc.Library.ID = h.ID, h.Library.ID
		for _, ref := range h.Pages {
			if seen[ref.SHA256] {
				continue
			}
			seen[ref.SHA256] = true
			doc, err := json.Marshal(ref)
			if err != nil {
				return err
			}
			pages = append(pages, doc)
		}
		return nil
	}
	if in.Snapshot != "all" {
		h, err := FindSnapshot(ctx, r.store, in.Dest, in.Library, in.Snapshot)
		if err != nil {
			return nil, nil, err
		}
		return pages, nil, add(h)
	}
	for info, err := range r.store.List(ctx, manifest.SnapshotPrefix) {
		if err != nil {
			return nil, nil, err
		}
		library, id, ok := manifest.ParseHeadKey(info.Key)
		if !ok {
			continue
		}
		h, err := ReadHead(ctx, r.store, info.Key)
		if err == nil && (h.ID != id || manifest.LibraryKey(h.Library.ID) != library) {
			err = &manifest.DamagedError{What: "head", Err: fmt.Errorf("it is the head of %s", h.ID)}
		}
		if why, bad := damageOf(err); bad {
			o, err := damagedObject(manifest.Damage{Key: info.Key, Why: why})
			if err != nil {
				return nil, nil, err
			}
			damaged = append(damaged, o)
			continue
		} else if err != nil {
			return nil, nil, err
		}
		if in.Library != "" && in.Library != h.Library.ID && in.Library != h.Library.Name {
			continue
		}
		if err := add(h); err != nil {
			return nil, nil, err
		}
	}
	if in.Library != "" && in.Found.Snapshots == 0 && damaged == nil {
		return nil, nil, &exit.Error{Code: exit.Failed, What: "no snapshot of " + in.Library + " at " + in.Dest, Do: "`lightfast snapshots` lists what is there"}
	}
	if in.Found.Snapshots != 1 {
		r.doc.Snapshot, r.doc.Library.ID = "", ""
	}
	return pages, damaged, nil
}

func damagedObject(d manifest.Damage) (catalog.Object, error) {
	doc, err := json.Marshal(d)
	return catalog.Object{Key: d.Key, Size: -1, Damage: doc}, err
}

// verifyStep runs one step and keeps what it found.
func (a *Activities) verifyStep(ctx context.Context, e catalog.Epoch, f func(context.Context, *openRun) error) error {
	defer heartbeat(ctx)()
	r, err := a.run(ctx, e)
	if err != nil {
		return toTemporal(err)
	}
	if err := f(ctx, r); err != nil {
		return ofStep(ctx, a.patience(r, err))
	}
	r.answered()
	doc, err := json.Marshal(r.doc)
	if err != nil {
		return err
	}
	return toTemporal(a.Catalog.SetRun(ctx, e, catalog.AtWork, doc))
}

// VerifyPages reads every page, and notes the blobs that they name.
func (a *Activities) VerifyPages(ctx context.Context, e catalog.Epoch) error {
	return a.verifyStep(ctx, e, a.verifyPages)
}

func (a *Activities) verifyPages(ctx context.Context, r *openRun) error {
	refs, err := a.plannedPages(ctx, r)
	if err != nil {
		return err
	}
	found := r.doc.Verify.Found
	found.Pages, found.Assets = int64(len(refs)), 0
	for _, ref := range refs {
		assets, err := wholePage(ctx, r.store, ref)
		if why, bad := damageOf(err); bad {
			o, err := damagedObject(manifest.Damage{Key: manifest.PageKey(ref.SHA256), Missing: errors.Is(err, objectstore.NotFound), Why: why})
			if err != nil {
				return err
			}
			if err := a.Catalog.CheckedObjects(ctx, r.epoch, []catalog.Object{o}); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		var blobs []catalog.Object
		for _, asset := range assets {
			for _, res := range asset.Resources {
				if res.Stored() && res.Key != "" {
					blobs = append(blobs, catalog.Object{Key: res.Key, Size: blobOf(res).StoredSize})
				}
			}
		}
		if err := a.Catalog.ExpectObjects(ctx, r.epoch, blobs); err != nil {
			return err
		}
		found.Assets += int64(len(assets))
		a.Progress.scanned(found.Assets)
	}
	return nil
}

// VerifyListing lists the whole repository once, and looks closer at what is
// not there with its size: a listing may be older than a backup's last blob.
func (a *Activities) VerifyListing(ctx context.Context, e catalog.Epoch) error {
	return a.verifyStep(ctx, e, a.verifyListing)
}

// verifyBatch is how many objects share a transaction.
const verifyBatch = 1000

func (a *Activities) verifyListing(ctx context.Context, r *openRun) error {
	found := r.doc.Verify.Found
	found.Foreign, found.ForeignKeys, found.Unreferenced = 0, []string{}, 0
	var blobs []catalog.Object
	flush := func() error {
		known, err := a.Catalog.FoundObjects(ctx, r.epoch, blobs)
		found.Unreferenced += int64(len(blobs)) - known
		blobs = blobs[:0]
		return err
	}
	for info, err := range r.store.List(ctx, "") {
		if err != nil {
			return err
		}
		if _, ok := manifest.ParseBlobKey(info.Key); ok {
			if blobs = append(blobs, catalog.Object{Key: info.Key, Size: info.Size}); len(blobs) == verifyBatch {
				if err := flush(); err != nil {
					return err
				}
			}
		} else if !isOurs(info.Key) {
			found.Foreign++
			if len(found.ForeignKeys) < problemsMost {
				found.ForeignKeys = append(found.ForeignKeys, info.Key)
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return a.lookAtEach(ctx, r, a.Catalog.SuspectObjects)
}
