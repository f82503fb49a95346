package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"lightfast/catalog"
	"lightfast/photos"
)

// cloudRun is what a run knows of iCloud in this process. A restart begins
// with patience anew.
type cloudRun struct {
	fetcher photos.Fetcher // nil: there is none

	look sync.Mutex // held while the library is looked for

	mu     sync.Mutex // guards all below
	known  bool       // that Photos has this library open
	over   *Problem   // why nothing more is asked for
	tries  map[int64]int
	until  map[int64]time.Time // not before which an item is tried again
	inARow int                 // failures since something came
	opens  int                 // of the breaker since then
	open   time.Time           // until when nothing is asked for
}

// The breaker: when so many requests in a row have failed, whatever they were
// for, nothing more is asked for a while, then one is tried. It is opened so
// often, with the pause doubled each time up to half an hour: some two hours.
const (
	breakerTries = 5
	breakerOpens = 8
	breakerPause = time.Minute
	breakerMost  = 30 * time.Minute
)

func (c *cloudRun) ended() *Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// came notes that something of an item was brought.
func (c *cloudRun) came(item int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tries, item)
	c.inARow, c.opens = 0, 0
}

// failed notes a try that another may mend, and returns how many of the item
// have failed in a row. dead means that nothing comes any more.
func (c *cloudRun) failed(item int64, now time.Time, f Fetching) (tries int, dead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tries == nil {
		c.tries, c.until = map[int64]int{}, map[int64]time.Time{}
	}
	c.tries[item]++
	tries = c.tries[item]
	c.until[item] = now.Add(doubled(orElse(f.Again, againPause), tries-1, againMost))
	if tries == mostTries {
		delete(c.tries, item)
		delete(c.until, item)
	}
	if c.inARow++; c.inARow >= breakerTries {
		c.inARow = breakerTries - 1 // the next one alone decides
		c.open = now.Add(doubled(orElse(f.Breaker, breakerPause), c.opens, breakerMost))
		c.opens++
	}
	return tries, c.opens >= breakerOpens
}

func doubled(d time.Duration, times int, most time.Duration) time.Duration {
	for range times {
		d = min(d*2, most)
	}
	return d
}

// ready returns up to n of items that may be tried now, or how long to wait
// for the first.
func (c *cloudRun) ready(items []catalog.Item, n int, now time.Time) (ready []catalog.Item, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait = c.open.Sub(now); wait > 0 {
		return nil, wait
	}
	first := time.Time{}
	for _, it := range items {
		until := c.until[it.Item]
		if !until.After(now) && len(ready) < n {
			delete(c.until, it.Item)
			ready = append(ready, it)
		} else if first.IsZero() || until.Before(first) {
			first = until
		}
	}
	return ready, first.Sub(now)
}

// pausing returns how many items are not to be tried yet.
func (c *cloudRun) pausing() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.until)
}

// nextFetched is next of lane cloud. It waits while nothing may be asked for,
// and ends the lane when nothing will be.
func (a *Activities) nextFetched(ctx context.Context, _ string, _ runDoc, in NextInput) ([]catalog.Item, error) {
	defer heartbeat(ctx)()
	r, err := a.run(ctx, in.Epoch)
	if err != nil {
		return nil, err
	}
	for {
		if !r.canFetch() {
			return nil, a.Catalog.FinishLane(ctx, in.Epoch, Cloud, in.Busy)
		}
		items, err := a.Catalog.Next(ctx, in.Epoch, Cloud, in.Share, in.N+r.cloud.pausing(), in.Busy)
		if err != nil {
			return nil, err
		}
		ready, wait := r.cloud.ready(items, in.N, a.Now())
		if len(ready) > 0 || len(items) == 0 || len(in.Busy) > 0 {
			return ready, nil // with some in hand the lane asks again when one of them is done
		}
		over := a.Progress.wait(waitCloud)
		err = sleep(ctx, wait)
		over()
		if err != nil {
			return nil, err
		}
	}
}

// endCloud has the run ask for nothing more from iCloud. What is left stays
// absent; the run goes on, and says so once.
func (s *storing) endCloud(ctx context.Context, why *photos.FetchError) error {
	p := Problem{Class: "icloud_" + string(why.Class), Problem: "iCloud: " + why.Text, Action: why.Fix}
	s.cloud.mu.Lock()
	first := s.cloud.over == nil
	if first {
		s.cloud.over = &p
	}
	s.cloud.mu.Unlock()
	if !first {
		return nil
	}
	s.a.Log.Warn("nothing more is asked from iCloud", "err", why)
	_, doc, err := s.a.runRow(ctx, s.epoch)
	if err != nil {
		return err
	}
	doc.CloudEnd = &p
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return s.a.Catalog.SetRun(ctx, s.epoch, catalog.AtWork, b)
}

// shown makes sure, once in a run, that Photos has this very library open:
// for assets of another it would say that they do not exist.
func (s *storing) shown(ctx context.Context) error {
	c := &s.cloud
	c.look.Lock()
	defer c.look.Unlock()
	c.mu.Lock()
	known := c.known
	c.mu.Unlock()
	if known {
		return nil
	}
	sample := s.doc.Sample
	if len(sample) > 0 {
		n := 0
		err := s.watch(ctx, func(ctx context.Context, _ *watchdog) (err error) {
			n, err = c.fetcher.Shows(ctx, sample)
			return err
		})
		if told, ok := errors.AsType[*photos.FetchError](err); ok && told.Class == photos.FetchSkip {
			err = &photos.FetchError{Class: photos.FetchStop, Text: told.Text, Fix: told.Fix, Err: err}
		}
		if err != nil {
			return err
		}
		if n*10 < len(sample)*9 {
			return &photos.FetchError{Class: photos.FetchStop,
				Text: fmt.Sprintf("Photos shows %d of %d assets of %s that were looked for: it has another library open", n, len(sample), s.doc.Source.Path),
				Fix:  "only the System Photo Library can be asked for (Photos, Settings, General, Use as System Photo Library)"}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = true
	return nil
}

// sampleSize is how many assets are looked for.
const sampleSize = 20

// sampler takes assets that Photos must show, evenly over a scan of unknown
// length.
type sampler struct {
	ids        []photos.AssetID
	step, seen int
}

func (s *sampler) see(a *photos.Asset) {
	for _, l := range []photos.Label{photos.LabelOrphan, photos.LabelTrashed, photos.LabelHidden, photos.LabelShared, photos.LabelSyndicated, photos.LabelBurst} {
		if a.Has(l) {
			return
		}
	}
	if s.seen++; s.seen%max(s.step, 1) != 0 {
		return
	}
	if s.ids = append(s.ids, a.ID); len(s.ids) == 2*sampleSize {
		s.step = 2 * max(s.step, 1)
		s.thin()
	}
}

func (s *sampler) thin() {
	for i := range len(s.ids) / 2 {
		s.ids[i] = s.ids[2*i+1]
	}
	s.ids = s.ids[:len(s.ids)/2]
}

// sample returns at most sampleSize of them, evenly.
func (s *sampler) sample() []photos.AssetID {
	if len(s.ids) <= sampleSize {
		return s.ids
	}
	even := make([]photos.AssetID, sampleSize)
	for i := range even {
		even[i] = s.ids[i*len(s.ids)/sampleSize]
	}
	return even
}
