package activities

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"lightfast/catalog"
	"lightfast/objectstore/dir"
	"lightfast/photos"
)

// still is a library of n assets in which nothing happens.
type still struct {
	photos.Source
	n int
}

func (s still) Scan(context.Context) iter.Seq2[photos.Asset, error] {
	return func(yield func(photos.Asset, error) bool) {
		for i := range s.n {
			name := fmt.Sprintf("IMG_%06d.HEIC", i)
			a := photos.Asset{ID: photos.AssetID(fmt.Sprintf("%08X-0000-4000-8000-000000000000", i*2654435761%(1<<32))), Added: int64(i) * 1000, MediaToken: name,
				Metadata: photos.Metadata{OriginalFilename: name, Kind: photos.Photo, Date: "2026-01-01T12:00:00+01:00", Albums: []string{"Trips/Lisbon"}, Keywords: []string{"sea"},
					Place: &photos.Place{Latitude: 38.7, Longitude: -9.1, City: "Lisboa", Country: "Portugal"}, Width: 4032, Height: 3024}}
			for _, role := range []photos.Role{photos.RoleOriginal, photos.RoleLive} {
				a.Resources = append(a.Resources, photos.Resource{Role: role, Name: name, Path: "originals/0/" + name, Size: 2_000_000,
					Fingerprint: "AcLZ0Gk0kVfRIwBeuZk1Ry0aZ9aC", Reason: photos.ICloudOnly})
			}
			if !yield(a, nil) {
				return
			}
		}
	}
}

// BenchmarkNoChange is what a run costs in which nothing changed: the scan
// against the catalog, and the pages, which the repository has.
func BenchmarkNoChange(b *testing.B) {
	const assets = 100_000
	ctx := b.Context()
	cat, err := catalog.Open(ctx, filepath.Join(b.TempDir(), "catalog.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer cat.Close()
	store, err := dir.New(b.TempDir(), dir.Options{})
	if err != nil {
		b.Fatal(err)
	}
	a := &Activities{Catalog: cat, Progress: NewProgress(time.Now), Log: slog.New(slog.DiscardHandler), Now: time.Now}
	r := &openRun{store: store, source: still{n: assets}}
	if r.repo, err = cat.Repository(ctx, "r", "there"); err != nil {
		b.Fatal(err)
	}
	l, err := cat.Library(ctx, r.repo, "lib", "here")
	if err != nil {
		b.Fatal(err)
	}
	r.lib = l.ID
	var scan, pages time.Duration
	run := func() {
		if r.epoch, err = cat.StartRun(ctx, catalog.Run{Library: r.lib, Workflow: "backup/x", Doc: []byte("{}")}); err != nil {
			b.Fatal(err)
		}
		t := time.Now()
		if err := a.scanLibrary(ctx, r); err != nil {
			b.Fatal(err)
		}
		scan += time.Since(t)
		t = time.Now()
		if err := a.buildPages(ctx, r); err != nil {
			b.Fatal(err)
		}
		pages += time.Since(t)
	}
	run() // the first time everything is new
	first := scan
	scan, pages = 0, 0
	for b.Loop() {
		run()
	}
	b.ReportMetric(float64(first.Nanoseconds())/assets, "first-ns/asset")
	per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N) / assets }
	b.ReportMetric(per(scan), "scan-ns/asset")
	b.ReportMetric(per(pages), "pages-ns/asset")
}
