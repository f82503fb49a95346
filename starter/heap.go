package main

import (
	"os"
	"runtime/debug"
)

// What lives on the heap is small beside what Temporal's server and SDK make
// and drop for each asset: at Go's own setting the collector took a twelfth of
// the CPU of a run over small files. It may wait until garbage is four times
// what lives, as long as both stay below heapAim; buffers are not in it.
const (
	heapGrowth = 400       // percent
	heapAim    = 256 << 20 // bytes
)

// tuneCollector leaves what the environment says alone.
func tuneCollector() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(heapGrowth)
		debug.SetMemoryLimit(heapAim)
	}
}
