// Package cgroup bounds the memory of a process as a container does, to show
// what it lives on. It knows memory groups of versions 1 and 2 of Linux
// (cgroups(7)); where neither can be made, New says why.
package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory is a group whose processes together get so much memory, the page
// cache that they fill included, and are killed for more.
type Memory struct {
	dir            string
	peak, killedIn string // files
}

// kinds of memory groups: where they are, and the files of one.
var kinds = []struct{ root, limit, swap, peak, killedIn string }{
	{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"},
	{"/sys/fs/cgroup", "memory.max", "memory.swap.max", "memory.peak", "memory.events"},
}

// New makes a group of limit bytes.
func New(limit int64) (*Memory, error) {
	var why []error
	for _, k := range kinds {
		dir, err := os.MkdirTemp(k.root, "lightfast-*")
		if err != nil {
			why = append(why, err)
			continue
		}
		m := &Memory{dir: dir, peak: k.peak, killedIn: k.killedIn}
		if err := os.WriteFile(filepath.Join(dir, k.limit), []byte(strconv.FormatInt(limit, 10)), 0); err != nil {
			why = append(why, err, m.Close())
			continue
		}
		// Many kernels account for no swap.
		swap := "0"
		if k.swap == "memory.memsw.limit_in_bytes" {
			swap = strconv.FormatInt(limit, 10)
		}
		if err := os.WriteFile(filepath.Join(dir, k.swap), []byte(swap), 0); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			return nil, errors.Join(err, m.Close())
		}
		return m, nil
	}
	return nil, fmt.Errorf("no memory group can be made: %w", errors.Join(why...))
}

// Put has cmd begin in the group, before its program is loaded.
func (m *Memory) Put(cmd *exec.Cmd) error {
	sh, err := exec.LookPath("sh")
	if err != nil {
		return err
	}
	script := `echo $$ >"$0"/cgroup.procs && exec "$@"`
	cmd.Args = append([]string{"sh", "-c", script, m.dir, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = sh
	return nil
}

// Peak is the most that the group has used, page cache included.
func (m *Memory) Peak() (int64, error) {
	b, err := os.ReadFile(filepath.Join(m.dir, m.peak))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

// Killed is how many processes of the group died for its limit.
func (m *Memory) Killed() (int64, error) {
	b, err := os.ReadFile(filepath.Join(m.dir, m.killedIn))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if f := strings.Fields(string(line)); len(f) == 2 && f[0] == "oom_kill" {
			return strconv.ParseInt(f[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s does not tell of kills", m.killedIn)
}

// Close removes the group, whose processes have ended.
func (m *Memory) Close() error { return os.Remove(m.dir) }
