package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"lightfast/internal/cgroup"
	"lightfast/objectstore/storetest"
	"lightfast/photos/photostest"
)

const mib = 1 << 20

// What docs promise: the budget, and so much beside it.
const (
	budgetBytes  = 256 * mib
	besideWorker = 100 * mib
	besideWhole  = 400 * mib // with Temporal and its pages in the same process
	groupBytes   = 384 * mib // in which a worker lives
)

// slowRate is that of the store until hold is over.
const slowRate = 1_000_000

// load is what a source has: files that are holes but for their first bytes,
// so that they are read faster than any disk, and differ.
type load struct {
	name  string
	files int
	size  int64
	build bool // a Photos library of such files
}

var loads = []load{
	{"1 x 1 GB", 1, 1e9, false},
	{"1 x 10 GB", 1, 10e9, false},
	{"32 x 1 GB", 32, 1e9, false},
	{"32 x 8 MiB", 32, 8 * mib, false},
	{"512 x 8 MiB", 512, 8 * mib, false},
	{"library of 200,000", 200_000, 1000, true},
}

// memory shows the most memory that a process takes, in one process with all
// that is embedded, and as a worker of a cluster in a memory group that kills.
func memory(ctx context.Context, b *bench) error {
	sink, err := storetest.NewSink()
	if err != nil {
		return err
	}
	defer sink.Close()
	b.env = []string{"AWS_ACCESS_KEY_ID=" + sink.AccessKey, "AWS_SECRET_ACCESS_KEY=" + sink.SecretKey}
	fmt.Printf("  store: 1 MB/s for %s, then as fast as it can; budget %d MiB; MiB of memory\n", b.hold, budgetBytes/mib)
	fmt.Printf("  %-8s %-20s %6s %6s %8s %8s  %s\n", "", "", "limit", "peak", "receipt", "wall s", "")
	for i, l := range loads {
		l.files, l.size = max(1, l.files/min(b.scale, l.files)), max(1000, l.size/int64(b.scale))
		source := filepath.Join(b.work, fmt.Sprintf("source-%d", i))
		if l.build {
			source += ".photoslibrary"
		}
		if err := l.write(source); err != nil {
			return err
		}
		for _, how := range []struct {
			name   string
			beside int64
			run    func(context.Context, *sinkRun) error
		}{{"whole", besideWhole, b.whole}, {"worker", besideWorker, b.worker}} {
			r := &sinkRun{sink: sink, source: source, bucket: fmt.Sprintf("%s-%d", how.name, i), state: filepath.Join(b.work, fmt.Sprintf("%s-%d", how.name, i))}
			if err := r.slowly(ctx, b.hold, how.run); err != nil {
				return fmt.Errorf("%s, %s: %w", how.name, l.name, err)
			}
			var receipt struct {
				PeakRSS int64 `json:"peak_rss"`
			}
			if err := json.Unmarshal(sink.Last(r.bucket+"/receipts/"), &receipt); err != nil {
				return fmt.Errorf("receipt: %w", err)
			}
			verdict := r.said
			if limit := budgetBytes + how.beside; r.peak > limit {
				verdict += " ABOVE ITS LIMIT"
			}
			fmt.Printf("  %-8s %-20s %6d %6d %8d %8.1f  %s\n", how.name, l.name, (budgetBytes+how.beside)/mib, r.peak/mib, receipt.PeakRSS/mib, r.wall.Seconds(), verdict)
		}
		if err := os.RemoveAll(source); err != nil {
			return err
		}
	}
	return nil
}

func (l load) write(source string) error {
	if l.build {
		return photostest.BuildLibrary(source, photostest.LibrarySpec{Assets: []photostest.AssetSpec{{Count: l.files, Size: l.size}}})
	}
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	for i := range l.files {
		name := filepath.Join(source, fmt.Sprintf("MOV_%05d.MOV", i))
		if err := os.WriteFile(name, binary.BigEndian.AppendUint64(nil, uint64(i)), 0o644); err != nil {
			return err
		}
		if err := os.Truncate(name, l.size); err != nil {
			return err
		}
	}
	return nil
}

// sinkRun is one backup into the sink, and what its process took.
type sinkRun struct {
	sink                  *storetest.Sink
	source, bucket, state string

	peak int64
	wall time.Duration
	said string
}

func (r *sinkRun) command(state string, more ...string) []string {
	return append([]string{"backup", "--source", r.source, "--to", "s3://" + r.bucket + "?endpoint=" + r.sink.Endpoint, "--state", state}, more...)
}

// slowly runs it against a store that is slow at first: what would pile up
// does so then.
func (r *sinkRun) slowly(ctx context.Context, hold time.Duration, run func(context.Context, *sinkRun) error) error {
	if err := r.sink.SetRate(slowRate); err != nil {
		return err
	}
	free := time.AfterFunc(hold, func() { r.sink.SetRate(0) }) // which cannot fail
	defer free.Stop()
	return run(ctx, r)
}

func (b *bench) whole(ctx context.Context, r *sinkRun) error {
	e, err := b.lightfast(ctx, r.command(r.state, "--memory", fmt.Sprint(budgetBytes))...)
	r.peak, r.wall = e.peak, e.wall
	return err
}

func (b *bench) worker(ctx context.Context, r *sinkRun) error {
	up, stop, err := b.background(ctx, "up", "up", "--state", r.state+"-up")
	if err != nil {
		return err
	}
	defer stop()
	group, why := cgroup.New(groupBytes)
	if why != nil {
		r.said = "in no group: " + why.Error()
	}
	cmd, err := b.startWorker(ctx, group, "--address", up.Address, "--state", r.state, "--memory", fmt.Sprint(budgetBytes))
	if err != nil {
		return err
	}
	peak := watchPeak(cmd.Process.Pid)
	host, err := b.hostOf(ctx, r.state)
	var e ended
	if err == nil {
		e, err = b.lightfast(ctx, r.command(r.state+"-command", "--address", up.Address, "--on", host)...)
	}
	r.peak, r.wall = peak(), e.wall
	cmd.Process.Signal(syscall.SIGTERM)
	ended := cmd.Wait()
	if group == nil {
		return errors.Join(err, ended)
	}
	killed, e1 := group.Killed()
	most, e2 := group.Peak()
	r.said = fmt.Sprintf("in a group of %d MiB: killed %d, group's peak with page cache %d", groupBytes/mib, killed, most/mib)
	return errors.Join(err, ended, e1, e2, group.Close())
}

// startWorker starts one in group, which may be nil.
func (b *bench) startWorker(ctx context.Context, group *cgroup.Memory, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(b.bin), "lightfast-worker"), args...)
	if cmd.Err != nil {
		return nil, cmd.Err
	}
	cmd.Env = append(os.Environ(), b.env...)
	if group != nil {
		if err := group.Put(cmd); err != nil {
			return nil, err
		}
	}
	return cmd, cmd.Start()
}

// hostOf waits for a worker's first sign of life.
func (b *bench) hostOf(ctx context.Context, state string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var host struct{ ID string }
		if b, err := os.ReadFile(filepath.Join(state, "host.json")); err == nil && json.Unmarshal(b, &host) == nil && host.ID != "" {
			return host.ID, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", errors.New("the worker does not start")
		}
	}
}
