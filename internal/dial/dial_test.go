package dial_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"lightfast/internal/dial"
)

func TestDialGivesUpWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := dial.Temporal(ctx, nobody, dial.Options{}); err == nil || !strings.Contains(err.Error(), nobody) {
		t.Errorf("Dial(nobody) = %v, want an error that names %s", err, nobody)
	}
}
