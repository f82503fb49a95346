package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"lightfast/catalog"
	"lightfast/manifest"
	"lightfast/objectstore"
)

// BackupResult is what a finished backup came to; the body of its "result".
type BackupResult struct {
	Snapshot  string    `json:"snapshot"`
	Library   string    `json:"library"`
	Run       string    `json:"run"`
	ScannedAt time.Time `json:"scanned_at"`
	Assets    struct {
		Total      int64 `json:"total"` // the four below together
		Stored     int64 `json:"stored"`
		Unchanged  int64 `json:"unchanged"`
		Incomplete int64 `json:"incomplete"`
		Failed     int64 `json:"failed"`
	} `json:"assets"`
	Orphans   int64 `json:"orphans"`
	Resources struct {
		Stored       int64            `json:"stored"`
		Deduplicated int64            `json:"deduplicated"`
		Kept         int64            `json:"kept"`
		Absent       map[string]int64 `json:"absent"`

		ByRole map[string]RoleTotals `json:"by_role"` // of the snapshot
	} `json:"resources"`
	// Excluded are assets left out by label, each once; they are not in Assets.
	Excluded map[string]int64 `json:"excluded,omitempty"`

	Bytes struct {
		Source int64 `json:"source"` // content of the snapshot
		Sent   int64 `json:"sent"`
		Stored int64 `json:"stored"`
	} `json:"bytes"`
	Duration float64  `json:"duration_s"`
	PeakRSS  int64    `json:"peak_rss_bytes"`
	Resumed  bool     `json:"resumed"`
	Accepted []string `json:"accepted,omitempty"`
	Handling Handling `json:"handling,omitempty"` // "" is PhotosOnly

	Warnings []string  `json:"warnings,omitempty"`
	Problems []Problem `json:"problems,omitempty"` // the first of them
}

// RoleTotals counts the resources of a snapshot in one role: each is stored
// or absent.
type RoleTotals struct {
	Stored int64            `json:"stored"` // those that are kept among them
	Kept   int64            `json:"kept"`
	Absent map[string]int64 `json:"absent"`
}

// Holes reports whether something that should be in the snapshot is not.
func (r BackupResult) Holes() bool { return r.Assets.Incomplete+r.Assets.Failed > 0 }

// BuildPages writes the pages of a run that the repository does not have, and
// keeps their list in the catalog.
func (a *Activities) BuildPages(ctx context.Context, e catalog.Epoch) error {
	defer heartbeat(ctx)()
	r, err := a.run(ctx, e)
	if err != nil {
		return toTemporal(err)
	}
	a.Progress.setPhase(Finishing)
	return ofStep(ctx, a.patience(r, a.buildPages(ctx, r)))
}

func (a *Activities) buildPages(ctx context.Context, r *openRun) error {
	refs, err := a.pagesOf(ctx, r)
	if err != nil {
		return err
	}
	docs := make([][]byte, len(refs))
	for i, ref := range refs {
		if docs[i], err = json.Marshal(ref); err != nil {
			return err
		}
	}
	return a.Catalog.SetPages(ctx, r.epoch, docs)
}

// pagesOf stores the pages of a run's rows as they are now.
func (a *Activities) pagesOf(ctx context.Context, r *openRun) (refs []manifest.PageRef, err error) {
	pager := manifest.NewPager()
	add := func(p *manifest.Page, err error) error {
		if p == nil || err != nil {
			return err
		}
		ref, err := a.putPage(ctx, r, p)
		refs = append(refs, ref)
		return err
	}
	for row, err := range a.Catalog.Rows(ctx, r.epoch, r.lib) {
		if err != nil {
			return nil, err
		}
		if err := add(pager.Add(row.Name, row.Line)); err != nil {
			return nil, err
		}
	}
	return refs, add(pager.Flush())
}

// putPage stores a page that the repository does not have.
func (a *Activities) putPage(ctx context.Context, r *openRun, p *manifest.Page) (manifest.PageRef, error) {
	ref := manifest.PageRef{SHA256: p.Hash, Assets: p.Assets, Size: p.Size}
	size, ok, err := a.Catalog.Page(ctx, r.repo, p.Hash)
	if err != nil || ok {
		ref.StoredSize = size
		return ref, err
	}
	body, err := p.Compress()
	if err != nil {
		return ref, err
	}
	ref.StoredSize = int64(len(body))
	info, err := r.store.Put(ctx, manifest.PageKey(p.Hash), bytes.NewReader(body), ref.StoredSize, sha256Of(body), objectstore.PutOptions{ContentType: "application/zstd"})
	if errors.Is(err, objectstore.Exists) {
		// Another compressor may have made other bytes of the same page: its
		// name says what is in it, and a read checks that.
		ref.StoredSize, err = info.Size, nil
	}
	if err != nil {
		return ref, err
	}
	return ref, a.Catalog.AddPage(ctx, r.repo, p.Hash, ref.StoredSize)
}

