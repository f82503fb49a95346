// Package wire joins the drivers to the activities, and the activities to a
// Temporal worker. It is the only place that knows every driver.
package wire

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"lightfast/activities"
	"lightfast/catalog"
	"lightfast/internal/budget"
	"lightfast/internal/exit"
	"lightfast/internal/manners"
	"lightfast/internal/ratelimit"
	"lightfast/internal/spool"
	"lightfast/internal/state"
	"lightfast/internal/window"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/objectstore/dir"
	"lightfast/objectstore/s3"
	"lightfast/photos"
	"lightfast/workflows"
)

// Options of a process that works runs off.
type Options struct {
	Budget *budget.Budget // the one bound on buffers in this process
	CAFile string         // extra certificates for https stores
	Log    *slog.Logger

	PartSize int64 // see Activities

	Spool   spool.Options // of what comes from iCloud
	Readers int           // requests to iCloud at once; 0 is 1
}

// OpenStore opens a destination, at the limits of line.
func OpenStore(ctx context.Context, dest string, line ratelimit.Line, host state.Host, o Options) (objectstore.Store, error) {
	d, err := ParseDest(dest)
	if err != nil {
		return nil, err
	}
	if d.Folder != "" {
		return dir.New(d.Folder, dir.Options{Host: host.ID, Line: line, Log: o.Log})
	}
	return s3.New(ctx, s3.Options{Endpoint: d.Endpoint, Region: d.Region, Bucket: d.Bucket, Prefix: d.Prefix, CAFile: o.CAFile, Line: line, Log: o.Log})
}

// OpenExisting opens a destination for reading: it makes nothing.
func OpenExisting(ctx context.Context, d Dest, host state.Host, o Options) (objectstore.Store, error) {
	if d.Folder != "" {
		if _, err := os.Stat(d.Folder); err != nil {
			return nil, &exit.Error{Code: exit.NoRepo, What: "no repository at " + d.Folder, Err: err, Do: "check the path, and that the disk is mounted"}
		}
	}
	return OpenStore(ctx, d.String(), ratelimit.Line{}, host, o)
}

// Worker works runs off one queue until Stop.
type Worker struct {
	Activities *activities.Activities
	workers    []worker.Worker
	catalog    *catalog.Catalog
}

// stopGrace is how long activities may go on when a worker stops. What they
// have begun is done again by the next process, at most a part each.
const stopGrace = 2 * time.Second

// mostRuns are at work in one worker of a cluster without one waiting for
// another.
const mostRuns = 8

// NewWorker opens the catalog and begins to poll queue. The caller holds the
// run's lock.
func NewWorker(ctx context.Context, c client.Client, queue string, d *state.Dir, o Options) (*Worker, error) {
	cat, err := OpenCatalog(ctx, d)
	if err != nil {
		return nil, err
	}
	fetching, err := newFetching(d, o)
	if err != nil {
		return nil, errors.Join(err, cat.Close())
	}
	w := &Worker{catalog: cat}
	w.Activities = &activities.Activities{
		Catalog: cat,
		Budget:  o.Budget,
		OpenSource: func(ctx context.Context, s activities.SourceSpec) (photos.Source, error) {
			return OpenSource(ctx, s, d, nil, o.Log)
		},
		OpenStore: func(ctx context.Context, dest string, line ratelimit.Line) (objectstore.Store, error) {
			return OpenStore(ctx, dest, line, d.Host, o)
		},
		Host:     manifest.Host{ID: d.Host.ID, Name: d.Host.Name},
		Fetching: fetching,
		Progress: activities.NewProgress(time.Now),
		Manners:  manners.System{},
		PartSize: o.PartSize,
		Log:      o.Log,
		Now:      time.Now,
	}
	small := worker.New(c, queue, worker.Options{
		Interceptors:                            []interceptor.WorkerInterceptor{&teller{notify: w.Activities.Manners.Notify}},
		Identity:                                d.Host.ID,
		MaxConcurrentActivityExecutionSize:      mostRuns * (3 + 2*activities.MostShares), // Pulse, steps, and those around shares of lane small
		MaxConcurrentLocalActivityExecutionSize: window.Most + window.Most/2,              // the widest ring
		MaxConcurrentWorkflowTaskExecutionSize:  mostRuns * (1 + activities.MostShares),
		MaxHeartbeatThrottleInterval:            time.Second,
		DefaultHeartbeatThrottleInterval:        time.Second,
		WorkerStopTimeout:                       stopGrace,
	})
	small.RegisterWorkflow(workflows.BackupLibrary)
	small.RegisterWorkflow(workflows.RestoreSnapshot)
	small.RegisterWorkflow(workflows.VerifyRepository)
	small.RegisterWorkflow(workflows.LaneSmall)
	small.RegisterActivity(w.Activities)
	regular := func(queue string, window int, lane any) worker.Worker {
		one := worker.New(c, queue, worker.Options{
			Identity: d.Host.ID,
			// The window, and room for the lane's own NextAssets.
			MaxConcurrentActivityExecutionSize:          window + 2,
			MaxConcurrentWorkflowTaskExecutionSize:      4,
			MaxEagerActivityReservationsPerWorkflowTask: new(window),
			MaxHeartbeatThrottleInterval:                time.Second,
			DefaultHeartbeatThrottleInterval:            time.Second,
			WorkerStopTimeout:                           stopGrace,
		})
		one.RegisterWorkflow(lane)
		one.RegisterActivity(w.Activities)
		return one
	}
	large := regular(workflows.LargeQueue(queue), workflows.Window, workflows.LaneLarge)
	// Also without a fetcher: a plan made with one is to come to its end.
	cloud := regular(workflows.CloudQueue(queue), fetching.Readers+workflows.Sending, workflows.LaneCloud)
	for _, one := range []worker.Worker{small, large, cloud} {
		if err := one.Start(); err != nil {
			w.Stop()
			return nil, err
		}
		w.workers = append(w.workers, one)
	}
	return w, nil
}

// Stop ends polling, waits for what is running as long as stopGrace, and
// closes the catalog.
func (w *Worker) Stop() error {
	for _, one := range w.workers {
		one.Stop()
	}
	// First the catalog: what is still running must not take sources that
	// are being closed for ones that cannot be read.
	err := w.catalog.Close()
	activities.Close(w.Activities)
	return err
}

// OpenCatalog opens the catalog of this host.
func OpenCatalog(ctx context.Context, d *state.Dir) (*catalog.Catalog, error) {
	cat, err := catalog.Open(ctx, d.Catalog())
	if err == nil {
		return cat, nil
	}
	do := ""
	if errors.Is(err, catalog.ErrNewer) {
		do = "use a newer lightfast, or another --state"
	}
	return nil, &exit.Error{Code: exit.Failed, What: "state directory " + d.Path, Err: err, Do: do}
}
