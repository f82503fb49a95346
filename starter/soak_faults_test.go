//go:build soak

package main

import "testing"

// TestSoakFaults is the run through a faulty network at full size. Its seed
// spoils the first contact most of those tried.
func TestSoakFaults(t *testing.T) {
	throughFaults(t, 500, []int64{64 << 20, 128 << 20}, 1000, 7, 0.7)
}
