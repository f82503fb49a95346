package photokit_test

import (
	"testing"

	"lightfast/photos"
	"lightfast/photos/photokit"
	"lightfast/photos/photostest"
)

func TestFetcher(t *testing.T) {
	for name, make := range map[string]func(*testing.T) (string, []photostest.FetchItem){
		"RealLibrary": realCloud,
		"Synthetic":   func(t *testing.T) (string, []photostest.FetchItem) { return cloud(t, 1, 3<<20, 256<<10, 256<<10+1) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, items := make(t)
			photostest.RunFetcher(t, photostest.FetchFixture{Items: items, Open: func(t *testing.T) photos.Fetcher {
				return open(t, photokit.Options{Readers: 2}, "MOCK_CLOUD="+dir)
			}})
		})
	}
}
