package photokit

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	longestLine  = 1 << 10
	longestWords = 200
	mostLines    = 200 // of one helper; frameworks can be talkative
)

// dumps are how the Go runtime begins to say what it was doing when it died.
var dumps = []string{"SIG", "panic: ", "fatal error: ", "unexpected fault"}

// lines logs what a helper, and the frameworks in it, print to standard error.
type lines struct {
	log *slog.Logger

	mu      sync.Mutex // guards the rest
	partial []byte
	words   string // the last line before a dump of goroutines and registers, and how that begins
	dump    bool
	n       int
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := b; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		l.partial = append(l.partial, line[:min(len(line), longestLine-len(l.partial))]...)
		if rest = after; whole {
			l.line()
		}
	}
	return len(b), nil
}

func (l *lines) line() {
	text := strings.ToValidUTF8(string(l.partial), string(utf8.RuneError))
	if l.partial = l.partial[:0]; text == "" {
		return
	}
	if !l.dump {
		text := text[:min(len(text), longestWords)]
		if l.dump = slices.ContainsFunc(dumps, func(d string) bool { return strings.HasPrefix(text, d) }); l.dump && l.words != "" {
			l.words += "; " + text
		} else {
			l.words = text
		}
	}
	l.n++
	switch {
	case l.n <= mostLines:
		l.log.LogAttrs(context.Background(), slog.LevelDebug, "photokit helper says", slog.String("line", text))
	case l.n == mostLines+1:
		l.log.Debug("photokit helper says more than is logged")
	}
}

// Last says why a helper ended, as far as it could say it.
func (l *lines) Last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.words
}