// CommitHead makes the snapshot exist: one create-only PUT of bytes that
// follow from the plan, so that any repetition is the same PUT. Then it
// leaves a receipt and ends the run.
func (a *Activities) CommitHead(ctx context.Context, e catalog.Epoch) (BackupResult, error) {
	defer heartbeat(ctx)()
	r, err := a.run(ctx, e)
	if err != nil {
		return BackupResult{}, toTemporal(err)
	}
	res, err := a.commitHead(ctx, r)
	return res, ofStep(ctx, a.patience(r, err))
}

func (a *Activities) commitHead(ctx context.Context, r *openRun) (res BackupResult, err error) {
	totals, err := a.Catalog.Totals(ctx, r.epoch, r.lib, r.doc.hole)
	if err != nil {
		return res, err
	}
	figures, err := a.Catalog.PlanFigures(ctx, r.epoch)
	if err != nil {
		return res, err
	}
	if figures.Done+figures.Failed != figures.Items {
		return res, fmt.Errorf("%d of %d planned assets are not done: no head", figures.Items-figures.Done-figures.Failed, figures.Items)
	}
	pages, err := a.plannedPages(ctx, r)
	if err != nil {
		return res, err
	}
	head := a.head(r, totals, pages)
	body, err := manifest.EncodeHead(head)
	if err != nil {
		return res, err
	}
	if figures.Items > 0 { // else nobody has put a blob
		if err := a.sweep(ctx, r); err != nil {
			return res, err
		}
	}
	if err := putSame(ctx, r.store, manifest.HeadKey(head.Library.ID, head.ID), body, "application/json"); err != nil {
		return res, err
	}
	place, err := r.doc.Source.place()
	if err != nil {
		return res, err
	}
	if err := a.Catalog.SetPlace(ctx, r.repo, place, r.lib); err != nil {
		return res, err
	}
	res = r.result(totals, figures, a.Now())
	if err := a.problems(ctx, r, &res); err != nil {
		return res, err
	}
	if err := a.putReceipt(ctx, r, head, figures, res); err != nil {
		return res, err
	}
	doc, err := json.Marshal(r.doc)
	if err != nil {
		return res, err
	}
	return res, a.Catalog.FinishBackup(ctx, r.epoch, r.lib, head.ID, doc)
}

// head follows from the plan and the rows alone.
func (a *Activities) head(r *openRun, t catalog.Totals, pages []manifest.PageRef) manifest.Head {
	return manifest.Head{
		Format: manifest.Format, Complete: true, ID: r.doc.snapshotID(), Repository: r.doc.Repository,
		Library: manifest.Library{ID: r.doc.Library.ID, Kind: r.doc.Library.Kind, Name: r.doc.Library.Name, Version: r.doc.Library.Version},
		Host:    a.Host, Run: r.doc.Run, Time: r.doc.Time, ScannedAt: r.doc.ScannedAt, Parent: r.doc.Parent, Pages: pages,
		Totals: manifest.Totals{Assets: t.Assets, Orphans: t.Orphans, Resources: t.Resources, Stored: t.StoredResources,
			Kept: t.Kept, Bytes: t.Bytes, Incomplete: t.Incomplete + t.Failed},
		Reasons: t.Absent, Accepted: r.doc.Accept, Excluded: r.doc.Excluded, Warnings: r.doc.Warnings,
	}
}

