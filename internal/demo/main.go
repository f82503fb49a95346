// Command demo shows the main job from end to end, as `make demo` and `make
// demo-s3` run it: it makes a Photos library, backs it up with the real
// binary, kills that half way, goes on, restores, and compares every byte. It
// ends with 0 only if all of that went well, and keeps its folder.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
)

func main() {
	bin := flag.String("bin", "bin/lightfast", "`PATH` of the binary to show")
	s3 := flag.Bool("s3", false, "back up into a MinIO server of its own instead of a folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *bin, *s3)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo: failed:", err)
		os.Exit(1)
	}
}

// demo is one showing, in a folder of its own.
type demo struct {
	out io.Writer
	bin string
	env []string // of the commands, beside our own

	work, library, dest, state, restored string

	bytes  int64  // of the library
	store  string // folder in which the destination has its bytes
	server string // command that starts the S3 server again
	ui     string // URL of the Temporal UI
}

func run(ctx context.Context, bin string, s3 bool) (err error) {
	if _, err := os.Stat(bin); err != nil {
		return fmt.Errorf("%w; make build makes it", err)
	}
	work, err := os.MkdirTemp("", "lightfast-demo-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w (all files are in %s)", err, work)
		}
	}()
	d := &demo{out: os.Stdout, bin: bin, work: work,
		library: filepath.Join(work, "Demo.photoslibrary"), dest: filepath.Join(work, "backup"),
		state: filepath.Join(work, "state"), restored: filepath.Join(work, "restored")}
	d.store = d.dest
	began := time.Now()
	if err := d.makeLibrary(); err != nil {
		return fmt.Errorf("make a library: %w", err)
	}
	if s3 {
		stop, err := d.serve(ctx)
		if err != nil {
			return fmt.Errorf("start MinIO: %w", err)
		}
		defer stop()
	}
	if err := d.backUp(ctx); err != nil {
		return err
	}
	if err := d.comeBack(ctx); err != nil {
		return err
	}
	d.say("\nAll of it went well, in %s. What to look at:", time.Since(began).Round(time.Second))
	d.tour()
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// backUp is the first half: a backup, its death, and how it goes on.
func (d *demo) backUp(ctx context.Context) error {
	d.say("\nBack it up, and kill that half way (each command gets --json besides)")
	if err := d.killHalfWay(ctx); err != nil {
		return err
	}
	d.say("\nThe same command again")
	first, res, err := d.backup(ctx)
	if err != nil {
		return err
	}
	if !res.Resumed {
		return fmt.Errorf("the second backup began anew instead of going on")
	}
	d.say("  resumed: %d of %d assets were done already", first.Assets.Done, first.Assets.Total)
	d.say("  snapshot %s: %d assets; %s of content; both together sent %s, not counting what the kill cut off", res.Snapshot, res.Assets.Total, size(res.Bytes.Source), size(res.Bytes.Sent))
	d.say("\nOnce more: nothing is new")
	_, res, err = d.backup(ctx)
	if err != nil {
		return err
	}
	if res.Bytes.Sent != 0 || res.Assets.Unchanged != res.Assets.Total {
		return fmt.Errorf("a backup of an unchanged library sent %s", size(res.Bytes.Sent))
	}
	d.say("  %d assets unchanged, 0 B sent", res.Assets.Unchanged)
	return nil
}

// comeBack is the second half: everything is there again, byte for byte.
func (d *demo) comeBack(ctx context.Context) error {
	d.say("\nRestore it")
	var res struct {
		Files, Bytes int64
		Problems     []any
	}
	err := d.lightfast(ctx, func(e event) error { return e.as("result", &res) }, "restore", "--from", d.dest, "--to", d.restored, "--state", d.state)
	if err != nil {
		return err
	}
	d.say("  %d files, %s", res.Files, size(res.Bytes))

	d.say("\nCompare the library, the snapshot's list and the restored folder")
	listed, err := d.listed(ctx)
	if err != nil {
		return err
	}
	library, err := hashTree(d.library, "database", "resources/derivatives")
	if err != nil {
		return err
	}
	restored, err := hashTree(d.restored)
	if err != nil {
		return err
	}
	if err := differ("the library", library, "the snapshot", listed); err != nil {
		return err
	}
	if err := differ("the library", library, "the restored folder", restored); err != nil {
		return err
	}
	d.say("  %d files: originals, films of Live Photos, RAW twins, edits with their adjustments, sidecars. Every byte is equal.", len(library))
	return nil
}

// tour says where everything is and what to try.
func (d *demo) tour() {
	d.say("  library   %s\n  backup    %s\n  restored  %s\n", d.library, d.dest, d.restored)
	if d.server != "" {
		d.say("  %s   # the server again", d.server)
		d.say("  export %s %s", d.env[0], d.env[1])
	}
	for _, args := range [][]string{
		{"ls", "--from", d.dest, "--state", d.state},
		{"snapshots", "--from", d.dest, "--state", d.state},
		{"status", "--state", d.state},
	} {
		d.say("  %s", d.typed(args))
	}
	d.say("  %s   # Temporal's history of each run: %s", d.typed([]string{"up", "--state", d.state}), d.ui)
	d.say("  rm -rf %s   # when you have seen enough", quote(d.work))
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
