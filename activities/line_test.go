package activities_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"lightfast/activities"
	"lightfast/objectstore/s3"
	"lightfast/objectstore/storetest"
	"lightfast/photos"
)

// On a narrow line all requests together take minutes, each of them longer than
// the watchdog waits: it counts bytes, not time. So nothing is cut, and every
// object and part leaves once.
func TestOverANarrowLineNothingIsSentTwice(t *testing.T) {
	const photosThere, photoSize, filmParts = 20, 100_000, 9
	sink, err := storetest.NewSink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	tally, err := storetest.NewTally(sink.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tally.Close() })
	line, err := storetest.NewLine(tally.Endpoint, storetest.Shape{Delay: 25 * time.Millisecond, Rate: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { line.Close() })
	store, err := s3.New(t.Context(), s3.Options{Endpoint: line.Endpoint, Bucket: "photos", Stall: 2 * time.Second,
		Credentials: credentials.NewStaticV4(sink.AccessKey, sink.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}

	lib := newMemory()
	for i := range photosThere {
		lib.put(fmt.Sprintf("%02d.jpg", i), photos.RoleOriginal, noise(uint64(i), photoSize))
	}
	lib.put("film.mov", photos.RoleOriginal, noise(99, filmParts*mib))
	h := newHostOf(t, lib, "s3://photos", store)
	h.PartSize = mib
	p := h.prepare()
	before := tally.Count()
	var all sync.WaitGroup
	for _, lane := range []string{activities.Small, activities.Large} {
		next, err := call[activities.Next](h, h.NextAssets, activities.NextInput{Epoch: p.Epoch, Lane: lane, N: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range next.Refs {
			all.Go(func() {
				out, err := h.storeAsset(activities.ItemInput{Epoch: p.Epoch, Item: ref.Item, Name: ref.Name, Lane: lane})
				if err != nil || out != activities.OutcomeDone {
					t.Errorf("%s: %s, %v", ref.Name, out, err)
				}
			})
		}
	}
	all.Wait()
	after := tally.Count()
	got := storetest.Count{Puts: after.Puts - before.Puts, Cut: after.Cut, Refused: after.Refused, Bytes: after.Bytes - before.Bytes}
	if want := (storetest.Count{Puts: photosThere + filmParts, Bytes: photosThere*photoSize + filmParts*mib}); got != want {
		t.Errorf("the store was asked for %+v, want %+v", got, want)
	}
}
