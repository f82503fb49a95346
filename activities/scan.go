package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
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
	c       *catalog.Catalog
	now     time.Time
	cloud   bool // what is only in iCloud can be brought
	wanted  bool // and something is
	sampler sampler
}

// scanLibrary streams the library of a run into the catalog.
func (a *Activities) scanLibrary(ctx context.Context, r *openRun) error {
	a.Progress.setPhase(Scanning)
	scan, err := a.Catalog.NewScan(ctx, r.epoch, r.repo, r.lib)
	if err != nil {
		return err
	}
	defer scan.Close()
	s := scanner{c: a.Catalog, now: r.doc.ScannedAt, cloud: r.canFetch()}
	n := int64(0)
	// The next assets are read while these are judged and written.
	for asset, err := range r.sift(ahead(r.source.Scan(ctx))) {
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		if s.cloud {
			s.sampler.see(&asset)
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
	if err := scan.Flush(ctx); err != nil {
		return err
	}
	if r.doc.Fetch = s.wanted; s.wanted {
		r.doc.Sample = s.sampler.sample()
	}
	return nil
}

// scanDoc is what the catalog keeps of an asset beside its line in a page.
type scanDoc struct {
	MediaToken string            `json:"media_token,omitempty"`
	Resources  []photos.Resource `json:"resources,omitempty"` // of one that is still to be stored

	Fetch      []int     `json:"fetch,omitempty"`       // of Resources: what is to be brought from iCloud
	NotBrought []Problem `json:"not_brought,omitempty"` // what did not come, of one that is in lane cloud
}

// judge compares an asset with what the catalog has of it. One in which
// nothing changed costs its share of a look-up and of a small update.
func (s *scanner) judge(ctx context.Context, asset photos.Asset, known catalog.Known) (found catalog.Scanned, err error) {
	meta, err := json.Marshal(asset.Metadata)
	if err != nil {
		return found, err
	}
	doc, err := json.Marshal(scanDoc{MediaToken: asset.MediaToken, Resources: asset.Resources})
	if err != nil {
		return found, err
	}
	digest := digestOf(asset, meta, doc)
	absent := s.cloud && strings.Contains(known.Roles, "-"+string(photos.ICloudOnly))
	if known.Asset != 0 && known.State == catalog.Done && bytes.Equal(known.Digest, digest) && !absent {
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
	size, must := toRead(asset, old, mediaChanged || known.State == catalog.Failed)
	fetch, fetchSize := []int(nil), int64(0)
	if s.cloud {
		fetch, fetchSize = toFetch(asset, old, mediaChanged)
	}
	if must || len(fetch) > 0 {
		found.State = catalog.ToDo
		found.Plan = planItem(asset, size)
		found.Plan.Size += fetchSize
		if !must {
			found.Plan.Lane = Cloud
		}
	}
	if len(fetch) > 0 {
		s.wanted = true
		found.Doc, err = json.Marshal(scanDoc{MediaToken: asset.MediaToken, Resources: asset.Resources, Fetch: fetch})
		return found, err
	}
	if must {
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

// toFetch returns what of an asset is to be brought from iCloud, and its size:
// what is not stored, and what has become something else since. look says that
// it may have, for what the library tells nothing of.
func toFetch(asset photos.Asset, old manifest.Asset, look bool) (fetch []int, size int64) {
	m := pair(old, asset.Resources)
	for i, r := range asset.Resources {
		if r.Reason != photos.ICloudOnly || m.of[i] != nil && sameInCloud(*m.of[i], r) && (r.Fingerprint != "" || !look) {
			continue
		}
		fetch = append(fetch, i)
		size += max(r.Size, 0)
	}
	return fetch, size
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
