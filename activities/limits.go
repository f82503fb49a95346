package activities

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/activity"

	"lightfast/catalog"
	"lightfast/internal/exit"
	"lightfast/internal/ratelimit"
)

// Limits are rates or timetables as ratelimit.ParseTable reads them. "" says
// nothing of that direction; "off" lifts its limit.
type Limits struct {
	Upload   string `json:"upload,omitempty"`
	Download string `json:"download,omitempty"`
}

// Check fails with exit.Usage for what is no rate.
func (l Limits) Check() error {
	for _, s := range []string{l.Upload, l.Download} {
		if _, err := table(s); err != nil {
			return &exit.Error{Code: exit.Usage, What: "usage", Err: fmt.Errorf("limit: %w", err), Do: `write it like 10M, off or "08:00,512k 19:00,10M 23:00,off"`}
		}
	}
	return nil
}

func table(s string) (ratelimit.Table, error) {
	if s == "" {
		return nil, nil
	}
	return ratelimit.ParseTable(s)
}

// given returns l with "" for what is no limit.
func (l Limits) given() Limits {
	for _, s := range []*string{&l.Upload, &l.Download} {
		if t, err := table(*s); err == nil && t == nil {
			*s = ""
		}
	}
	return l
}

// SetLimits changes the limits of the run of this workflow, in the midst of
// whatever is on its way.
func (a *Activities) SetLimits(ctx context.Context, l Limits) error {
	if err := l.Check(); err != nil {
		return toTemporal(err)
	}
	info := activity.GetInfo(ctx)
	workflow := info.WorkflowExecution.ID
	if err := ChangeLimits(ctx, a.Catalog, workflow, info.WorkflowExecution.RunID, l); err != nil {
		return toTemporal(err)
	}
	_, err := a.setLine(ctx, workflow)
	return toTemporal(err)
}

// ChangeLimits writes down what the process that works a run off next finds.
func ChangeLimits(ctx context.Context, cat *catalog.Catalog, workflow, run string, l Limits) error {
	asked, now := l, l.given()
	return cat.ChangeLimits(ctx, workflow, run, func(kept *catalog.Limits) {
		if asked.Upload != "" {
			kept.Upload = now.Upload
		}
		if asked.Download != "" {
			kept.Download = now.Download
		}
	})
}

// beginLimits gives the run of this workflow the limits that it was asked for
// with, unless it has begun: then it keeps those that it has.
func (a *Activities) beginLimits(ctx context.Context, l Limits) error {
	if err := l.Check(); err != nil {
		return err
	}
	info := activity.GetInfo(ctx)
	return a.Catalog.BeginLimits(ctx, info.WorkflowExecution.ID, info.WorkflowExecution.RunID, catalog.Limits(l.given()))
}

// line is what all requests of the runs of a workflow share in this process.
func (a *Activities) line(ctx context.Context, workflow string) (ratelimit.Line, error) {
	a.linesMu.Lock()
	l, ok := a.lines[workflow]
	a.linesMu.Unlock()
	if ok {
		return l, nil
	}
	return a.setLine(ctx, workflow)
}

// setLine has the line of a workflow follow the catalog.
func (a *Activities) setLine(ctx context.Context, workflow string) (ratelimit.Line, error) {
	a.linesMu.Lock() // over all: who reads last, sets last
	defer a.linesMu.Unlock()
	kept, err := a.Catalog.Limits(ctx, workflow)
	if err != nil {
		return ratelimit.Line{}, err
	}
	up, err := table(kept.Upload)
	if err != nil {
		return ratelimit.Line{}, err
	}
	down, err := table(kept.Download)
	if err != nil {
		return ratelimit.Line{}, err
	}
	l, ok := a.lines[workflow]
	if !ok {
		if a.lines == nil {
			a.lines = map[string]ratelimit.Line{}
		}
		l = ratelimit.Line{Up: ratelimit.New(nil), Down: ratelimit.New(nil)}
		a.lines[workflow] = l
	}
	l.Up.Set(up)
	l.Down.Set(down)
	a.Progress.setLimits(Limits(kept))
	return l, nil
}

// endLimits: the next run begins with its own.
func (a *Activities) endLimits(ctx context.Context, workflow string) error {
	a.linesMu.Lock()
	defer a.linesMu.Unlock()
	delete(a.lines, workflow)
	return a.Catalog.DropLimits(ctx, workflow)
}
