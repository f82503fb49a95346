package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"lightfast/activities"
	"lightfast/engine"
	"lightfast/internal/dial"
	"lightfast/internal/exit"
	"lightfast/internal/state"
	"lightfast/internal/wire"
)

// job is one workflow that a command wants done.
type job struct {
	id       string // workflow id
	host     string // that does the work; "" for this one, or --on
	workflow any
	input    any
	memo     map[string]any
	limits   activities.Limits // asked for; in input, too
}

// drive sees a job through to its end, whoever works it off: this process if
// it gets the run's lock, else the one that has it, until that goes away. It
// reports whether this process began the run, and fills result.
//
// What several processes share is the server; it lives in one of them. When
// that one goes, whoever is left starts it again on the same file.
func (a *app) drive(ctx context.Context, d *state.Dir, j job, s *screen, result any) (began bool, err error) {
	if j.host == "" {
		j.host = a.hostID(d)
	}
	for {
		c, err := a.connect(ctx, d)
		if err == nil {
			s.showUI(c.ui)
			var first bool
			first, err = a.see(ctx, c, d, j, s, result)
			began = began || first
			c.client.Close()
		}
		if errors.Is(err, errServerGone) && ctx.Err() == nil {
			continue
		}
		if temporal.IsCanceledError(err) && ctx.Err() == nil {
			return began, &exit.Error{Code: exit.Canceled, What: "canceled", Do: "run the same command again: it goes on where it stopped"}
		}
		if ctx.Err() != nil {
			return began, &exit.Error{Code: exit.Interrupted, What: "interrupted", Do: "run the same command again: it goes on where it stopped"}
		}
		return began, activities.FromTemporal(err)
	}
}

// errServerGone: the process with the server has ended.
var errServerGone = errors.New("the process that had the Temporal server has ended")

// connection is a client of the host's server, which may be in this process.
type connection struct {
	client  client.Client
	address string
	ui      string
	pid     int // of the process with the server: the next one takes the same port
	own     bool
	cluster bool // the server is none of ours, and neither are its workers
}

// queueOf a job: in a cluster that of the host which has the library, else
// the run's own, which whoever has its lock polls.
func (c *connection) queueOf(j job) string {
	if c.cluster {
		return wire.HostQueue(j.host)
	}
	return j.id
}

const (
	// answerTime is how long another process may take to start or stop.
	answerTime = 10 * time.Second

	// ownTime is how long our own server may take until it answers: it will,
	// however busy the machine is.
	ownTime = time.Minute
)

// connect finds the host's server, or becomes the process that has it. Nobody
// stops a server: the end of its process does, which its database takes like
// any kill -9, while an orderly stop costs a second (a fixed drain).
func (a *app) connect(ctx context.Context, d *state.Dir) (*connection, error) {
	c := &connection{address: a.address, cluster: a.address != ""}
	until := time.Now().Add(answerTime)
	for c.address == "" {
		e, err := a.startEngine(ctx, d)
		if err == nil {
			c.own, c.address, c.ui = true, e.Address(), e.UI()
			break
		}
		if !errors.Is(err, engine.ErrRunning) {
			return nil, &exit.Error{Code: exit.Failed, What: "start Temporal in " + d.Path, Err: err, Do: "check that the disk has room, or choose another folder with --state"}
		}
		find, cancel := context.WithDeadline(ctx, until)
		info, err := engine.Find(find, d.Path)
		cancel()
		switch {
		case err == nil:
			c.address, c.ui, c.pid = info.Address, info.UI, info.PID
		case errors.Is(err, engine.ErrNotRunning) && time.Now().Before(until): // it has just ended
		default:
			return nil, &exit.Error{Code: exit.InUse, What: "state directory " + d.Path, Err: err,
				Do: "another lightfast holds it and does not answer; end that process"}
		}
	}
	patience := answerTime
	if c.own {
		patience = ownTime
	}
	reach, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	c.client, err = dial.Temporal(reach, c.address, dial.Options{Namespace: a.namespace, Identity: d.Host.ID, Log: quieten(a.log)})
	if err != nil && c.cluster {
		return c, &exit.Error{Code: exit.Failed, What: "Temporal", Err: err, Do: "check --address and --namespace"}
	}
	if err != nil && !c.own && ctx.Err() == nil {
		err = errors.Join(errServerGone, err)
	}
	return c, err
}

func (a *app) startEngine(ctx context.Context, d *state.Dir) (*engine.Engine, error) {
	if a.engine != nil {
		return a.engine, nil
	}
	e, err := engine.Start(ctx, engine.Options{StateDir: d.Path, UIPort: a.uiPort, Log: a.log})
	if err == nil {
		a.engine = e
	}
	return e, err
}

// ask has f talk to the host's server, once more if that goes away meanwhile.
func (a *app) ask(ctx context.Context, d *state.Dir, f func(*connection) error) error {
	for {
		c, err := a.connect(ctx, d)
		if err == nil {
			err = f(c)
			c.client.Close()
			if err != nil && ctx.Err() == nil && !c.served(ctx, d) {
				continue
			}
		}
		if !errors.Is(err, errServerGone) {
			return err
		}
	}
}

