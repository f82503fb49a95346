package main

import (
	"os"
	"runtime/debug"
)

const (
	// heap is what Go's own memory may come to beside the budget: more than
	// Temporal and our part of it have needed for a million assets.
	heap = 256 << 20

	// heapGrowth, in percent of what lives, is how much garbage may be before
	// it is collected. Temporal's server and SDK make and drop much for each
	// asset: at Go's own 100 the collector took a twelfth of the CPU of a run
	// over small files.
	heapGrowth = 400
)

func letHeapGrow() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}
