// Package supervise runs a program as a process of its own, and starts it anew
// when it dies.
//
// The one that supervises does nothing else, so that it does not grow. On a
// Mac it is the process that permissions are given to, and that its children
// have them from: it never becomes another program, and it stays as long as
// they do. A child ends when its standard input does, so none is left behind,
// however its parent died.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// mark tells a process that it is supervised.
const mark = "LIGHTFAST_SUPERVISED"

// Options of a supervisor. The zero value of the times is what is usual.
type Options struct {
	Args   []string
	Env    []string  // of the child, in place of our own
	Output io.Writer // of both its streams
	Died   func(err error, times int)

	Pause  time.Duration // before a child is started anew, doubled each time: 1 s
	Most   time.Duration // that a pause may be: one minute
	Steady time.Duration // a child that has lived so long was well: 10 minutes
	Grace  time.Duration // in which a child ends that is asked to: 20 s
}

func (o Options) withDefaults() Options {
	for _, f := range []struct {
		to        *time.Duration
		otherwise time.Duration
	}{{&o.Pause, time.Second}, {&o.Most, time.Minute}, {&o.Steady, 10 * time.Minute}, {&o.Grace, 20 * time.Second}} {
		if *f.to == 0 {
			*f.to = f.otherwise
		}
	}
	return o
}

// Run keeps program running until it ends with 0 or ctx ends, and returns ctx's
// error then. Died is told of each death, and how many there were since the
// program was well.
func Run(ctx context.Context, program string, o Options) error {
	o = o.withDefaults()
	for times := 1; ; times++ {
		began := time.Now()
		err := child(ctx, program, o)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			return nil
		}
		if time.Since(began) >= o.Steady {
			times = 1
		}
		if o.Died != nil {
			o.Died(err, times)
		}
		select {
		case <-time.After(o.pause(times)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (o Options) pause(times int) time.Duration {
	d := o.Pause
	for ; times > 1 && d < o.Most; times-- {
		d *= 2
	}
	return min(d, o.Most)
}

// child runs the program once. The end of its input asks it to end.
func child(ctx context.Context, program string, o Options) error {
	cmd := exec.CommandContext(ctx, program, o.Args...)
	cmd.Env = append(o.Env, mark+"=1")
	cmd.Stdout, cmd.Stderr = o.Output, o.Output
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	cmd.Cancel = in.Close
	cmd.WaitDelay = o.Grace
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	return nil
}

// Supervised returns a context that ends when the supervisor of this process
// does, or wants it to end. Without a supervisor it is ctx.
func Supervised(ctx context.Context) context.Context {
	if os.Getenv(mark) == "" {
		return ctx
	}
	os.Unsetenv(mark) // what this process starts is not supervised by ours
	ctx, end := context.WithCancelCause(ctx)
	go func() { // as long as the process
		_, err := io.Copy(io.Discard, os.Stdin)
		end(errors.Join(errors.New("its supervisor has ended"), err))
	}()
	return ctx
}
