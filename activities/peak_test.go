package activities_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"lightfast/activities"
)

// A child begins with the peak of its parent in ru_maxrss.
func TestPeakIsThatOfOneProcess(t *testing.T) {
	const child = "LIGHTFAST_TEST_PEAK"
	if os.Getenv(child) != "" {
		fmt.Println("peak", activities.PeakBytes())
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a process's own peak")
	}
	large := make([]byte, 300*mib)
	for i := range large {
		large[i] = 1
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.Output()
	runtime.KeepAlive(large)
	_, said, _ := strings.Cut(string(out), "peak ")
	var peak int64
	if _, scanErr := fmt.Sscan(said, &peak); err != nil || scanErr != nil {
		t.Fatalf("%v, %v: %s", err, scanErr, out)
	}
	if here := activities.PeakBytes(); here < 300*mib || peak <= 0 || peak >= 300*mib {
		t.Errorf("peak of the child %d MiB, of its parent %d MiB; want the one below 300 and the other not", peak/mib, here/mib)
	}
}
