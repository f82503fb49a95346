// Package manners is how a run behaves on a Mac that somebody uses: the Mac
// stays awake while the run is at work, the run takes less while the Mac is hot
// or must save power, and a person who has gone elsewhere is told what became
// of it.
//
// Elsewhere, and in a binary without cgo, nothing happens: a server does not
// sleep, and nobody sits at it. On a Mac Apple's Foundation is asked through
// darwinkit, which is what macdriver is called now.
package manners

// System is the machine that this process runs on. Its methods may be called
// from many goroutines and return at once.
type System struct{}

// condition is what a Mac tells of itself.
type condition struct {
	heat     heat
	battery  bool // it runs on that
	lowPower bool // the user wants it to save power
}

// heat is NSProcessInfoThermalState, with Apple's numbers.
type heat int

const (
	nominal  heat = iota
	fair          // fans may be heard
	serious       // "fans are running at maximum speed", the system slows down
	critical      // it must cool down
)

const (
	// few requests are what keeps a line busy without a queue before it: the
	// least that a window of requests takes by itself.
	few = 4
	one = 1
)

// most returns how many requests at once are good manners, and what is waited
// for until there may be more. 0 is as many as pay.
func (c condition) most() (n int, why string) {
	switch {
	case c.heat >= critical:
		return one, "this Mac, which is far too hot"
	case c.heat >= serious:
		return few, "this Mac, which is hot"
	case c.lowPower:
		return few, "this Mac, which is in low power mode"
	case c.battery:
		return few, "this Mac, which runs on its battery"
	}
	return 0, ""
}