// served reports whether the server is still there.
func (c *connection) served(ctx context.Context, d *state.Dir) bool {
	if c.own || c.cluster {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	info, err := engine.Find(ctx, d.Path)
	return err == nil && info.Address == c.address && info.PID == c.pid
}

// see starts the job's workflow, or attaches to the one that runs, and waits
// for its end. While no living process has the run, it works it off itself.
func (a *app) see(ctx context.Context, c *connection, d *state.Dir, j job, s *screen, result any) (began bool, err error) {
	var w *shift
	defer func() {
		if w != nil {
			err = errors.Join(err, w.end())
		}
	}()
	if w, err = a.take(ctx, c, d, j); err != nil {
		return false, a.orGone(ctx, c, d, err)
	}
	run, err := c.start(ctx, j)
	if err != nil {
		return false, a.orGone(ctx, c, d, err)
	}
	a.relimit(ctx, c, d, j)
	waiting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	done := make(chan error, 1)
	go func() { done <- run.Get(waiting, result) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		s.show(a.progress(ctx, c, j.id, w))
		var changed <-chan struct{}
		if w != nil {
			changed = w.worker.Activities.Progress.Changed()
		}
		select {
		case err := <-done:
			if _, result := errors.AsType[*temporal.WorkflowExecutionError](err); err != nil && !result {
				err = a.orGone(ctx, c, d, err)
			}
			return w != nil, err
		case <-ctx.Done():
			return w != nil, a.interrupt(c, j.id, w, s, done)
		case <-changed:
		case <-tick.C:
			if !c.served(ctx, d) {
				stop()
				<-done
				return w != nil, errServerGone
			}
			if w == nil {
				if w, err = a.take(ctx, c, d, j); err != nil {
					stop()
					<-done
					return false, err
				}
			}
		}
	}
}

// orGone tells a server that has gone from one that answers with err.
func (a *app) orGone(ctx context.Context, c *connection, d *state.Dir, err error) error {
	// A dying process closes its connections a moment before its lock.
	for range 3 {
		if ctx.Err() == nil && !c.served(ctx, d) {
			return errors.Join(errServerGone, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return err
}

// start begins a job's workflow unless it is running already.
func (c *connection) start(ctx context.Context, j job) (client.WorkflowRun, error) {
	j.memo["limits"] = j.limits
	run, err := c.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: j.id, TaskQueue: c.queueOf(j), Memo: j.memo,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowTaskTimeout:      10 * time.Second,
		EnableEagerStart:         true,
	}, j.workflow, j.input)
	if err != nil {
		return nil, fmt.Errorf("start workflow: %w", err)
	}
	return run, nil
}

// interrupt cancels the run that we have in hand and waits a while for its
// end. One that another process has in hand goes on there.
func (a *app) interrupt(c *connection, id string, w *shift, s *screen, done <-chan error) error {
	if w == nil {
		s.say("left; the run goes on in the process that works it off (`lightfast cancel` ends it)")
		return context.Canceled
	}
	s.say("stopping in an orderly way; Ctrl-C again leaves at once")
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	if err := c.client.CancelWorkflow(ctx, id, ""); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Canceled
	}
}

// shift is the time in which this process works a run off.
type shift struct {
	lock   *state.Lock
	worker *wire.Worker
}

// take begins a shift if no living process is on one.
func (a *app) take(ctx context.Context, c *connection, d *state.Dir, j job) (*shift, error) {
	if c.cluster {
		return nil, nil
	}
	lock, ok, err := d.TryLock(j.id)
	if err != nil || !ok {
		return nil, err
	}
	a.tellOfDeath(ctx, c, j.id)
	freed, err := engine.Recover(ctx, c.address, j.id, d.Host.ID)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	if freed.Workflows > 0 {
		a.log.Info("going on with a run", "workflow", j.id, "activities", freed.Activities, "tasks", freed.WorkflowTasks)
	}
	w, err := wire.NewWorker(ctx, c.client, c.queueOf(j), d, a.options)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	return &shift{lock: lock, worker: w}, nil
}

// tellOfDeath says what a process that ended without a word was doing: a kill
// by the kernel leaves no other trace.
func (a *app) tellOfDeath(ctx context.Context, c *connection, id string) {
	r, err := describe(ctx, c.client, id, "")
	if err != nil || !r.State.open() || r.Heard.IsZero() {
		return
	}
	p := r.Progress
	text := fmt.Sprintf("the previous process ended without a word at %s, resident %s, %s", r.Heard.Local().Format(time.TimeOnly), humanize.IBytes(uint64(max(p.Memory, 0))), p.Phase)
	if len(p.InFlight) > 0 {
		text += " " + strings.Join(p.InFlight, ", ")
	}
	a.warn("died", text+fmt.Sprintf("; going on from %s of %s assets", humanize.Comma(p.Assets.Done), humanize.Comma(p.Assets.Total)))
}

func (s *shift) end() error { return errors.Join(s.worker.Stop(), s.lock.Unlock()) }

// progress asks our own counters if we are on shift, else what the run's
// Pulse last said through Temporal.
func (a *app) progress(ctx context.Context, c *connection, id string, w *shift) activities.Report {
	if w != nil {
		return w.worker.Activities.Progress.Report()
	}
	run, err := describe(ctx, c.client, id, "")
	if err != nil {
		return activities.Report{Phase: activities.Starting}
	}
	return run.Progress
}
