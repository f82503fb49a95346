package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// statusOf is a line of a process's status, in bytes; 0 for one that is gone.
func statusOf(pid int, line string) int64 {
	return valueIn(fmt.Sprintf("/proc/%d/status", pid), line) << 10
}

// readBy is how many bytes a process has read, from pipes too.
func readBy(pid int) int64 { return valueIn(fmt.Sprintf("/proc/%d/io", pid), "rchar") }

// valueIn is the number behind "name:"; 0 where there is none.
func valueIn(file, name string) int64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		rest, ok := strings.CutPrefix(string(line), name+":")
		if f := strings.Fields(rest); ok && len(f) > 0 {
			if n, err := strconv.ParseInt(f[0], 10, 64); err == nil {
				return n
			}
		}
	}
	return 0
}

// childrenOf are the processes whose parent is pid.
func childrenOf(pid int) (children []int) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	for _, file := range stats {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // gone
		}
		// The name, in parentheses, may have any bytes.
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(f) < 2 || string(f[1]) != strconv.Itoa(pid) {
			continue
		}
		if child, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			children = append(children, child)
		}
	}
	return children
}
