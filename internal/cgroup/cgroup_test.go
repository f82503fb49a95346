package cgroup_test

import (
	"os/exec"
	"testing"

	"lightfast/internal/cgroup"
)

func TestWhoTakesMoreIsKilled(t *testing.T) {
	m, err := cgroup.New(16 << 20)
	if err != nil {
		t.Skip(err)
	}
	for _, tt := range []struct {
		bytes  string
		killed bool
	}{{"1048576", false}, {"67108864", true}} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", "head -c "+tt.bytes+" /dev/zero | tail >/dev/null") // which keeps its last line
		if err := m.Put(cmd); err != nil {
			t.Fatal(err)
		}
		out, err := cmd.CombinedOutput()
		if killed, e := m.Killed(); e != nil || (killed > 0) != tt.killed {
			t.Errorf("to keep %s bytes killed %d processes, %v; want that some are: %v (%v, %s)", tt.bytes, killed, e, tt.killed, err, out)
		}
	}
	if all, anon, err := m.Usage(); err != nil || anon > all || all > 16<<20 {
		t.Errorf("Usage() = %d, %d, %v, want at most the limit, and no more anonymous than all", all, anon, err)
	}
	if peak, err := m.Peak(); err != nil || peak == 0 || peak > 16<<20 {
		t.Errorf("Peak() = %d, %v, want at most the limit", peak, err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}
