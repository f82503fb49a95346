package budget

import (
	"os"
	"runtime/debug"
)

// LimitHeap has the collector work harder instead of letting Go's own memory
// grow past n bytes; a process that truly needs more gets it, slowly. Buffers
// of a budget are no part of it. GOMEMLIMIT, where it is set, has the say.
func LimitHeap(n int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(n)
	}
}
