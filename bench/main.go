// Command bench measures what README and docs claim of Lightfast, with the
// real binaries in real processes, as `make bench` runs it. It asserts
// nothing: it prints one line a measurement, to be compared with lines of the
// same machine and hour.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// scenario is one measurement.
type scenario struct {
	name, what string
	run        func(ctx context.Context, b *bench) error
}

var scenarios = []scenario{
	{"temporal", "CPU of Temporal, server and worker together, for each small asset", temporalCost},
	{"peers", "lightfast beside mc, rclone and restic against one MinIO: sets A, B, C, and N where nothing changes (-sets, -scale)", peers},
	{"lines", "lightfast beside rclone at one MinIO that is near, far away, or behind a line of 100 or 10 Mbit/s (-lines, -scale)", lines},
	{"memory", "peak resident memory beside its limit, of a store of 1 MB/s at first, of large and of many assets (-scale, -hold)", memory},
	{"icloud", "memory of four readers of films that only iCloud has, larger than the spool and not (-films, -film-size, -hold)", iCloud},
	{"library", "scan, first and no-change backup of a built library (-assets)", libraryScale},
}

// bench is what scenarios are given.
type bench struct {
	bin    string // the lightfast to measure
	work   string // a folder of its own, removed afterwards
	assets int
	runs   int
	sets   string
	lines  string
	scale  int
	hold   time.Duration

	films    int
	filmSize int64

	env []string // of lightfast, beside our own
}

func main() {
	var b bench
	flag.StringVar(&b.bin, "bin", "bin/lightfast", "`PATH` of the binary to measure")
	flag.IntVar(&b.assets, "assets", 100_000, "`NUMBER` of assets of the built library")
	flag.IntVar(&b.runs, "runs", 3, "`NUMBER` of runs of which the median is taken")
	flag.StringVar(&b.sets, "sets", "ABCN", "`LETTERS` of the sets that peers are measured with")
	flag.StringVar(&b.lines, "lines", "", "`NAMES`, with commas between them, of the lines to measure; all if empty")
	flag.IntVar(&b.scale, "scale", 1, "`NUMBER` by which the files of a set, or the sizes of memory, are divided, to try something")
	flag.DurationVar(&b.hold, "hold", 30*time.Second, "`TIME` for which the store of memory takes 1 MB/s, before it takes all that comes; and that icloud goes on")
	flag.IntVar(&b.films, "films", 8, "`NUMBER` of films of icloud")
	flag.Int64Var(&b.filmSize, "film-size", 20_000_000_000, "`BYTES` of each that is pushed; those that fit the spool have a hundredth")
	put := flag.String("put", "", "`BUCKET` for the files of the folder named, and nothing else: what peers is held against")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := func() error { return b.all(ctx, flag.Args()) }
	if *put != "" {
		run = func() error { return puts(ctx, *put, flag.Arg(0)) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [flags] [scenario ...]")
	for _, s := range scenarios {
		fmt.Fprintf(flag.CommandLine.Output(), "  %-10s %s\n", s.name, s.what)
	}
	flag.PrintDefaults()
}

func (b *bench) all(ctx context.Context, names []string) error {
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	fmt.Printf("%s/%s, %d CPUs, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	for _, s := range scenarios {
		if len(names) > 0 && !wanted[s.name] {
			continue
		}
		delete(wanted, s.name)
		if err := b.one(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if len(wanted) > 0 {
		return fmt.Errorf("no scenario is called %s", strings.Join(names, " or "))
	}
	return nil
}

func (b *bench) one(ctx context.Context, s scenario) (err error) {
	if b.work, err = os.MkdirTemp("", "lightfast-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.work)
	fmt.Printf("\n%s: %s\n", s.name, s.what)
	return s.run(ctx, b)
}

func median(xs []float64) float64 {
	sorted := slices.Sorted(slices.Values(xs))
	return sorted[len(sorted)/2]
}
