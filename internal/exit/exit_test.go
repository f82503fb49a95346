package exit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"lightfast/internal/exit"
)

func TestCodeOf(t *testing.T) {
	usage := &exit.Error{Code: exit.Usage, What: "usage"}
	for _, tt := range []struct {
		name string
		err  error
		want exit.Code
	}{
		{"nil", nil, exit.OK},
		{"unknown", errors.New("x"), exit.Failed},
		{"wrapped", fmt.Errorf("backup: %w", usage), exit.Usage},
		{"cancel", fmt.Errorf("backup: %w", context.Canceled), exit.Interrupted},
		{"a code wins over a cancel", errors.Join(context.Canceled, usage), exit.Usage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := exit.CodeOf(tt.err); got != tt.want {
				t.Errorf("CodeOf(%v) = %d, want %d", tt.err, got, tt.want)
			}
		})
	}
}

func TestLineSaysWhatWhyAndWhatToDo(t *testing.T) {
	err := &exit.Error{Code: exit.Source, What: "open library", Err: errors.New("Photos is upgrading it"), Do: "quit Photos and run this again"}
	if got, want := err.Error(), "open library: Photos is upgrading it; quit Photos and run this again"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestTableHasEveryCodeOnceInOrder(t *testing.T) {
	last := exit.Code(-1)
	for _, row := range exit.Table {
		if row.Code <= last || row.Text == "" {
			t.Errorf("%d %q after %d", row.Code, row.Text, last)
		}
		last = row.Code
	}
	if last != exit.Interrupted || len(exit.Table) != 13 {
		t.Errorf("%d codes up to %d, want 13 up to 130", len(exit.Table), last)
	}
}
