//go:build !darwin || !cgo

package manners_test

import (
	"testing"

	"lightfast/internal/manners"
)

func TestElsewhereNothingHappens(t *testing.T) {
	var s manners.System
	release := s.KeepAwake("a test")
	release()
	release()
	s.Notify("title", "text")
	if n, why := s.Pressure(); n != 0 || why != "" {
		t.Errorf("Pressure() = %d, %q, want 0", n, why)
	}
}
