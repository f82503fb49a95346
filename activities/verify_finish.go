package activities

import (
	"context"
	"encoding/json"
	"errors"

	"lightfast/catalog"
	"lightfast/manifest"
	"lightfast/objectstore"
)

// damageMost bounds a receipt to some 30 MiB: who has lost more than that
// mends it in several rounds.
const damageMost = 100_000

// FinishVerify names what is damaged, and leaves a receipt from which the
// next backup learns what to put right.
func (a *Activities) FinishVerify(ctx context.Context, e catalog.Epoch) (VerifyResult, error) {
	defer heartbeat(ctx)()
	r, err := a.run(ctx, e)
	if err != nil {
		return VerifyResult{}, toTemporal(err)
	}
	a.Progress.setPhase(Finishing)
	res, err := a.finishVerify(ctx, r)
	return res, ofStep(ctx, a.patience(r, err))
}

func (a *Activities) finishVerify(ctx context.Context, r *openRun) (VerifyResult, error) {
	res := *r.doc.Verify.Found
	if row, err := a.Catalog.Run(ctx, r.epoch); err != nil || row.State == catalog.Finished {
		return res, err // an earlier attempt's: its objects may be forgotten
	}
	f, err := a.Catalog.ObjectFigures(ctx, r.epoch)
	if err != nil {
		return res, err
	}
	res.Blobs, res.Bytes, res.Checksums, res.Count = f.Objects, f.Bytes, f.Proven, f.Damaged
	var damaged []manifest.Damage
	blobs := false
	for o, err := range a.Catalog.DamagedObjects(ctx, r.epoch) {
		if err != nil {
			return res, err
		}
		d, err := decodeDamage(o.Damage)
		if err != nil {
			return res, err
		}
		if damaged = append(damaged, d); len(damaged) == damageMost {
			break
		}
		if _, blob := manifest.ParseBlobKey(o.Key); blob {
			blobs = true
		} else if len(res.Problems) < problemsMost {
			res.Problems = append(res.Problems, Problem{Resource: d.Key, Problem: d.Why})
		}
	}
	if blobs {
		if err := a.nameAssets(ctx, r, &res); err != nil {
			return res, err
		}
	}
	res.Duration, res.PeakRSS = a.Now().Sub(r.doc.Started).Seconds(), PeakBytes()
	if res.Receipt, err = a.putVerifyReceipt(ctx, r, res, damaged); err != nil {
		return res, err
	}
	r.doc.Verify.Found = &res
	doc, err := json.Marshal(r.doc)
	if err != nil {
		return res, err
	}
	if err := a.Catalog.SetRun(ctx, r.epoch, catalog.Finished, doc); err != nil {
		return res, err
	}
	return res, a.Catalog.ForgetObjects(ctx, r.epoch)
}

func decodeDamage(doc []byte) (d manifest.Damage, err error) {
	return d, json.Unmarshal(doc, &d)
}

// nameAssets goes through the pages again for the assets whose blobs are
// damaged, as many as a result holds. An asset that several pages have is
// named once.
func (a *Activities) nameAssets(ctx context.Context, r *openRun, res *VerifyResult) error {
	refs, err := a.plannedPages(ctx, r)
	if err != nil {
		return err
	}
	named := map[Problem]bool{}
	for _, ref := range refs {
		for asset, err := range ReadPage(ctx, r.store, ref) {
			if _, bad := damageOf(err); bad {
				break // it is among the problems
			} else if err != nil {
				return err
			}
			for _, resource := range asset.Resources {
				if len(res.Problems) == problemsMost {
					return nil
				}
				p, err := a.problemOf(ctx, r, asset.ID, resource)
				if err != nil {
					return err
				}
				if p != (Problem{}) && !named[p] {
					named[p] = true
					res.Problems = append(res.Problems, p)
				}
			}
		}
	}
	return nil
}

func (a *Activities) problemOf(ctx context.Context, r *openRun, asset string, res manifest.Resource) (Problem, error) {
	if res.Key == "" {
		return Problem{}, nil
	}
	doc, err := a.Catalog.ObjectDamage(ctx, r.epoch, res.Key)
	if err != nil || doc == nil {
		return Problem{}, err
	}
	d, err := decodeDamage(doc)
	return Problem{Asset: asset, Resource: res.Role + " " + res.Name, Problem: d.Why}, err
}

func (a *Activities) putVerifyReceipt(ctx context.Context, r *openRun, res VerifyResult, damaged []manifest.Damage) (key string, err error) {
	rec := manifest.Receipt{ID: r.doc.Run, Kind: "verify", Repository: r.doc.Repository, Library: r.doc.Library.ID, Run: r.doc.Run, Snapshot: r.doc.Snapshot,
		Host: a.Host, Started: r.doc.Started, Finished: a.Now(), Totals: manifest.Totals{Assets: res.Assets, Stored: res.Blobs, Bytes: res.Bytes},
		Objects: res.Snapshots + res.Pages, PeakRSS: res.PeakRSS, Damaged: damaged}
	body, err := manifest.EncodeReceipt(rec)
	if err != nil {
		return "", err
	}
	key = manifest.ReceiptKey(r.doc.Time, rec.ID)
	_, err = putBytes(ctx, r.store, key, body, "application/json")
	if errors.Is(err, objectstore.Exists) { // of an earlier attempt
		err = nil
	}
	return key, err
}
