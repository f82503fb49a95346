package budget_test

import (
	"runtime/debug"
	"testing"

	"lightfast/internal/budget"
)

func TestLimitOfTheHeapLeavesTheUsersAlone(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	t.Setenv("GOMEMLIMIT", "1GiB")
	budget.LimitHeap(64 << 20)
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("the limit became %d beside GOMEMLIMIT, want %d as it was", got, before)
	}
	t.Setenv("GOMEMLIMIT", "")
	budget.LimitHeap(64 << 20)
	if got := debug.SetMemoryLimit(-1); got != 64<<20 {
		t.Errorf("the limit is %d, want %d", got, 64<<20)
	}
}
