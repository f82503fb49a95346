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
	c   *catalog.Catalog
	now time.Time
}

// scanLibrary streams the library of a run into the catalog.
func (a *Activities) scanLibrary(ctx context.Context, r *openRun) error {
	a.Progress.setPhase(Scanning)
	scan, err := a.Catalog.NewScan(ctx, r.epoch, r.repo, r.lib)
	if err != nil {
		return err
	}
	defer scan.Close()
	s := scanner{c: a.Catalog, now: r.doc.ScannedAt}
	n := int64(0)
	// The next assets are read while these are judged and written.
	for asset, err := range r.sift(ahead(r.source.Scan(ctx))) {
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		err = scan.Put(ctx, string(asset.ID), func(known catalog.Known) (found catalog.Scanned, err error) {
			if found, err = s.judge(ctx, asset, known); err != nil {
				err = fmt.Errorf("scan %s: %w", asset.ID, err)
			}
			return found, err
		})
		if err != nil {
			return err
		}
		n++
		a.Progress.scanned(n)
	}
	return scan.Flush(ctx)
}

// scanDoc is what the catalog keeps of an asset beside its line in a page.
type scanDoc struct {
	MediaToken string            `json:"media_token,omitempty"`
	Resources  []photos.Resource `json:"resources,omitempty"` // of one that is still to be stored
}

// judge compares an asset with what the catalog has of it. One in which
// nothing changed costs its share of a look-up and of a small update.
func (s *scanner) judge(ctx context.Context, asset photos.Asset, known catalog.Known) (found catalog.Scanned, err error) {
	meta, err := json.Marshal(asset.Metadata)
	if err != nil {
		return found, err
	}
	doc, err := json.Marshal(scanDoc{asset.MediaToken, asset.Resources})
	if err != nil {
		return found, err
	}
	digest := digestOf(asset, meta, doc)
	if known.Asset != 0 && known.State == catalog.Done && bytes.Equal(known.Digest, digest) {
		return found, nil
	}
	old, mediaChanged, err := s.before(ctx, known, asset)
	if err != nil {
		return found, err
	}
	r := row{asset: asset, meta: meta, old: old, now: s.now}.build()
	found = catalog.Scanned{Added: asset.Added, Orphan: asset.Orphan, Doc: doc, Digest: digest, Figures: figures(r), State: catalog.Done}
	if found.Row, err = manifest.EncodeAsset(r); err != nil {
		return found, err
	}
	if size, must := toRead(asset, old, mediaChanged || known.State == catalog.Failed); must {
		found.State = catalog.ToDo
		found.Plan = planItem(asset, size)
		return found, nil
	}
	found.Doc, err = json.Marshal(scanDoc{MediaToken: asset.MediaToken})
	return found, err
}

// digestOf changes with anything that a scan says of an asset.
func digestOf(asset photos.Asset, meta, doc []byte) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %t\n%s\n%s", asset.Added, asset.Orphan, meta, doc)
	return h.Sum(nil)[:16]
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
	var then scanDoc
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
