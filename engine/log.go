package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// serverLog hands Temporal's log on to ours. Temporal informs and warns about its own inner life: for us that is
// debugging. Its errors stay errors, except while it starts and stops, when its parts complain about each other's
// absence.
type serverLog struct {
	log   *slog.Logger
	tags  []tag.Tag    // made into attributes only when something is logged
	ready *atomic.Bool // it has started and does not stop yet; shared by all loggers of one server
}

var (
	_ log.Logger     = (*serverLog)(nil)
	_ log.WithLogger = (*serverLog)(nil)
)

func newServerLog(l *slog.Logger) *serverLog {
	return &serverLog{log: l.With("component", "temporal"), ready: new(atomic.Bool)}
}

func (l *serverLog) With(tags ...tag.Tag) log.Logger {
	return &serverLog{log: l.log, tags: slices.Concat(l.tags, tags), ready: l.ready}
}

// Debug says nothing: it would be a line for every step of every workflow.
func (l *serverLog) Debug(string, ...tag.Tag) {}

func (l *serverLog) Info(msg string, tags ...tag.Tag)   { l.write(slog.LevelDebug, msg, tags) }
func (l *serverLog) Warn(msg string, tags ...tag.Tag)   { l.write(slog.LevelDebug, msg, tags) }
func (l *serverLog) Error(msg string, tags ...tag.Tag)  { l.write(slog.LevelError, msg, tags) }
func (l *serverLog) DPanic(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

func (l *serverLog) Panic(msg string, tags ...tag.Tag) { panic(l.fatal(msg, tags)) }

// Fatal must not return. Start turns the panic into an error; later it ends the process, as it would have.
func (l *serverLog) Fatal(msg string, tags ...tag.Tag) { panic(l.fatal(msg, tags)) }

func (l *serverLog) fatal(msg string, tags []tag.Tag) *fatalError {
	l.write(slog.LevelError, msg, tags)
	for _, t := range tags {
		msg += fmt.Sprintf(" %s=%v", t.Key(), t.Value())
	}
	return &fatalError{msg}
}

func (l *serverLog) write(level slog.Level, msg string, tags []tag.Tag) {
	if !l.ready.Load() || level == slog.LevelError && (msg == lateTrailer || canceled(slices.Concat(l.tags, tags))) {
		level = slog.LevelDebug
	}
	ctx := context.Background() // Temporal's logger has none
	if !l.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, len(l.tags)+len(tags))
	for _, t := range slices.Concat(l.tags, tags) {
		attrs = append(attrs, slog.Any(t.Key(), t.Value()))
	}
	l.log.LogAttrs(ctx, level, msg, attrs...)
}

// lateTrailer is said of metrics that come after an answer whose caller has gone, as each command does at its end.
const lateTrailer = "unable to add metrics baggage to gRPC trailer"

// canceled reports whether all that happened is that a caller went away, as each command does at its end.
func canceled(tags []tag.Tag) bool {
	for _, t := range tags {
		z, ok := t.(tag.ZapTag)
		if !ok {
			continue
		}
		err, _ := z.Field().Interface.(error)
		if _, ok := errors.AsType[*serviceerror.Canceled](err); ok || errors.Is(err, context.Canceled) {
			return true
		}
	}
	return false
}

// fatalError is a failure after which Temporal would end the process.
type fatalError struct{ msg string }

func (e *fatalError) Error() string { return e.msg }
