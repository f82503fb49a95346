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
	dir                         string
	usage, anon, peak, killedIn string // files, and of anon the line in memory.stat
}

// kinds of memory groups: where they are, and the files of one.
var kinds = []struct{ root, limit, swap, usage, anon, peak, killedIn string }{
	{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.usage_in_bytes", "rss", "memory.max_usage_in_bytes", "memory.oom_control"},
	{"/sys/fs/cgroup", "memory.max", "memory.swap.max", "memory.current", "anon", "memory.peak", "memory.events"},
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
		m := &Memory{dir: dir, usage: k.usage, anon: k.anon, peak: k.peak, killedIn: k.killedIn}
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

// Usage is what the group uses now, page cache included, and what of that is
// anonymous: memory that only swap could take back.
func (m *Memory) Usage() (all, anon int64, err error) {
	if all, err = m.number(m.usage); err != nil {
		return 0, 0, err
	}
	anon, err = m.line("memory.stat", m.anon)
	return all, anon, err
}

// Peak is the most that the group has used, page cache included.
func (m *Memory) Peak() (int64, error) { return m.number(m.peak) }

// Killed is how many processes of the group died for its limit.
func (m *Memory) Killed() (int64, error) { return m.line(m.killedIn, "oom_kill") }

func (m *Memory) number(file string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(m.dir, file))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

// line is the number behind a name in a file of such lines.
func (m *Memory) line(file, name string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(m.dir, file))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if f := strings.Fields(string(line)); len(f) == 2 && f[0] == name {
			return strconv.ParseInt(f[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no line %s", file, name)
}

// Close removes the group, whose processes have ended.
func (m *Memory) Close() error { return os.Remove(m.dir) }
