package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lightfast/internal/exit"
	"lightfast/internal/wire"
)

func newAuthorizeCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "authorize",
		Short: "Let macOS ask whether Lightfast may read Photos",
		Long: `Authorize has macOS ask whether Lightfast may read Photos, which originals in
iCloud need, and says what was answered. macOS asks once; afterwards the answer
is changed in System Settings › Privacy & Security › Photos. Access must be
full: with selected photos only a library would look small.

The permission belongs to the app, so run this in Lightfast.app: opened without
arguments it does nothing else. In a terminal the permission is the terminal's.
No other command makes macOS ask.

` + exitCodes(),
		Example: "  lightfast authorize",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.authorize(cmd.Context()) },
	}
}

func (a *app) authorize(ctx context.Context) error {
	status, err := wire.Authorize(ctx, a.log, func() {
		if !a.json {
			fmt.Fprintln(a.stdout, "macOS asks now whether Lightfast may read Photos; answer there: full access")
		}
	})
	switch {
	case ctx.Err() != nil:
		return &exit.Error{Code: exit.Interrupted, What: "interrupted", Do: "run it again"}
	case err != nil:
		a.notify("Lightfast may not read Photos", err.Error())
		return err
	case a.json:
		a.emit(event{"event": "result", "status": status})
	default:
		fmt.Fprintln(a.stdout, "Photos: "+status)
	}
	a.notify("Lightfast may read Photos", "Originals in iCloud can be backed up.")
	return nil
}

// openedAsApp reports whether a program at path was started without a word and
// without a terminal out of an app: by Finder, that is. Then it is to ask for
// the permission; help would be seen by nobody.
func openedAsApp(path string, args []string, terminal bool) bool {
	return len(args) == 0 && !terminal && strings.Contains(path, ".app/Contents/MacOS/")
}
