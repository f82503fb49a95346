package photostest_test

import (
	"testing"

	"lightfast/photos"
	"lightfast/photos/photostest"
)

func TestCloudIsAFetcher(t *testing.T) {
	dir := build(t, photostest.LibrarySpec{Seed: 1, Cloud: true, Assets: []photostest.AssetSpec{
		{Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.ICloudOnly}},
		{Video: true, Size: 3 << 20, Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.ICloudOnly}},
		{Live: true, Absent: map[photos.Role]photos.Reason{photos.RoleLive: photos.ICloudOnly}},
	}})
	cloud := photostest.CloudOf(dir)
	index, err := photostest.CloudIndex(cloud)
	if err != nil {
		t.Fatal(err)
	}
	var items []photostest.FetchItem
	for _, e := range index {
		items = append(items, photostest.FetchItem{ID: e.UUID, SHA256: e.SHA256, Resource: photos.Resource{
			Role: e.Role, Name: e.Name, Path: e.Path, Size: e.Size, Fingerprint: e.Fingerprint, Reason: photos.ICloudOnly}})
	}
	photostest.RunFetcher(t, photostest.FetchFixture{Items: items, Open: func(t *testing.T) photos.Fetcher {
		c, err := photostest.OpenCloud(cloud, photostest.CloudOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}})
}
