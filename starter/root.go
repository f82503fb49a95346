package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/pprof"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lightfast/engine"
	"lightfast/internal/budget"
	"lightfast/internal/dial"
	"lightfast/internal/exit"
	"lightfast/internal/state"
	"lightfast/internal/wire"
)

// version is set by the linker.
var version = "development"

// app is what every command shares: streams, and the flags of the root.
type app struct {
	env            []string
	stdout, stderr io.Writer

	stateDir  string
	json      bool
	memory    string
	partSize  string
	spool     string
	keepFree  string
	readers   int
	caFile    string
	uiPort    int
	address   string
	namespace string
	on        string
	logFile   string
	logLevel  string
	logFormat string
	profile   string

	given  []string // flags of the root that were, as variables
	notify func(title, text string)

	log     *slog.Logger
	logTo   io.Closer
	options wire.Options
	engine  *engine.Engine // of this process, once it has one
}

func newRootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "lightfast",
		Short: "Back up photo libraries as durable workflows",
		Long: `Lightfast backs up Apple Photos libraries, and plain folders of photos and
videos, into an S3 bucket or a folder. Kill it at any moment: the same command
goes on from the last completed asset and the last completed part.

` + exitCodes(),
		Example: `  lightfast backup --source ~/Pictures/Photos\ Library.photoslibrary --to s3://photos
  lightfast restore --from s3://photos --to ~/restored
  lightfast status`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) },
	}
	f := root.PersistentFlags()
	f.StringVar(&a.stateDir, "state", defaultState(), "`DIR` of catalog, workflows and lock")
	f.BoolVar(&a.json, "json", false, "print JSON lines, each with an \"event\"")
	f.StringVar(&a.memory, "memory", "256MiB", "`SIZE` of all buffers together")
	f.StringVar(&a.partSize, "part-size", "16MiB", "`SIZE` of the parts that large files are sent in, or as much more as an object of 9,000 parts takes")
	f.MarkHidden("part-size") // it exists
	f.StringVar(&a.spool, "spool", "", "`SIZE` of all files from iCloud that wait for being stored, with the copies that macOS keeps (default: 2 GiB, or a tenth of what is free)")
	f.StringVar(&a.keepFree, "keep-free", "", "`SIZE` that iCloud's files leave free on a disk (default: 10 GiB, or a twentieth of the disk)")
	f.IntVar(&a.readers, "icloud-readers", 1, "`N` files brought from iCloud at once, 1 to 4")
	f.StringVar(&a.caFile, "ca-file", "", "`FILE` with certificates to trust beside the system's")
	f.IntVar(&a.uiPort, "ui-port", 0, "`PORT` of the Temporal UI on localhost (default: any free one)")
	f.StringVar(&a.address, "address", "", "`HOST:PORT` of a Temporal cluster whose workers do the work (default: Temporal in this process)")
	f.StringVar(&a.namespace, "namespace", dial.Namespace, "`NAME` of the namespace in that cluster")
	f.StringVar(&a.on, "on", "", "`HOST` id of the worker that does the work (default: this host's)")
	f.StringVar(&a.logFile, "log-file", "", "write the log to `FILE` (default: standard error)")
	f.StringVar(&a.logLevel, "log-level", "warn", "`LEVEL`: debug, info, warn or error")
	f.StringVar(&a.logFormat, "log-format", "text", "`FORMAT`: text or json")
	f.StringVar(&a.profile, "cpu-profile", "", "write to `FILE` what go tool pprof reads")
	f.Lookup("cpu-profile").Hidden = true
	root.AddCommand(newBackupCmd(a), newRestoreCmd(a), newVerifyCmd(a), newStatusCmd(a), newPauseCmd(a), newResumeCmd(a), newLimitCmd(a), newCancelCmd(a), newUpCmd(a), newAuthorizeCmd(a), newSnapshotsCmd(a), newLsCmd(a), newManCmd(a), newVersionCmd(a))
	root.InitDefaultHelpCmd() // Cobra itself adds both when it is too late for usageErrors
	root.InitDefaultCompletionCmd()
	usageErrors(root)
	return root
}

// defaultState is "" for a process without a home, as cron may start one:
// whose state would lie at the root of the disk?
func defaultState() string {
	if _, err := os.UserHomeDir(); err != nil && os.Getenv("XDG_STATE_HOME") == "" {
		return ""
	}
	return state.Default()
}

func exitCodes() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, row := range exit.Table {
		fmt.Fprintf(&b, "  %3d  %s\n", row.Code, row.Text)
	}
	return strings.TrimRight(b.String(), "\n")
}

// prepare reads the environment into the flags that were not given, and
// checks those that every command has.
func (a *app) prepare(cmd *cobra.Command) error {
	if err := a.fromEnv(cmd.Flags()); err != nil {
		return err
	}
	a.given = givenFlags(cmd.Root().PersistentFlags())
	memory, err := humanize.ParseBytes(a.memory)
	if err != nil || memory < 16<<20 || memory > 1<<50 {
		return usage(fmt.Errorf("--memory %q is no size of at least 16 MiB", a.memory), "write it like 256MiB")
	}
	partSize, err := wire.ParsePartSize(a.partSize)
	if err != nil {
		return usage(err, "write it like 16MiB")
	}
	room, err := wire.SpoolOptions(a.spool, a.keepFree)
	if err != nil {
		return err
	}
	if a.readers < 1 || a.readers > 4 {
		return usage(fmt.Errorf("--icloud-readers %d", a.readers), "choose 1 to 4")
	}
	if a.uiPort < 0 || a.uiPort > 65535 {
		return usage(fmt.Errorf("--ui-port %d is no port", a.uiPort), "choose one up to 65535, or 0 for any free one")
	}
	if a.caFile != "" {
		if _, err := os.Stat(a.caFile); err != nil {
			return usage(fmt.Errorf("--ca-file: %w", err), "")
		}
	}
	if err := a.openLog(); err != nil {
		return err
	}
	if err := a.startProfile(); err != nil {
		return err
	}
	budget.LimitHeap(heap)
	a.options = wire.Options{Budget: budget.New(int64(memory)), CAFile: a.caFile, Log: a.log, PartSize: partSize, Spool: room, Readers: a.readers}
	return nil
}

