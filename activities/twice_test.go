package activities_test

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"lightfast/activities"
	"lightfast/internal/exit"
	"lightfast/objectstore/s3"
	"lightfast/objectstore/storetest"
	"lightfast/photos"
)

// Two attempts at once: those of one host share a catalog, two hosts with the
// same film share the store alone.
func TestTwoAttemptsAtOnceEndInOneObject(t *testing.T) {
	bucket := func(srv storetest.Server) func(t *testing.T, lib *memory, hosts int) []*host {
		return func(t *testing.T, lib *memory, hosts int) (all []*host) {
			for range hosts {
				s, err := s3.New(t.Context(), s3.Options{Endpoint: srv.Endpoint, Bucket: "photos", Prefix: fmt.Sprintf("%x", sha256.Sum256([]byte(t.Name()))),
					Credentials: credentials.NewStaticV4(srv.AccessKey, srv.SecretKey, "")})
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, newHostOf(t, lib, "s3://photos", s))
			}
			return all
		}
	}
	stores := map[string]func(t *testing.T, lib *memory, hosts int) []*host{
		"dir": func(t *testing.T, lib *memory, hosts int) (all []*host) {
			folder := t.TempDir()
			for range hosts {
				all = append(all, newHost(t, lib, folder))
			}
			return all
		},
		"MinIO":     bucket(storetest.MinIO(t)),
		"versitygw": bucket(storetest.Versitygw(t)),
	}
	for store, open := range stores {
		for _, hosts := range []int{1, 2} {
			for _, meet := range []string{"begin", "complete"} { // where one waits for the other
				t.Run(fmt.Sprintf("%s/%d hosts/%s", store, hosts, meet), func(t *testing.T) {
					lib := newMemory()
					film := noise(uint64(hosts), 2*parts+1)
					lib.put("a.mov", photos.RoleOriginal, film)
					atOnce(t, open(t, lib, hosts), film, meet)
				})
			}
		}
	}
}

// atOnce runs two attempts at the only asset, of one host or of two, that meet
// before an operation.
func atOnce(t *testing.T, hosts []*host, film []byte, meet string) {
	t.Helper()
	var both sync.WaitGroup
	both.Add(2)
	var plans []activities.Prepared
	for _, h := range hosts {
		plans = append(plans, h.prepare())
	}
	seen := 0
	var mu sync.Mutex // guards seen
	for _, h := range hosts {
		h.store.before = func(op, _ string, _ int) error {
			if op != meet {
				return nil
			}
			mu.Lock()
			seen++
			first := seen <= 2
			mu.Unlock()
			if first {
				both.Done()
				both.Wait()
			}
			return nil
		}
	}
	var attempts sync.WaitGroup
	for i := range 2 {
		h, p := hosts[i%len(hosts)], plans[i%len(hosts)]
		if i >= len(hosts) {
			h = h.twin()
		}
		in := h.only(p)
		in.Lane = activities.Large
		attempts.Go(func() {
			for try := 1; ; try++ {
				out, err := h.storeAsset(in)
				if err == nil && out == activities.OutcomeDone {
					return
				}
				if exit.CodeOf(err) != exit.Failed || try == 4 {
					t.Errorf("attempt %d: %s, %v", i+1, out, err)
					return
				}
			}
		})
	}
	attempts.Wait()
	for i, h := range hosts {
		if res := h.finish(plans[i]); res.Holes() || res.Assets.Total != 1 {
			t.Errorf("result %+v", res.Assets)
		}
		h.holds("a.mov", film)
	}
	h := hosts[0]
	if keys := h.blobs(); len(keys) != 1 {
		t.Errorf("blobs %q, want one", keys)
	}
	if ups, err := h.store.Find(t.Context(), blobKey(film, "mov")); err != nil || len(ups) > 0 {
		t.Errorf("uploads left: %v, %v", ups, err)
	}
}

// Where heartbeats are lost on their way, Temporal makes a second attempt in
// the process that is still at the first.
func TestASecondAttemptWaitsForTheFirst(t *testing.T) {
	lib := newMemory()
	film := noise(1, 3*parts)
	lib.put("a.mov", photos.RoleOriginal, film)
	h := newHost(t, lib, t.TempDir())
	p := h.prepare()
	in := h.only(p)
	in.Lane = activities.Large

	release, twice := make(chan struct{}), make(chan struct{})
	sending := make(chan int, 100) // the parts
	var once sync.Once
	var mu sync.Mutex // guards seen
	seen := map[int]bool{}
	h.store.before = func(op, _ string, n int) error {
		if op != "part" {
			return nil
		}
		mu.Lock()
		again := seen[n]
		seen[n] = true
		mu.Unlock()
		if again {
			t.Errorf("part %d is sent twice", n)
			once.Do(func() { close(twice) })
		}
		sending <- n
		<-release
		return nil
	}
	attempt := func() {
		if out, err := h.storeAsset(in); err != nil || out != activities.OutcomeDone {
			t.Errorf("attempt ended with %q, %v", out, err)
		}
	}
	var both sync.WaitGroup
	both.Go(attempt)
	for range 3 {
		<-sending
	}
	both.Go(attempt)
	select {
	case <-twice:
	case <-time.After(300 * time.Millisecond): // for what must not be
	}
	close(release)
	both.Wait()
	h.finish(p)
	h.holds("a.mov", film)
}
