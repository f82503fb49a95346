package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"lightfast/catalog"
	"lightfast/manifest"
	"lightfast/photos"
)

// smallAsset is the most that LaneSmall takes: such an asset moves in well
// under two seconds on any line that one would back up over.
const smallAsset = 8 << 20

// scanner writes what a source shows into the catalog, and plans the assets
// that have something to store.
type scanner struct {
	scan *catalog.Scan
	c    *catalog.Catalog
	now  time.Time
}

// scanLibrary streams the library of a run into the catalog.
func (a *Activities) scanLibrary(ctx context.Context, r *openRun) error {
	a.Progress.setPhase(Scanning)
	scan, err := a.Catalog.NewScan(ctx, r.epoch, r.repo, r.lib)
	if err != nil {
		return err
	}
	defer scan.Close()
	s := scanner{scan: scan, c: a.Catalog, now: r.doc.ScannedAt}
	n := int64(0)
	for asset, err := range r.source.Scan(ctx) {
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		if err := s.see(ctx, asset); err != nil {
			return fmt.Errorf("scan %s: %w", asset.ID, err)
		}
		n++
		a.Progress.scanned(n)
	}
	return scan.Flush(ctx)
}

// see compares an asset with what the catalog has of it. One in which nothing
// changed costs a look-up and a small update.
func (s *scanner) see(ctx context.Context, asset photos.Asset) error {
	doc, err := json.Marshal(asset)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(doc)
	digest := sum[:16]
	known, err := s.scan.Known(ctx, string(asset.ID))
	if err != nil {
		return err
	}
	entry := catalog.Scanned{Known: known, Name: string(asset.ID), Added: asset.Added, Orphan: asset.Orphan}
	if known.Asset != 0 && known.State == catalog.Done && bytes.Equal(known.Digest, digest) {
		return s.scan.Put(ctx, entry)
	}
	old, mediaChanged, err := s.before(ctx, known, asset)
	if err != nil {
		return err
	}
	r, err := row{asset: asset, old: old, now: s.now}.build()
	if err != nil {
		return err
	}
	if entry.Row, err = manifest.EncodeAsset(r); err != nil {
		return err
	}
	entry.Doc, entry.Digest, entry.Figures, entry.State = doc, digest, figures(r), catalog.Done
	if size, must := toRead(asset, old, mediaChanged || known.State == catalog.Failed); must {
		entry.State = catalog.ToDo
		entry.Plan = planItem(asset, size)
	}
	return s.scan.Put(ctx, entry)
}

// before returns the row that the catalog has, and whether the media token
// says that bytes may have changed since.
func (s *scanner) before(ctx context.Context, known catalog.Known, now photos.Asset) (old manifest.Asset, mediaChanged bool, err error) {
	if known.Asset == 0 {
		return manifest.Asset{}, false, nil
	}
	doc, line, err := s.c.Docs(ctx, known.Asset)
	if err != nil {
		return manifest.Asset{}, false, err
	}
	if old, err = manifest.DecodeAsset(line); err != nil {
		return manifest.Asset{}, false, err
	}
	var then struct {
		MediaToken string `json:"media_token"`
	}
	if err := json.Unmarshal(doc, &then); err != nil {
		return manifest.Asset{}, false, err
	}
	// No token is known of an asset learnt from a page: size and time decide.
	return old, then.MediaToken != "" && then.MediaToken != now.MediaToken, nil
}

// toRead returns the bytes that an activity would have to read, and whether
// there must be one, which look asks for. Where nothing is present there is
// nothing to do.
func toRead(asset photos.Asset, old manifest.Asset, look bool) (size int64, must bool) {
	m := pair(old, asset.Resources)
	for i, r := range asset.Resources {
		if !r.Present() {
			continue
		}
		must = must || look
		if !unchanged(m.of[i], r) {
			size += max(r.Size, 0)
			must = true
		}
	}
	return size, must
}

// planItem gives an asset its lane and its place in it: small ones favourites
// first, then the newest; large ones by size, so that the end of the run does
// not wait for one long video that began last.
func planItem(asset photos.Asset, size int64) *catalog.Item {
	it := &catalog.Item{Lane: Small, Rank: asset.Added, Size: size, Name: asset.Metadata.OriginalFilename}
	if asset.Metadata.Favorite {
		it.Rank += 1 << 60
	}
	if size > smallAsset {
		it.Lane, it.Rank = Large, size
	}
	return it
}
