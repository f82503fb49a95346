package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"lightfast/internal/exit"
	"lightfast/internal/supervise"
)

// hopeless is how often the work may die in a row until a person is told.
const hopeless = 5

// supervise has a process of its own do the work: `up`, or with a cluster the
// worker beside this program.
func (a *app) supervise(ctx context.Context) error {
	d, err := a.openState()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"up"}
	if a.address != "" {
		program, args = filepath.Join(filepath.Dir(program), "lightfast-worker"), nil
	}
	out, log, err := openBackgroundLog(d)
	if err != nil {
		return err
	}
	defer out.Close()
	if a.json {
		a.emit(event{"event": "supervising", "program": program, "log": log})
	} else {
		fmt.Fprintf(a.stdout, "%s is kept running; what it says is in %s\n", program, log)
	}
	err = supervise.Run(ctx, program, supervise.Options{
		Args: args, Output: out,
		// State as it was opened: the program may have another default.
		Env: slices.Concat(a.env, a.given, []string{"LIGHTFAST_STATE=" + d.Path, "LIGHTFAST_SUPERVISE="}),
		Died: func(err error, times int) {
			a.warn("died", fmt.Sprintf("%v; it is started anew; what it said is in %s", err, log))
			if times == hopeless {
				a.notify("Lightfast cannot work", fmt.Sprintf("It ended %d times in a row. What it said is in %s", times, log))
			}
		},
	})
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return &exit.Error{Code: exit.Interrupted, What: "interrupted", Do: "open runs go on when it is started again"}
	}
	return err
}

// givenFlags are those that every command has as their variables: what another
// program of ours is to be started with.
func givenFlags(flags *pflag.FlagSet) (env []string) {
	flags.VisitAll(func(f *pflag.Flag) { // Visit would not know what a command has set in its own set of them
		if f.Changed && f.Name != "cpu-profile" { // whose file is ours
			env = append(env, variable(f.Name)+"="+f.Value.String())
		}
	})
	return env
}

// variable is what --log-level is called in the environment.
func variable(flag string) string {
	return "LIGHTFAST_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}
