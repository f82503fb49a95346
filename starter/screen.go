package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"lightfast/activities"
)

// screen shows how a run gets on: events with --json, a live line on a
// terminal, a plain line every ten seconds without one or on one that can only
// print. There are no colours, so NO_COLOR needs no heed.
type screen struct {
	a    *app
	verb string // "stored", "restored"
	now  func() time.Time

	live *mpb.Progress
	bar  *mpb.Bar
	last activities.Report
	at   time.Time // of the last line or event
	ui   string
}

func (a *app) newScreen(verb string) *screen {
	signal.Ignore(syscall.SIGPIPE) // `| head` has seen enough, and the run goes on
	s := &screen{a: a, verb: verb, now: time.Now}
	if f, ok := a.stderr.(*os.File); ok && !a.json && term.IsTerminal(int(f.Fd())) && !slices.Contains(a.env, "TERM=dumb") {
		s.live = mpb.New(mpb.WithOutput(f), mpb.WithWidth(32), mpb.WithRefreshRate(200*time.Millisecond))
		s.bar = s.live.AddBar(0,
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return s.left() })),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return s.right() })))
	}
	return s
}

// plainEvery is how often a log file gets a line.
const plainEvery = 10 * time.Second

func (s *screen) show(r activities.Report) {
	changed := r.Phase != s.last.Phase || s.at.IsZero()
	s.last = r
	switch {
	case s.a.json:
		if changed || s.now().Sub(s.at) >= 900*time.Millisecond {
			s.at = s.now()
			s.a.emitAs("progress", r)
		}
	case s.live != nil:
		s.at = s.now()
		s.bar.SetTotal(max(r.Bytes.Total, 1), false)
		s.bar.SetCurrent(r.Bytes.Done)
	case changed || s.now().Sub(s.at) >= plainEvery:
		s.at = s.now()
		fmt.Fprintln(s.a.stderr, strings.TrimSpace(s.left()+"  "+s.right()))
	}
}

func (s *screen) left() string {
	switch r := s.last; r.Phase {
	case activities.Scanning:
		return fmt.Sprintf("scanning  %s assets", humanize.Comma(r.Assets.Total))
	case activities.Storing:
		return fmt.Sprintf("%s of %s assets %s ", humanize.Comma(r.Assets.Done), humanize.Comma(r.Assets.Total), s.verb)
	default:
		return string(r.Phase)
	}
}

func (s *screen) right() string {
	r := s.last
	var parts []string
	for _, w := range r.Waiting {
		parts = append(parts, fmt.Sprintf("waiting for %s since %s", w.What, w.Since.Local().Format(time.TimeOnly)))
	}
	if r.Phase == activities.Storing {
		parts = append(parts, fmt.Sprintf("%s of %s", humanize.IBytes(uint64(max(r.Bytes.Done, 0))), humanize.IBytes(uint64(max(r.Bytes.Total, 0)))))
		if r.RateBPS > 0 {
			parts = append(parts, humanize.IBytes(uint64(r.RateBPS))+"/s")
		}
		if limits := limitText(r.Limits); limits != "" {
			parts = append(parts, limits)
		}
		if r.ETA >= 0 {
			parts = append(parts, "about "+(time.Duration(r.ETA)*time.Second).String()+" left")
		}
		if len(r.InFlight) > 0 {
			parts = append(parts, printable(r.InFlight[0]))
		}
	}
	return strings.Join(parts, "  ")
}

// showUI says once where Temporal's pages are.
func (s *screen) showUI(url string) {
	if s.ui == url || s.a.json {
		return
	}
	s.ui = url
	s.say("history and details: " + url + "/namespaces/lightfast/workflows")
}

// say prints a line above the live one.
func (s *screen) say(line string) {
	var w io.Writer = s.a.stderr
	if s.live != nil {
		w = s.live
	}
	fmt.Fprintln(w, line)
}

// close leaves the terminal as it was.
func (s *screen) close() {
	if s.live == nil {
		return
	}
	s.bar.Abort(true)
	s.live.Wait()
	s.live = nil
}
