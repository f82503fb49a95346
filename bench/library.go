package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"lightfast/photos/photostest"
)

// libraryScale is what a library of many assets costs, whatever their size:
// its files are tiny.
func libraryScale(ctx context.Context, b *bench) error {
	library := filepath.Join(b.work, "Large.photoslibrary")
	start := time.Now()
	if err := photostest.BuildLibrary(library, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Count: b.assets, Size: 1000}}}); err != nil {
		return err
	}
	fmt.Printf("  %d assets built in %.1f s\n", b.assets, time.Since(start).Seconds())
	backup := []string{"backup", "--source", library, "--to", filepath.Join(b.work, "backup"), "--state", filepath.Join(b.work, "state")}
	first, err := b.lightfast(ctx, backup...)
	if err != nil {
		return err
	}
	fmt.Printf("  first backup: %s; scanned and planned after %.1f s\n", first, first.storing.Seconds())
	if err := b.histories(ctx, filepath.Join(b.work, "state")); err != nil {
		return err
	}
	var walls []float64
	for range b.runs {
		again, err := b.lightfast(ctx, backup...)
		if err != nil {
			return err
		}
		if again.result.Assets.Unchanged != int64(b.assets) || again.result.Bytes.Sent != 0 {
			return fmt.Errorf("a run in which nothing changed stored %d assets and sent %d bytes", again.result.Assets.Stored, again.result.Bytes.Sent)
		}
		fmt.Printf("  no change: %s\n", again)
		walls = append(walls, again.wall.Seconds())
	}
	fmt.Printf("  no change: median %.1f s\n", median(walls))
	return nil
}
