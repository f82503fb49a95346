//go:build soak

package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// TestSoakClusterKills is the kill matrix of cluster mode at full size.
func TestSoakClusterKills(t *testing.T) {
	p := folderPlace(t, 2000)
	for i := range 2 {
		write(t, filepath.Join(p.source, fmt.Sprintf("LONG_%d.MOV", i)), 512<<20, uint64(i))
	}
	p.killWorkers(rand.New(rand.NewPCG(2, 2)), 10)
}
