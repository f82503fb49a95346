package applelibrary_test

import (
	"path/filepath"
	"runtime/metrics"
	"testing"

	"lightfast/photos/applelibrary"
	"lightfast/photos/photostest"
)

// BenchmarkScan scans a library as people have them, whose files are holes.
func BenchmarkScan(b *testing.B) {
	const n = 20_000
	dir := filepath.Join(b.TempDir(), "Built.photoslibrary")
	spec := photostest.Mix(n, 1)
	spec.Hollow = true
	if err := photostest.BuildLibrary(dir, spec); err != nil {
		b.Fatal(err)
	}
	l, err := applelibrary.Open(b.Context(), dir, applelibrary.Options{TempDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	most, assets := uint64(0), 0
	for b.Loop() {
		for _, err := range l.Scan(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			if assets++; assets%100 == 0 {
				metrics.Read(heap)
				most = max(most, heap[0].Value.Uint64())
			}
		}
	}
	b.ReportMetric(float64(assets)/b.Elapsed().Seconds(), "assets/s")
	b.ReportMetric(float64(most)/(1<<20), "peak-MiB")
}
