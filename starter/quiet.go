package main

import (
	"context"
	"log/slog"
)

// quiet lowers the level of a library's records: what Temporal's SDK calls an
// error is a try that will be repeated, and what is one for a person comes
// back as the run's result.
type quiet struct{ slog.Handler }

func quieten(log *slog.Logger) *slog.Logger { return slog.New(quiet{log.Handler()}) }

func lowered(l slog.Level) slog.Level {
	if l >= slog.LevelError {
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return q.Handler.Enabled(ctx, lowered(l))
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lowered(r.Level)
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(as []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(as)} }
func (q quiet) WithGroup(name string) slog.Handler    { return quiet{q.Handler.WithGroup(name)} }
