// Command lightfast-worker works off the backups of its host for a Temporal
// cluster: the same workflows and activities as `lightfast`, without server
// and pages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/gofrs/flock"

	"lightfast/internal/budget"
	"lightfast/internal/dial"
	"lightfast/internal/exit"
	"lightfast/internal/state"
	"lightfast/internal/supervise"
	"lightfast/internal/wire"
)

func main() {
	syscall.Umask(0o077) // what we keep is for its owner alone
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(supervise.Supervised(ctx), os.Args[1:], os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "lightfast-worker: "+err.Error())
	}
	if errors.Is(err, flag.ErrHelp) {
		err = nil
	}
	os.Exit(int(exit.CodeOf(err)))
}

// firstContact is how long the cluster may be out of reach at the start.
const firstContact = 30 * time.Second

// heap is what is enough for a library of a million, and leaves room in the
// 100 MiB that a worker may take beside --memory.
const heap = 64 << 20

// run serves this host's queue until ctx ends.
func run(ctx context.Context, args []string, stderr io.Writer) error {
	f := flag.NewFlagSet("lightfast-worker", flag.ContinueOnError)
	f.SetOutput(stderr)
	address := f.String("address", env("ADDRESS", "127.0.0.1:7233"), "`HOST:PORT` of the Temporal frontend (LIGHTFAST_ADDRESS)")
	namespace := f.String("namespace", env("NAMESPACE", dial.Namespace), "`NAME` of the namespace (LIGHTFAST_NAMESPACE)")
	stateDir := f.String("state", env("STATE", state.Default()), "`DIR` of the catalog and the host's id (LIGHTFAST_STATE)")
	memory := f.String("memory", env("MEMORY", "256MiB"), "`SIZE` of all buffers together (LIGHTFAST_MEMORY)")
	parts := f.String("part-size", env("PART_SIZE", "16MiB"), "`SIZE` of the parts that large files are sent in (LIGHTFAST_PART_SIZE)")
	room := f.String("spool", env("SPOOL", ""), "`SIZE` of all files from iCloud that wait for being stored (LIGHTFAST_SPOOL; default 2 GiB, or a tenth of what is free)")
	keepFree := f.String("keep-free", env("KEEP_FREE", ""), "`SIZE` that they leave free on a disk (LIGHTFAST_KEEP_FREE; default 10 GiB, or a twentieth of the disk)")
	readers := f.String("icloud-readers", env("ICLOUD_READERS", "1"), "`N` files brought from iCloud at once, 1 to 4 (LIGHTFAST_ICLOUD_READERS)")
	caFile := f.String("ca-file", env("CA_FILE", ""), "`FILE` with certificates to trust beside the system's (LIGHTFAST_CA_FILE)")
	if err := f.Parse(args); err != nil {
		return usage(err)
	}
	size, err := humanize.ParseBytes(*memory)
	if err != nil || f.NArg() > 0 {
		return usage(fmt.Errorf("--memory %q or surplus arguments %q", *memory, f.Args()))
	}
	partSize, err := wire.ParsePartSize(*parts)
	if err != nil {
		return usage(err)
	}
	spool, err := wire.SpoolOptions(*room, *keepFree)
	if err != nil {
		return err
	}
	atOnce, err := strconv.Atoi(*readers)
	if err != nil || atOnce < 1 || atOnce > 4 {
		return usage(fmt.Errorf("--icloud-readers %q", *readers))
	}
	budget.LimitHeap(heap)
	log := slog.New(slog.NewTextHandler(stderr, nil))
	d, err := state.Open(*stateDir)
	if err != nil {
		return err
	}
	lock := flock.New(filepath.Join(d.Path, "worker.lock"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return &exit.Error{Code: exit.InUse, What: "state directory " + d.Path, Err: errors.Join(errors.New("another worker has it"), err)}
	}
	defer lock.Unlock()
	reach, cancel := context.WithTimeout(ctx, firstContact)
	defer cancel()
	c, err := dial.Temporal(reach, *address, dial.Options{Namespace: *namespace, Identity: d.Host.ID, Log: log})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := wire.CheckAlone(ctx, c, d.Host.ID); err != nil {
		return err
	}
	w, err := wire.NewWorker(ctx, c, wire.HostQueue(d.Host.ID), d, wire.Options{Budget: budget.New(int64(size)), CAFile: *caFile, Log: log, PartSize: partSize, Spool: spool, Readers: atOnce})
	if err != nil {
		return err
	}
	log.Info("serving", "host", d.Host.ID, "name", d.Host.Name, "queue", wire.HostQueue(d.Host.ID), "temporal", *address)
	<-ctx.Done()
	return w.Stop()
}

func env(name, otherwise string) string {
	if v := os.Getenv("LIGHTFAST_" + name); v != "" {
		return v
	}
	return otherwise
}

func usage(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return &exit.Error{Code: exit.Usage, What: "usage", Err: err, Do: "see --help"}
}