func (a *Activities) plannedPages(ctx context.Context, r *openRun) (refs []manifest.PageRef, err error) {
	docs, err := a.Catalog.Pages(ctx, r.epoch)
	if err != nil {
		return nil, err
	}
	for _, doc := range docs {
		var ref manifest.PageRef
		if err := json.Unmarshal(doc, &ref); err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// InterimInput numbers the interim heads of a workflow run.
type InterimInput struct {
	Epoch catalog.Epoch `json:"epoch"`
	N     int           `json:"n"`
}

// InterimHead makes what is done so far restorable by name, under a head of
// its own that says it is not complete. Assets that are still to do have no
// content in it.
func (a *Activities) InterimHead(ctx context.Context, in InterimInput) error {
	defer heartbeat(ctx)()
	r, err := a.run(ctx, in.Epoch)
	if err != nil {
		return toTemporal(err)
	}
	return toTemporal(destination(r.doc.Dest, a.interimHead(ctx, r, in.N)))
}

// interimHead makes a head of what is done so far: none of nothing, which could
// only be taken for a snapshot that has something.
func (a *Activities) interimHead(ctx context.Context, r *openRun, n int) error {
	f, err := a.Catalog.PlanFigures(ctx, r.epoch)
	if err != nil || f.Done+f.Failed == 0 {
		return err
	}
	pages, err := a.pagesOf(ctx, r)
	if err != nil {
		return err
	}
	totals, err := a.Catalog.Totals(ctx, r.epoch, r.lib, r.doc.hole)
	if err != nil {
		return err
	}
	h := a.head(r, totals, pages)
	h.Complete = false
	body, err := manifest.EncodeHead(h)
	if err != nil {
		return err
	}
	// Another workflow run of the same plan may have used the number.
	for ; ; n++ {
		_, err = putBytes(ctx, r.store, manifest.InterimKey(h.Library.ID, h.ID, n), body, "application/json")
		if !errors.Is(err, objectstore.Exists) {
			return err
		}
	}
}

func (r *openRun) result(t catalog.Totals, f catalog.PlanFigures, now time.Time) BackupResult {
	res := BackupResult{Snapshot: r.doc.snapshotID(), Library: r.doc.Library.ID, Run: r.doc.Run, ScannedAt: r.doc.ScannedAt,
		Orphans: t.Orphans, Duration: now.Sub(r.doc.Started).Seconds(), PeakRSS: PeakBytes(), Accepted: r.doc.Accept, Handling: r.doc.Source.Handling,
		Excluded: r.doc.Excluded, Warnings: r.doc.Warnings}
	res.Assets.Total, res.Assets.Stored, res.Assets.Unchanged = t.Assets, t.Stored, t.Unchanged
	res.Assets.Incomplete, res.Assets.Failed = t.Incomplete, t.Failed
	res.Resources.Stored, res.Resources.Deduplicated, res.Resources.Kept, res.Resources.Absent = f.Fresh, f.Known, t.Kept, t.Absent
	res.Resources.ByRole = make(map[string]RoleTotals, len(t.Roles))
	if end := r.cloud.ended(); end != nil {
		res.Problems = append(res.Problems, *end)
	}
	for role, tally := range t.Roles {
		res.Resources.ByRole[role] = RoleTotals(tally)
	}
	res.Bytes.Source, res.Bytes.Sent, res.Bytes.Stored = t.Bytes, f.Sent, f.Bytes
	return res
}

// problemsMost bounds what a result carries; the log and `ls` have them all.
const problemsMost = 100

func (a *Activities) problems(ctx context.Context, r *openRun, res *BackupResult) error {
	return a.Catalog.Errors(ctx, r.epoch, func(_ string, doc []byte) error {
		var ps []Problem
		if err := json.Unmarshal(doc, &ps); err != nil {
			return err
		}
		res.Problems = append(res.Problems, ps[:min(len(ps), problemsMost-len(res.Problems))]...)
		return nil
	})
}

func (a *Activities) putReceipt(ctx context.Context, r *openRun, h manifest.Head, f catalog.PlanFigures, res BackupResult) error {
	rec := manifest.Receipt{Format: manifest.Format, ID: h.Run, Kind: "backup", Repository: h.Repository, Library: h.Library.ID, Run: h.Run, Snapshot: h.ID,
		Host: h.Host, Started: r.doc.Started, Finished: a.Now(), Totals: h.Totals, Objects: f.Fresh, Bytes: f.Bytes, PeakRSS: res.PeakRSS, Failed: res.Assets.Failed}
	body, err := manifest.EncodeReceipt(rec)
	if err != nil {
		return err
	}
	_, err = putBytes(ctx, r.store, manifest.ReceiptKey(h.Time, rec.ID), body, "application/json")
	if errors.Is(err, objectstore.Exists) {
		return nil // an earlier attempt's: the first to finish is the one that proved it
	}
	return err
}

func sha256Of(b []byte) [32]byte { return sha256.Sum256(b) }
