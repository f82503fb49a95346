package window

import (
	"math"
	"time"
)

// rungs are the sizes that a window may have.
var rungs = []int{4, 6, 8, 12, 16, 24, 32, 48, Most}

// Most is the largest window.
const Most = 64

const (
	firstRung = 4

	// An epoch is as long as it takes to tell a rate from noise: so many turns
	// of those that are under way, and so much time.
	turns     = 2
	leastTime = time.Second

	// More requests must move more by this much, and by twice the noise; fewer
	// may move less by this much, where noise is so small that it would be seen.
	gain  = 0.05
	loss  = 0.03
	quiet = 0.05

	// What differs by more is no noise, but another line.
	other = 0.5

	// Epochs at rest between two looks at what another size would do.
	restFirst = 2
	restLeast = 8
	restMost  = 64

	// A request costs about as much as this many bytes more.
	perRequest = 64 << 10
)

// climb looks for the size at which most is moved: up while that pays, later
// now and then a rung up or down to see whether it still holds.
type climb struct {
	rung int
	step int // +1 and -1: this epoch tries whether that was right; 0: at rest

	best     float64 // what was moved before the step
	noise    float64 // by what part of it an epoch at rest differs
	rest     int     // epochs until the next step
	restNext int
	next     int // direction of the next step

	start time.Time // but for the time that nobody was at work
	idle  time.Time // since when nobody is; zero: somebody is
	n     int       // requests that have ended in this epoch
	bound int       // of them those of a full window
	bytes int64
}

func newClimb() climb {
	now := time.Now()
	return climb{rung: firstRung, step: 1, noise: quiet, restNext: restFirst, next: -1, start: now, idle: now}
}

func (c *climb) size() int { return rungs[c.rung] }

// begin starts an epoch.
func (c *climb) begin(now time.Time) {
	c.start, c.n, c.bound, c.bytes = now, 0, 0, 0
	if !c.idle.IsZero() {
		c.idle = now
	}
}

// pause and resume leave out of an epoch the time that nobody is at work: who
// rests is not slow.
func (c *climb) pause(now time.Time) { c.idle = now }

func (c *climb) resume(now time.Time) {
	c.start, c.idle = c.start.Add(now.Sub(c.idle)), time.Time{}
}

// count takes a request that ended, one of those that held the window, which
// was full or not. It returns the bytes a second of an epoch that ends with it,
// else 0, and whether they are all that the store takes of so many requests.
func (c *climb) count(now time.Time, bytes int64, held int, full bool) (rate float64, ok bool) {
	c.n++
	c.bytes += bytes
	if full {
		c.bound++
	}
	took := now.Sub(c.start)
	if c.n < turns*held || took < leastTime {
		return 0, false
	}
	n, ok := c.n, 2*c.bound >= c.n
	rate = float64(c.bytes) / took.Seconds()
	c.begin(now)
	if ok { // else the window was not what held them up
		c.judge(rate + float64(n)*perRequest/took.Seconds())
	}
	return rate, ok
}

// soFar is the rate of an epoch that has not ended, 0 of one that has just begun.
func (c *climb) soFar(now time.Time) float64 {
	if !c.idle.IsZero() {
		now = c.idle
	}
	took := now.Sub(c.start)
	if took < leastTime/10 {
		return 0
	}
	return float64(c.bytes) / took.Seconds()
}

func (c *climb) judge(moved float64) {
	switch {
	case c.step > 0 && moved >= (1+max(gain, 2*c.noise))*c.best, c.step < 0 && c.noise <= quiet && moved >= (1-loss)*c.best:
		if c.step > 0 {
			c.best = moved
		}
		c.restNext = restLeast
		if !c.take(c.step) {
			c.settle()
		}
	case c.step != 0:
		c.take(-c.step)
		c.restNext = min(2*c.restNext, restMost)
		c.settle()
	case c.rest > 1:
		c.rest--
		differs := math.Abs(moved-c.best) / c.best
		if differs > other {
			c.meet(moved)
			break
		}
		c.hear(differs)
		c.best += (moved - c.best) / 4
	default:
		c.step, c.next = c.next, -c.next
		if !c.take(c.step) {
			c.settle()
		}
	}
}

// meet begins anew on a line that carries another amount, after an epoch more
// that tells it from a moment's standstill.
func (c *climb) meet(moved float64) {
	c.next = 1
	if moved < c.best {
		c.next = -1
	}
	c.best, c.rest, c.restNext = moved, restFirst, restFirst
}

// hear counts what an epoch differs by: at once where it is more than before,
// and forgets it slowly, for some epochs of a noisy line are alike by chance.
func (c *climb) hear(differs float64) {
	part := 16.0
	if differs > c.noise {
		part = 2
	}
	c.noise += (differs - c.noise) / part
}

// take goes a rung up or down, if there is one.
func (c *climb) take(step int) bool {
	to := c.rung + step
	if to < 0 || to == len(rungs) {
		return false
	}
	c.rung = to
	return true
}

func (c *climb) settle() {
	c.step, c.rest = 0, c.restNext
}
