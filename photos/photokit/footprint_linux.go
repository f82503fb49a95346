package photokit

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// footprint is the anonymous memory of a process, in RAM or swapped out: the
// nearest to what macOS calls so.
func footprint(pid int) (n int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) == 3 && (string(f[0]) == "RssAnon:" || string(f[0]) == "VmSwap:") {
			kib, err := strconv.ParseInt(string(f[1]), 10, 64)
			if err != nil {
				return 0, err
			}
			n += kib << 10
		}
	}
	return n, nil
}
