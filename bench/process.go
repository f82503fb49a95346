package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// event is a line of --json, as far as it is looked at here.
type event struct {
	Event       string  `json:"event"`
	Phase       string  `json:"phase"`
	Address     string  `json:"address"`
	Message     string  `json:"message"`
	Duration    float64 `json:"duration_s"`
	PeakRSS     int64   `json:"peak_rss_bytes"`
	MemoryBytes int64   `json:"memory_bytes"`
	Assets      struct {
		Total     int64 `json:"total"`
		Stored    int64 `json:"stored"`
		Unchanged int64 `json:"unchanged"`
	} `json:"assets"`
	Bytes struct {
		Sent int64 `json:"sent"`
	} `json:"bytes"`
}

// ended is what a process used.
type ended struct {
	result  event
	code    int
	wall    time.Duration
	cpu     time.Duration
	peak    int64         // resident bytes
	storing time.Duration // from start to the first "storing", 0 if there was none
}

func (e ended) String() string {
	return fmt.Sprintf("%.1f s wall, %.1f s CPU, peak %d MiB", e.wall.Seconds(), e.cpu.Seconds(), e.peak>>20)
}

// lightfast runs one command to its end.
func (b *bench) lightfast(ctx context.Context, args ...string) (e ended, err error) {
	cmd := exec.CommandContext(ctx, b.bin, append(args, "--json")...)
	cmd.Stderr, cmd.Env = os.Stderr, append(os.Environ(), b.env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return e, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return e, err
	}
	peak := watchPeak(cmd.Process.Pid)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	var failed string
	for lines.Scan() {
		var ev event
		if err := json.Unmarshal(lines.Bytes(), &ev); err != nil {
			return e, fmt.Errorf("standard output: %w", err)
		}
		switch {
		case ev.Event == "result":
			e.result = ev
		case ev.Event == "error":
			failed = ev.Message
		case ev.Phase == "storing" && e.storing == 0:
			e.storing = time.Since(start)
		}
	}
	cmd.Wait() // the exit code says how it went
	e.code, e.wall = cmd.ProcessState.ExitCode(), time.Since(start)
	e.cpu, e.peak = used(cmd.ProcessState)
	if p := peak(); p > 0 {
		e.peak = p
	}
	if e.code != 0 {
		return e, fmt.Errorf("lightfast %s ended with %d: %s", args[0], e.code, failed)
	}
	return e, nil
}

func used(p *os.ProcessState) (cpu time.Duration, peak int64) {
	if u, ok := p.SysUsage().(*syscall.Rusage); ok {
		peak = u.Maxrss * rssUnit
	}
	return p.UserTime() + p.SystemTime(), peak
}

// background starts a command that goes on until it is stopped, and waits for
// its first event of that name.
func (b *bench) background(ctx context.Context, until string, args ...string) (first event, stop func() (ended, error), err error) {
	cmd := exec.CommandContext(ctx, b.bin, append(args, "--json")...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return first, nil, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return first, nil, err
	}
	lines := bufio.NewScanner(out)
	for first.Event != until {
		if !lines.Scan() {
			return first, nil, fmt.Errorf("lightfast %s ended before it said %q", args[0], until)
		}
		if err := json.Unmarshal(lines.Bytes(), &first); err != nil {
			return first, nil, err
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
		}
	}()
	return first, func() (e ended, err error) {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return e, err
		}
		<-drained
		cmd.Wait() // interrupted, as asked for
		e.wall = time.Since(start)
		e.cpu, e.peak = used(cmd.ProcessState)
		return e, nil
	}, nil
}
