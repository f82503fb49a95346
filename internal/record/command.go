package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// command is a lightfast in the folder of one scenario.
type command struct {
	bin, dir string
	env      []string // beside our own
	library  bool     // of Photos
}

func (c command) source() string {
	if c.library {
		return filepath.Join(c.dir, "Photos.photoslibrary")
	}
	return filepath.Join(c.dir, "Pictures")
}

func (c command) dest() string { return filepath.Join(c.dir, "backup") }

func (c command) backup() []string {
	return []string{"backup", "--source", c.source(), "--to", c.dest()}
}

func (c command) restore() []string {
	return []string{"restore", "--from", c.dest(), "--to", filepath.Join(c.dir, "restored")}
}

func (c command) verify() []string { return []string{"verify", "--from", c.dest()} }

func (c command) exec(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.bin, append(args, "--state", filepath.Join(c.dir, "state"), "--json")...)
	cmd.Env, cmd.Stderr = append(os.Environ(), c.env...), os.Stderr
	return cmd
}

func (c command) run(ctx context.Context, args []string) error {
	if err := c.exec(ctx, args).Run(); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

// event is a line of --json, as far as we read it.
type event struct {
	Event, Phase, Address string
	Assets                struct{ Done int64 }
}

// until reads events up to one that f accepts.
func until(r io.Reader, f func(event) bool) (e event, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		e = event{}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return e, err
		}
		if f(e) {
			return e, nil
		}
	}
	return e, errors.Join(lines.Err(), io.ErrUnexpectedEOF)
}

// interrupt sends sig when some assets are stored, and waits for the end.
func (c command) interrupt(ctx context.Context, args []string, sig syscall.Signal) error {
	return c.while(ctx, args, sig, func(e event) bool { return e.Phase == "storing" && e.Assets.Done > 100 }, func(event) error { return nil })
}

// while runs a command, calls do at the event that f accepts, and ends the
// command with sig.
func (c command) while(ctx context.Context, args []string, sig syscall.Signal, f func(event) bool, do func(event) error) error {
	cmd := c.exec(ctx, args)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	e, err := until(out, f)
	if err == nil {
		err = do(e)
	}
	if sigErr := cmd.Process.Signal(sig); sigErr != nil {
		err = errors.Join(err, sigErr)
	}
	_, copyErr := io.Copy(io.Discard, out)
	cmd.Wait() // it ends as it was told to: not with 0
	return errors.Join(err, copyErr)
}
