// Package engine runs a Temporal server and its web page inside our own process, for the `lightfast` command.
//
// It promises:
//
//   - One server per state directory. A flock is taken before the database is opened, because Temporal takes none
//     and two servers on one file would steal from each other in silence. Who comes second gets ErrRunning, and
//     Find tells where the first one listens.
//   - Nothing to lose. Temporal's database is disposable: the truth is in the repository and the catalog. A file
//     that is damaged, half made or of another schema is set aside, and a fresh one is made.
//   - Nothing beyond this machine. Nothing guards Temporal with a password, so every port is on 127.0.0.1.
//   - A killed process costs a second, not a timeout: the next server of the directory listens on the same port
//     if that is free, and Recover frees what the dead process had taken.
//
// It does not know what a workflow does, and it starts no worker.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"go.temporal.io/server/temporal"

	"lightfast/internal/dial"
)

// Namespace is the one Temporal namespace in which everything of ours runs.
const Namespace = dial.Namespace

var (
	// ErrRunning says that the state directory is served already. Find tells by whom and where.
	ErrRunning = errors.New("an engine of this state directory is already running")
	// ErrNotRunning says that nobody serves the state directory.
	ErrNotRunning = errors.New("no engine of this state directory is running")
)

// Options of Start. StateDir is required.
type Options struct {
	StateDir string       // made with mode 0700 if it is missing
	UIPort   int          // port of the web page; 0: the last one if it is free, else any
	Log      *slog.Logger // nil: nothing is logged
}

// Engine is a running server. Its methods are safe for many goroutines.
type Engine struct {
	info   Info
	dir    string
	lock   *flock.Flock
	server temporal.Server
	ui     *ui
	log    *serverLog

	stop    sync.Once
	stopped chan struct{} // closed when all has ended
	err     error         // of the stop; set before stopped is closed
}

// Start returns when the server and its web page answer. ErrRunning: somebody else serves this directory.
//
// The server itself cannot be interrupted while it starts, for less than a second; if ctx has ended by then, it is
// stopped again.
func Start(ctx context.Context, o Options) (_ *Engine, err error) {
	started := time.Now()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	lock, err := acquire(ctx, o.StateDir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	// What a dead server left here is not true any more.
	if err := removeInfo(o.StateDir); err != nil {
		return nil, err
	}
	ports, err := choosePorts(o.StateDir, o.UIPort)
	if err != nil {
		return nil, err
	}
	db := database(o.StateDir)
	if err := prepare(ctx, db, o.Log); err != nil {
		return nil, fmt.Errorf("temporal database: %w", err)
	}

	log := newServerLog(o.Log)
	server, err := startServer(db, ports, log)
	if err != nil {
		return nil, fmt.Errorf("start temporal server: %w", err)
	}
	e := &Engine{
		info: Info{
			PID: os.Getpid(), Address: ports.frontend.address(), UI: "http://" + ports.ui.address(),
			Namespace: Namespace, Started: started.UTC(),
		},
		dir: o.StateDir, server: server, log: log, lock: lock,
		stopped: make(chan struct{}),
	}
	if err := e.open(ctx, ports); err != nil {
		return nil, errors.Join(err, e.end())
	}
	o.Log.Info("engine started", "address", e.info.Address, "ui", e.info.UI, "took", time.Since(started))
	return e, nil
}

// open waits until the server answers, adds the web page, and then tells where it is.
func (e *Engine) open(ctx context.Context, p ports) error {
	c, err := dial.Temporal(ctx, e.info.Address, dial.Options{})
	if err != nil {
		return err
	}
	c.Close()
	e.log.ready.Store(true)
	e.ui = startUI(p.ui, e.info.Address)
	if err := e.ui.answers(ctx); err != nil {
		return err
	}
	if err := p.remember(e.dir); err != nil {
		return err
	}
	return writeInfo(e.dir, e.info)
}

// Address is the host:port of the Temporal frontend.
func (e *Engine) Address() string { return e.info.Address }

// UI is the URL of the web page.
func (e *Engine) UI() string { return e.info.UI }

// Namespace is the namespace in which everything of ours runs.
func (e *Engine) Namespace() string { return e.info.Namespace }

// Stop ends the web page and the server, and releases the state directory last. Stop the workers and close the
// clients before. When ctx ends first, the server goes on stopping and keeps the directory until it has stopped.
// A second call waits for the first one and answers the same.
//
// It takes 1.1 s, of which Temporal spends one doing nothing, and is a courtesy: what is killed loses nothing. Some
// goroutines of Temporal's own outlive it, so it belongs at the end of a process.
func (e *Engine) Stop(ctx context.Context) error {
	e.stop.Do(func() {
		go func() {
			defer close(e.stopped)
			e.err = errors.Join(removeInfo(e.dir), e.end(), e.lock.Close())
		}()
	})
	select {
	case <-e.stopped:
		return e.err
	case <-ctx.Done():
		return fmt.Errorf("stop engine: %w", context.Cause(ctx))
	}
}

// end stops all that Start has started, but keeps the lock.
func (e *Engine) end() error {
	e.log.ready.Store(false)
	if e.ui != nil {
		e.ui.stop()
	}
	if err := e.server.Stop(); err != nil {
		return fmt.Errorf("stop temporal server: %w", err)
	}
	return nil
}
