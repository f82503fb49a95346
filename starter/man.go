package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newManCmd is for those who package Lightfast. The pages are our own because
// Cobra's go through Markdown, which makes one paragraph of our tables.
func newManCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages into a folder",
		Example: "  lightfast man /usr/local/share/man/man1",
		Hidden:  true,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeManPages(cmd.Root(), args[0])
		},
	}
}

// writeManPages writes the page of cmd and those of the commands below it.
func writeManPages(cmd *cobra.Command, dir string) error {
	name := filepath.Join(dir, dashed(cmd)+".1")
	if err := os.WriteFile(name, []byte(manPage(cmd)), 0o644); err != nil {
		return err
	}
	if err := os.Chmod(name, 0o644); err != nil { // whatever the umask: everybody reads manuals
		return err
	}
	for _, sub := range documented(cmd) {
		if err := writeManPages(sub, dir); err != nil {
			return err
		}
	}
	return nil
}

func documented(cmd *cobra.Command) (subs []*cobra.Command) {
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			subs = append(subs, sub)
		}
	}
	return subs
}

func dashed(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

func manPage(cmd *cobra.Command) string {
	var b strings.Builder
	out := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	laidOut := func(text string) { out(".nf\n%s\n.fi", roff(text)) } // as it is, line by line

	out(`.TH %s 1 "" "lightfast %s" "Lightfast"`, strings.ToUpper(roff(dashed(cmd))), roff(version))
	out(".SH NAME\n%s \\- %s", roff(dashed(cmd)), roff(cmd.Short))
	out(".SH SYNOPSIS\n.B %s", roff(cmd.UseLine()))
	out(".SH DESCRIPTION")
	if cmd.Long != "" {
		laidOut(cmd.Long)
	} else {
		out("%s.", roff(cmd.Short))
	}
	out(".SH OPTIONS")
	cmd.InitDefaultHelpFlag()
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		out(".TP\n.B %s\n%s%s", roff(strings.TrimSpace("--"+f.Name+" "+value)), roff(usage), roff(manDefault(f)))
	})
	if cmd.HasParent() {
		out(".PP\nOptions that every command has are in\n.BR lightfast (1).")
	}
	if cmd.Example != "" {
		out(".SH EXAMPLES")
		laidOut(cmd.Example)
	}
	also := documented(cmd)
	if cmd.HasParent() {
		also = append(also, cmd.Parent())
	}
	out(".SH SEE ALSO")
	for i, c := range also {
		comma := ","
		if i == len(also)-1 {
			comma = ""
		}
		out(".BR %s (1)%s", roff(dashed(c)), comma)
	}
	return b.String()
}

// manDefault leaves out what says nothing, and whose home the page was made in.
func manDefault(f *pflag.Flag) string {
	value := f.DefValue
	switch value {
	case "", "0", "false", "[]", "0s":
		return ""
	}
	if home, err := os.UserHomeDir(); err == nil && strings.HasPrefix(value, home+"/") {
		value = "~" + strings.TrimPrefix(value, home)
	}
	return " (default: " + value + ")"
}

// roff escapes what the formatter would act on.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "~", `\(ti`, "^", `\(ha`, "`", `\(ga`, "'", `\(aq`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