// fromEnv: --log-level is LIGHTFAST_LOG_LEVEL, and so on.
func (a *app) fromEnv(flags *pflag.FlagSet) (err error) {
	values := map[string]string{}
	for _, kv := range a.env {
		if k, v, ok := strings.Cut(kv, "="); ok && strings.HasPrefix(k, "LIGHTFAST_") {
			values[k] = v
		}
	}
	flags.VisitAll(func(f *pflag.Flag) {
		name := variable(f.Name)
		if v := values[name]; v != "" && !f.Changed && err == nil {
			if setErr := flags.Set(f.Name, v); setErr != nil {
				err = usage(fmt.Errorf("%s: %w", name, setErr), "")
			}
		}
	})
	return err
}

func (a *app) openLog() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return usage(fmt.Errorf("--log-level %q", a.logLevel), "choose debug, info, warn or error")
	}
	w := a.stderr
	if a.logFile != "" {
		f, err := os.OpenFile(a.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return usage(fmt.Errorf("--log-file: %w", err), "")
		}
		w, a.logTo = f, f
	}
	o := &slog.HandlerOptions{Level: level}
	switch a.logFormat {
	case "text":
		a.log = slog.New(slog.NewTextHandler(w, o))
	case "json":
		a.log = slog.New(slog.NewJSONHandler(w, o))
	default:
		return usage(fmt.Errorf("--log-format %q", a.logFormat), "choose text or json")
	}
	return nil
}

func (a *app) startProfile() error {
	if a.profile == "" {
		return nil
	}
	f, err := os.Create(a.profile)
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		return usage(fmt.Errorf("--cpu-profile: %w", err), "")
	}
	return nil
}

func (a *app) close() {
	pprof.StopCPUProfile() // if there is one
	if a.logTo != nil {
		a.logTo.Close()
	}
}

// openState opens the state directory.
func (a *app) openState() (*state.Dir, error) {
	if a.stateDir == "" {
		return nil, usage(errors.New("there is no HOME to keep the state directory in"), "set HOME, or give --state")
	}
	d, err := state.Open(a.stateDir)
	if err != nil {
		return nil, &exit.Error{Code: exit.Failed, What: "state directory " + a.stateDir, Err: err, Do: "choose another with --state"}
	}
	return d, nil
}

// hostID names the host that does the work.
func (a *app) hostID(d *state.Dir) string {
	if a.on != "" {
		return a.on
	}
	return d.Host.ID
}

func usage(err error, do string) error {
	if do == "" {
		do = "see --help"
	}
	return &exit.Error{Code: exit.Usage, What: "usage", Err: err, Do: do}
}

// usageErrors gives every way of calling a command wrongly the code that is
// promised. Cobra 1.10 itself answers an unknown subcommand of a group with
// help and success, and other unknown words with 1.
func usageErrors(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err, "") })
	if cmd.Runnable() {
		check := cmd.Args
		switch {
		case cmd.Name() == "help":
			check = helpTopic
		case check == nil:
			check = cobra.NoArgs
		}
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usage(err, "")
			}
			return nil
		}
	} else {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return usage(err, "did you mean "+near[0]+"?")
			}
			return usage(err, "")
		}
	}
	for _, sub := range cmd.Commands() {
		usageErrors(sub)
	}
}

// helpTopic accepts the path of a command.
func helpTopic(help *cobra.Command, args []string) error {
	cmd, rest, err := help.Root().Find(args)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("unknown command %q for %q", rest[0], cmd.CommandPath())
	}
	return err
}

// report prints the one line that a person reads of a failure.
func (a *app) report(err error) {
	code := exit.CodeOf(err)
	if code == exit.Incomplete || code == exit.Damaged && errors.Is(err, errReported) {
		return // the result has said it
	}
	message, do := err.Error(), ""
	if e, ok := errors.AsType[*exit.Error](err); ok {
		message, do = e.What, e.Do
		if e.Err != nil {
			message += ": " + e.Err.Error()
		}
	}
	if a.json {
		a.emit(event{"event": "error", "class": className(code), "asset": "", "resource": "", "message": message, "action": do})
		return
	}
	if do != "" {
		message += "; " + do
	}
	fmt.Fprintln(a.stderr, "lightfast: "+printable(message))
}

// errReported marks an end whose result was printed already.
var errReported = errors.New("see the result")

func className(code exit.Code) string {
	switch code {
	case exit.Usage:
		return "usage"
	case exit.Source:
		return "source"
	case exit.Destination:
		return "destination"
	case exit.Damaged:
		return "damaged"
	case exit.InUse:
		return "in_use"
	case exit.Canceled:
		return "canceled"
	case exit.NoRepo:
		return "no_repository"
	case exit.Format:
		return "format"
	case exit.Key:
		return "key"
	case exit.Interrupted:
		return "interrupted"
	default:
		return "error"
	}
}

func newVersionCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  lightfast version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				a.emit(event{"event": "version", "version": version})
			} else {
				fmt.Fprintln(a.stdout, "lightfast", version)
			}
			return nil
		},
	}
}
