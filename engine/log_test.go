package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/server/common/log/tag"
)

func TestCallersThatWentAwayAreNoErrors(t *testing.T) {
	var said bytes.Buffer
	l := newServerLog(slog.New(slog.NewTextHandler(&said, nil)))
	l.ready.Store(true)
	for err, want := range map[error]bool{
		errors.New("disk full"):                             true,
		fmt.Errorf("read task queue: %w", context.Canceled): false,
		serviceerror.NewCanceled("context canceled"):        false,
	} {
		said.Reset()
		l.With(tag.Error(err)).Error("poll failed")
		if got := strings.Contains(said.String(), "level=ERROR"); got != want {
			t.Errorf("%v is said as an error: %v, want %v", err, got, want)
		}
	}
	said.Reset()
	l.Error(lateTrailer, tag.Error(errors.New("SendHeader called multiple times")))
	if said.Len() > 0 {
		t.Errorf("%q is said of an answer that nobody waits for", said.String())
	}
}
