// Command lightfast backs up photo libraries into a bucket or a folder, with
// everything that it needs inside: `lightfast help` tells the rest.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"lightfast/internal/exit"
	"lightfast/internal/manners"
)

func main() {
	// What we keep and restore is for its owner alone, the files that SQLite
	// makes included.
	syscall.Umask(0o077)
	letHeapGrow()
	// The first Ctrl-C ends in an orderly way; restoring the default makes
	// the second one end at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() { <-ctx.Done(); stop() }()
	args := os.Args[1:]
	if self, err := os.Executable(); err == nil && openedAsApp(self, args, term.IsTerminal(int(os.Stdin.Fd()))) {
		args = []string{"authorize"}
	}
	code := run(ctx, args, os.Environ(), os.Stdout, os.Stderr)
	os.Exit(int(code))
}

// run is the whole command: tests call it in their own process.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) exit.Code {
	a := &app{env: env, stdout: stdout, stderr: stderr, notify: manners.System{}.Notify}
	root := newRootCmd(a)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	a.close()
	if err != nil {
		a.report(err)
	}
	return exit.CodeOf(err)
}
