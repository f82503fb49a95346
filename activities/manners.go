package activities

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
)

// Manners are how a run behaves on a machine that somebody uses. Methods may
// be called from many goroutines and return at once.
type Manners interface {
	// KeepAwake keeps the machine from sleeping until release is called, which
	// may be more than once. reason is for who asks the system why.
	KeepAwake(reason string) (release func())

	// Pressure returns how many requests at once are good manners now, and what
	// is waited for until there may be more. 0 is as many as pay.
	Pressure() (most int, why string)

	// Notify tells a person something, wherever they are looking.
	Notify(title, text string)
}

// needsYou is how long a run waits for what a person could mend before one is
// told: what comes back by itself has come back by then.
const needsYou = 10 * time.Minute

// presence is a run at work on a machine that somebody uses.
type presence struct {
	a        *Activities
	workflow string

	release func() // the machine may sleep; nil: it may already
	slowed  string // what is waited for until more may be taken
	over    func() // of what is shown of that
	told    map[string]bool
}

func (a *Activities) present(ctx context.Context) *presence {
	return &presence{a: a, workflow: activity.GetInfo(ctx).WorkflowExecution.ID, told: map[string]bool{}}
}

// mind is called every second. A held run lets the machine sleep: nobody knows
// when it goes on.
func (p *presence) mind(ctx context.Context, r Report) {
	if p.a.Manners == nil {
		return
	}
	if held, err := p.a.Catalog.Paused(ctx, p.workflow); err == nil { // else as it was
		p.keepAwake(!held)
	}
	p.slow()
	for _, w := range r.Waiting {
		if w.What != waitDisk && !strings.HasPrefix(w.What, waitStore) || p.told[w.What] || p.a.Now().Sub(w.Since) < needsYou {
			continue // else it passes by itself, or the person knows
		}
		p.told[w.What] = true
		p.a.Manners.Notify("Lightfast is waiting", fmt.Sprintf("for %s since %s. It goes on by itself then.", w.What, w.Since.Local().Format("15:04")))
	}
}

func (p *presence) keepAwake(on bool) {
	switch {
	case on && p.release == nil:
		p.release = p.a.Manners.KeepAwake("Lightfast is at work on " + p.workflow)
	case !on && p.release != nil:
		p.release()
		p.release = nil
	}
}

// slow also reaches a run that was opened a moment ago.
func (p *presence) slow() {
	most, why := p.a.Manners.Pressure()
	p.a.capWindows(most)
	if why == p.slowed {
		return
	}
	if p.over != nil {
		p.over()
		p.over = nil
	}
	if p.slowed = why; why != "" {
		p.over = p.a.Progress.wait(why)
	}
}

func (a *Activities) capWindows(most int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.runs {
		r.window.Cap(most)
	}
}

// leave ends the presence: the machine may do as it likes.
func (p *presence) leave() {
	if p.a.Manners == nil {
		return
	}
	p.keepAwake(false)
	if p.over != nil {
		p.over()
	}
}
