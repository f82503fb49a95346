package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lightfast/photos/photostest"
)

// makeLibrary makes a library that has a bit of everything, and films so large
// that a kill hits one of them on its way.
func (d *demo) makeLibrary() error {
	trip := []string{"Travel/Iceland 2025"}
	spec := photostest.LibrarySpec{Seed: 1, Assets: []photostest.AssetSpec{
		{Count: 200, Size: 200_000},
		{Count: 30, Size: 300_000, Albums: trip, Keywords: []string{"Glacier"}},
		{Count: 10, Size: 250_000, Live: true, Albums: trip},
		{Count: 5, Size: 250_000, Edited: true, Favorite: true, Title: "The best ones"},
		{Count: 2, Size: 250_000, Live: true, Edited: true, Persons: []string{"Katie"}},
		{Count: 5, Size: 250_000, RAW: true},
		{Name: "Geysir.MOV", Video: true, Size: 256 << 20, Albums: trip, Description: "It took its time."},
		{Name: "Waterfall.MOV", Video: true, Size: 128 << 20, Albums: trip},
		{Name: "Road.MOV", Video: true, Size: 64 << 20, Hidden: true},
	}}
	if err := photostest.BuildLibrary(d.library, spec); err != nil {
		return err
	}
	if err := sidecars(d.library); err != nil {
		return err
	}
	n := 0
	err := filepath.WalkDir(d.library, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n, d.bytes = n+1, d.bytes+info.Size()
		}
		return err
	})
	if err != nil {
		return err
	}
	d.say("A Photos library of %d files (its database is one), %s: %s", n, size(d.bytes), d.library)
	d.say("  photos, Live Photos, edits, RAW pairs, an album in a folder, keywords, and films of up to 256 MiB")
	return nil
}

// sidecars writes an .aae beside a few originals, as imports from cameras have
// them; resource type 5 gives the name.
func sidecars(library string) error {
	photos, err := filepath.Glob(filepath.Join(library, "originals", "*", "*.jpeg"))
	if err != nil {
		return err
	}
	for i, p := range photos[:min(3, len(photos))] {
		if err := os.WriteFile(p[:len(p)-len(".jpeg")]+"_5.aae", fmt.Appendf(nil, "<plist><string>%d</string></plist>\n", i), 0o644); err != nil {
			return err
		}
	}
	return nil
}
