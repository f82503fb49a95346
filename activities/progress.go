package activities

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Phase of a run.
type Phase string

const (
	Starting  Phase = "starting"
	Scanning  Phase = "scanning"
	Storing   Phase = "storing" // this process is at work on assets
	Finishing Phase = "finishing"
)

// Report is the state of a run at one moment: what a terminal shows, what
// Pulse carries, and the body of the event "progress".
type Report struct {
	Phase  Phase `json:"phase"`
	Assets struct {
		Done  int64 `json:"done"`
		Total int64 `json:"total"`
	} `json:"assets"`
	Bytes struct {
		Done  int64 `json:"done"`
		Total int64 `json:"total"`
		Sent  int64 `json:"sent"`
	} `json:"bytes"`
	RateBPS  int64     `json:"rate_bps"` // bytes per second, over the last ten
	ETA      int64     `json:"eta_s"`    // -1 for unknown
	InFlight []string  `json:"in_flight"`
	Waiting  []Waiting `json:"waiting"`
	Memory   int64     `json:"memory_bytes"` // resident
	Limits   Limits    `json:"limits,omitzero"`

	Spool int64 `json:"spool_bytes,omitempty"` // leased for what comes from iCloud
}

// Waiting is something that a run cannot go on without.
type Waiting struct {
	What  string    `json:"what"`
	Since time.Time `json:"since"`
}

// Progress counts what this process does for its run. The zero value is not
// usable; see NewProgress.
type Progress struct {
	now func() time.Time

	mu       sync.Mutex // guards all below
	report   Report
	inFlight map[string]int
	parts    map[string]int64 // bytes of what is in flight that are there already
	waiting  map[string]*wait
	samples  []sample
	changed  chan struct{} // closed and replaced at every change of phase
}

// wait is what some of a run's activities wait for.
type wait struct {
	since time.Time
	n     int
}

type sample struct {
	at   time.Time
	done int64
}

// NewProgress returns a Progress in phase Starting.
func NewProgress(now func() time.Time) *Progress {
	p := &Progress{now: now}
	p.Reset()
	return p
}

// Reset begins anew, for the next run of this process.
func (p *Progress) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report = Report{Phase: Starting}
	p.inFlight, p.parts, p.waiting, p.samples = map[string]int{}, map[string]int64{}, map[string]*wait{}, nil
	p.wake()
}

func (p *Progress) wake() {
	if p.changed != nil {
		close(p.changed)
	}
	p.changed = make(chan struct{})
}

// Changed returns a channel that is closed at the next change of phase.
func (p *Progress) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// Report returns the state now.
func (p *Progress) Report() Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.report
	r.Bytes.Done = p.bytesDone()
	r.InFlight = []string{}
	for name := range p.inFlight {
		r.InFlight = append(r.InFlight, name)
	}
	slices.Sort(r.InFlight)
	r.InFlight = r.InFlight[:min(len(r.InFlight), 8)]
	r.Waiting = []Waiting{}
	for what, w := range p.waiting {
		r.Waiting = append(r.Waiting, Waiting{what, w.since})
	}
	slices.SortFunc(r.Waiting, func(a, b Waiting) int { return strings.Compare(a.What, b.What) })
	r.RateBPS, r.ETA = p.rate()
	r.Memory = residentBytes()
	return r
}

// steady is how long a rate must have been seen before it foretells an end.
const steady = 3 * time.Second

// bytesDone counts parts of what is in flight; the caller holds the lock.
func (p *Progress) bytesDone() int64 {
	done := p.report.Bytes.Done
	for _, n := range p.parts {
		done += n
	}
	return done
}

// rate is that of the last ten seconds; the caller holds the lock.
func (p *Progress) rate() (bps, eta int64) {
	now := p.now()
	done := p.bytesDone()
	p.samples = append(p.samples, sample{now, done})
	for len(p.samples) > 2 && now.Sub(p.samples[0].at) > 10*time.Second {
		p.samples = p.samples[1:]
	}
	first := p.samples[0]
	if d := now.Sub(first.at).Seconds(); d > 0 {
		bps = int64(float64(done-first.done) / d)
	}
	if bps <= 0 || now.Sub(first.at) < steady {
		return max(bps, 0), -1
	}
	return bps, (p.report.Bytes.Total - done) / bps
}

func (p *Progress) setPhase(ph Phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.report.Phase != ph {
		p.report.Phase = ph
		p.wake()
	}
}

func (p *Progress) setLimits(l Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Limits = l
}

func (p *Progress) setSpool(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Spool = n
}

// scanned counts assets while the total is not known.
func (p *Progress) scanned(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Assets.Total = n
}

func (p *Progress) setTotals(done, total, doneBytes, totalBytes, sent int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Assets.Done, p.report.Assets.Total = done, total
	p.report.Bytes.Done, p.report.Bytes.Total, p.report.Bytes.Sent = doneBytes, totalBytes, sent
	p.samples = nil // what was done before is no speed of ours
}

// begin marks an asset as in flight until the returned function is called
// with the bytes that it brought nearer to the end, also where the asset is
// not done by them.
func (p *Progress) begin(name string) (end func(done bool, size int64)) {
	p.setPhase(Storing)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight[name]++
	return func(done bool, size int64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.inFlight[name]--; p.inFlight[name] == 0 {
			delete(p.inFlight, name)
			delete(p.parts, name)
		}
		if done {
			p.report.Assets.Done++
		}
		p.report.Bytes.Done += size
	}
}

// part says that n more bytes of an asset in flight are there.
func (p *Progress) part(name string, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parts[name] += n
}

func (p *Progress) sent(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Bytes.Sent += n
}

// wait says what the run waits for until the returned function is called.
func (p *Progress) wait(what string) (over func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.waiting[what]
	if w == nil {
		w = &wait{since: p.now()}
		p.waiting[what] = w
	}
	w.n++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if w.n--; w.n == 0 && p.waiting[what] == w {
			delete(p.waiting, what)
		}
	}
}

// residentBytes of this process; where /proc is missing, the peak so far.
func residentBytes() int64 {
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			if pages, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				return pages * int64(os.Getpagesize())
			}
		}
	}
	return PeakBytes()
}
