package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
)

// event is a line of --json.
type event struct {
	Event   string
	Message string // of an error
	Action  string
	line    []byte
}

// as reads the events of one name into v.
func (e event) as(name string, v any) error {
	if e.Event != name {
		return nil
	}
	return json.Unmarshal(e.line, v)
}

// lightfast shows a command as one would type it, runs it with --json besides,
// and hands its events to see. The process is the leader of a group, all of
// which is killed when ctx ends.
func (d *demo) lightfast(ctx context.Context, see func(event) error, args ...string) error {
	d.say("  $ %s", d.typed(args))
	cmd := exec.CommandContext(ctx, d.bin, append(args, "--json")...)
	cmd.Env = append(os.Environ(), d.env...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var said event // the error event
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for err == nil && lines.Scan() {
		e := event{line: lines.Bytes()}
		if err = json.Unmarshal(e.line, &e); err != nil {
			err = fmt.Errorf("%s printed %q, which is no JSON", args[0], lines.Text())
			break
		}
		if e.Event == "error" {
			said = e
		}
		err = see(e)
	}
	if err = errors.Join(err, lines.Err()); err != nil {
		cmd.Cancel()
	}
	if waitErr := cmd.Wait(); err == nil && waitErr != nil {
		err = fmt.Errorf("%s: %w", args[0], waitErr)
		if said.Message != "" {
			err = fmt.Errorf("%w: %s; %s", err, said.Message, said.Action)
		}
	}
	return err
}

func (d *demo) typed(args []string) string {
	words := []string{quote(d.bin)}
	for _, a := range args {
		words = append(words, quote(a))
	}
	return strings.Join(words, " ")
}

var plain = regexp.MustCompile(`^[\w./:@%+=,-]+$`)

// quote writes a word so that a shell reads it as it is.
func quote(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// progress and backupResult are what we look at of a backup's events.
type progress struct {
	Phase         string
	Assets, Bytes struct{ Done, Total, Sent int64 }
}

type backupResult struct {
	Snapshot string
	Resumed  bool
	Assets   struct{ Total, Unchanged int64 }
	Bytes    struct{ Source, Sent int64 }
}

// backup runs a backup to its end, and returns its first progress at work on
// assets besides its result.
func (d *demo) backup(ctx context.Context) (first progress, res backupResult, err error) {
	err = d.lightfast(ctx, func(e event) error {
		if first.Phase != "storing" {
			if err := e.as("progress", &first); err != nil {
				return err
			}
		}
		return e.as("result", &res)
	}, d.backupArgs()...)
	return first, res, err
}

func (d *demo) backupArgs() []string {
	return []string{"backup", "--source", d.library, "--to", d.dest, "--state", d.state}
}
