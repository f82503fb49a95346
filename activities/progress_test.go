package activities

import (
	"testing"
	"time"
)

func TestProgressFollowsPartsAndForetellsOnlyWhenSteady(t *testing.T) {
	now := time.Unix(1000, 0)
	p := NewProgress(func() time.Time { return now })
	p.setTotals(0, 2, 0, 1000, 0)
	end := p.begin("film.mov")
	p.Report()
	now = now.Add(time.Second)
	p.part("film.mov", 100)
	if r := p.Report(); r.Bytes.Done != 100 || r.RateBPS != 100 || r.ETA != -1 {
		t.Errorf("after a second: done %d, rate %d, eta %d; want 100, 100, -1", r.Bytes.Done, r.RateBPS, r.ETA)
	}
	now = now.Add(3 * time.Second)
	p.part("film.mov", 300)
	if r := p.Report(); r.RateBPS != 100 || r.ETA != 6 {
		t.Errorf("after four: rate %d, eta %d; want 100, 6", r.RateBPS, r.ETA)
	}
	end(true, 500)
	if r := p.Report(); r.Bytes.Done != 500 || r.Assets.Done != 1 || len(r.InFlight) != 0 {
		t.Errorf("at its end: done %d bytes of %d assets, in flight %v; want 500, 1, none", r.Bytes.Done, r.Assets.Done, r.InFlight)
	}
}

func TestProgressWakesAtEveryPhase(t *testing.T) {
	p := NewProgress(time.Now)
	changed := p.Changed()
	p.setPhase(Scanning)
	select {
	case <-changed:
	default:
		t.Error("a change of phase woke nobody")
	}
	changed = p.Changed()
	p.setPhase(Scanning)
	select {
	case <-changed:
		t.Error("the same phase again woke somebody")
	default:
	}
}
