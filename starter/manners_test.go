package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lightfast/internal/exit"
)

// ownCommands calls f with every command that is not Cobra's.
func ownCommands(f func(cmd *cobra.Command)) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			return
		}
		f(cmd)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRootCmd(&app{}))
}

func TestHelpOfEveryCommandSaysWhatToType(t *testing.T) {
	flag := regexp.MustCompile(`--[a-z-]+`)
	ownCommands(func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: summary %q, want one without a full stop", path, cmd.Short)
		}
		for _, line := range strings.Split(cmd.Example, "\n") {
			example, ok := strings.CutPrefix(line, "  lightfast ")
			if !ok || !strings.HasPrefix("lightfast "+example, path) {
				t.Errorf("%s: example %q is none", path, line)
				continue
			}
			of, _, err := cmd.Root().Find(strings.Fields(example)[:1])
			if err != nil {
				t.Errorf("%s: example %q: %v", path, line, err)
				continue
			}
			for _, f := range flag.FindAllString(example, -1) {
				if of.Flag(f[2:]) == nil {
					t.Errorf("%s: example %q has the unknown flag %s", path, line, f)
				}
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s: help %q, want one without a full stop", path, f.Name, f.Usage)
			}
		})
	})
}

func TestHelpTellsTheExitCodes(t *testing.T) {
	for _, name := range []string{"", "backup", "restore", "verify"} {
		var out bytes.Buffer
		if code := run(t.Context(), append(strings.Fields(name), "--help"), nil, &out, &out); code != exit.OK {
			t.Errorf("%s --help ended with %d", name, code)
		}
		if !strings.Contains(out.String(), exitCodes()) {
			t.Errorf("%s --help has no exit codes", name)
		}
	}
}

func TestHelpIsWhatWeReviewed(t *testing.T) {
	var all bytes.Buffer
	ownCommands(func(cmd *cobra.Command) {
		args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		var out bytes.Buffer
		if code := run(t.Context(), args, nil, &out, &out); code != exit.OK {
			t.Errorf("%v ended with %d", args, code)
		}
		// The root has them; the other commands only repeat them.
		text := out.String()
		if cmd.HasParent() {
			text, _, _ = strings.Cut(text, "\nGlobal Flags:")
			text = strings.Replace(text, exitCodes(), "Exit codes: …", 1)
		}
		all.WriteString("$ lightfast " + strings.Join(args, " ") + "\n" + strings.TrimSpace(text) + "\n\n")
	})
	golden(t, "help.golden", bytes.ReplaceAll(all.Bytes(), []byte(defaultState()), []byte("~/.local/state/lightfast")))
}

func TestEveryCommandHasAManualPage(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	if code := run(t.Context(), []string{"man", dir}, nil, &out, &out); code != exit.OK {
		t.Fatalf("man ended with %d: %s", code, &out)
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Log("no groff: the pages are not formatted")
	}
	ownCommands(func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		page := filepath.Join(dir, dashed(cmd)+".1")
		b, err := os.ReadFile(page)
		if err != nil {
			t.Error(err)
			return
		}
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(string(b), "\n.B "+roff("--"+f.Name)) {
				t.Errorf("%s does not tell of --%s", filepath.Base(page), f.Name)
			}
		})
		if home, err := os.UserHomeDir(); err == nil && strings.Contains(string(b), roff(home)+"/.") {
			t.Errorf("%s tells whose home it was made in", filepath.Base(page))
		}
		if groff == "" {
			return
		}
		complaints, err := exec.CommandContext(t.Context(), groff, "-k", "-man", "-Tutf8", "-ww", "-z", page).CombinedOutput()
		if err != nil || len(complaints) > 0 {
			t.Errorf("groff %s: %v\n%s", filepath.Base(page), err, complaints)
		}
	})
}
