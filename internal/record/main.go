// Command record records the histories that workflows/replay_test.go replays,
// as `make histories` runs it: real runs of the real binary, in a folder
// whose name tells nothing of the machine.
//
// A history is recorded anew only when the change of a workflow is meant to
// break runs that are open; else a history that no longer replays is the
// finding of a fault.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"lightfast/photos"
	"lightfast/photos/photokit/photokittest"
	"lightfast/photos/photostest"
)

func main() {
	bin := flag.String("bin", "bin/lightfast", "`PATH` of the binary to record")
	into := flag.String("into", "workflows/testdata", "`DIR` of the histories")
	only := flag.String("only", "", "`NAME` of the one scenario to record, such as a new one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := record(ctx, *bin, *into, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

// work is where the recorded runs take place: histories hold paths.
const work = "/tmp/lightfast"

// scenario is one state directory and what is done with it.
type scenario struct {
	name         string
	small, large int // files
	cloud        int // assets of a Photos library instead, all in iCloud only
	run          func(ctx context.Context, c command) error
}

var scenarios = []scenario{
	// 2,000 assets are where lane small continues as new.
	{"whole", 2050, 4, 0, func(ctx context.Context, c command) error {
		for _, args := range [][]string{c.backup(), c.restore(), c.verify()} {
			if err := c.run(ctx, args); err != nil {
				return err
			}
		}
		return nil
	}},
	{"canceled", 1500, 12, 0, func(ctx context.Context, c command) error {
		return c.interrupt(ctx, c.backup(), syscall.SIGTERM)
	}},
	{"killed", 1500, 12, 0, func(ctx context.Context, c command) error {
		if err := c.interrupt(ctx, c.backup(), syscall.SIGKILL); err != nil {
			return err
		}
		return c.run(ctx, append(c.backup(), "--no-follow"))
	}},
	{"icloud", 0, 0, 300, func(ctx context.Context, c command) error {
		if err := c.interrupt(ctx, c.backup(), syscall.SIGKILL); err != nil {
			return err
		}
		return c.run(ctx, append(c.backup(), "--no-follow"))
	}},
}

func record(ctx context.Context, bin, into, only string) error {
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for _, s := range scenarios {
		if only != "" && only != s.name {
			continue
		}
		c := command{bin: bin, dir: filepath.Join(work, s.name), library: s.cloud > 0}
		var err error
		if c.library {
			c.env, err = s.photos(ctx, c.source())
		} else {
			err = s.files(c.source())
		}
		if err != nil {
			return err
		}
		if err := s.run(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		n, err := c.save(ctx, filepath.Join(into, s.name))
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		slog.Info("recorded", "scenario", s.name, "histories", n)
	}
	return nil
}

// photos makes a Photos library whose originals are only in iCloud, and
// returns the environment in which they come from there: the first try of
// some fails.
func (s scenario) photos(ctx context.Context, dir string) (env []string, err error) {
	if err := os.Mkdir(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	err = photostest.BuildLibrary(dir, photostest.LibrarySpec{Seed: 1, Cloud: true, Assets: []photostest.AssetSpec{
		{Count: s.cloud - 20, Absent: map[photos.Role]photos.Reason{photos.RoleOriginal: photos.ICloudOnly}},
		{Count: 20, Live: true, Absent: map[photos.Role]photos.Reason{photos.RoleLive: photos.ICloudOnly}},
	}})
	if err != nil {
		return nil, err
	}
	helper, env, err := photokittest.Build(ctx, "MOCK_CLOUD="+photostest.CloudOf(dir), "MOCK_STATE="+filepath.Dir(dir), "MOCK_FAULTS=network=1%")
	return append(env, "LIGHTFAST_PHOTOKIT_HELPER="+helper, "LIGHTFAST_KEEP_FREE=1MiB"), err
}

// files makes a source with content that is new in every file.
func (s scenario) files(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	content := rand.NewChaCha8([32]byte{})
	write := func(name string, size int64) error {
		b := make([]byte, 1<<10)
		content.Read(b) // never fails
		name = filepath.Join(dir, name)
		return errors.Join(os.WriteFile(name, b, 0o644), os.Truncate(name, size))
	}
	for i := range s.small {
		if err := write(fmt.Sprintf("IMG_%04d.JPG", i), 1<<10); err != nil {
			return err
		}
	}
	for i := range s.large {
		// Most of it is a hole: it costs time to store, and no disk here.
		if err := write(fmt.Sprintf("MOV_%04d.MOV", i), 96<<20); err != nil {
			return err
		}
	}
	return nil
}
