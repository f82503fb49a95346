package storetest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// BuildTool returns the path of the program of tools/name, in bin/tools of the
// module, and builds it if that is missing or older than its go.sum.
// Processes that ask at the same time build once.
func BuildTool(ctx context.Context, name, pkg string, log *slog.Logger) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	tool, bin := filepath.Join(root, "tools", name), filepath.Join(root, "bin", "tools", name)
	if err := os.MkdirAll(filepath.Dir(bin), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(bin+".lock", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	sum, err := os.Stat(filepath.Join(tool, "go.sum"))
	if err != nil {
		return "", err
	}
	if have, err := os.Stat(bin); err == nil && have.ModTime().After(sum.ModTime()) {
		return bin, nil
	}
	log.Info("building a program once: up to ten minutes on two cores, seconds with a warm build cache", "program", name, "into", bin)
	cmd := exec.CommandContext(ctx, "go", "build", "-C", tool, "-trimpath", "-ldflags", "-s -w", "-o", bin+".new", pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return bin, os.Rename(bin+".new", bin)
}
