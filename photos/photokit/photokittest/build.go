// Package photokittest builds photokit-helper and the mock of the Photos
// framework that it loads on Linux, so that tests run the code of a Mac in
// real processes.
package photokittest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Helper returns the path of photokit-helper and the environment in which it
// loads the mock; what the mock serves, and how it fails, is said by variables
// of mock/Photos.m. Both are built once for all processes of this machine.
//
// A machine without what the build needs fails the test rather than skip it:
// nothing else proves this code without a Mac.
func Helper(t testing.TB, mock ...string) (helper string, env []string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the mock of the Photos framework is for GNUstep on Linux")
	}
	helper, env, err := Build(t.Context(), mock...)
	if err != nil {
		t.Fatal(err)
	}
	return helper, env
}

// Build is Helper for what is no test.
func Build(ctx context.Context, mock ...string) (helper string, env []string, err error) {
	dir, err := build(ctx)
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(dir, "photokit-helper"), append([]string{"LIGHTFAST_PHOTOKIT_MOCK=" + filepath.Join(dir, "libMockPhotos.so")}, mock...), nil
}

// build returns the folder of both, which is named by the hash of all that
// they are made from.
func build(ctx context.Context) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	source := filepath.Dir(filepath.Dir(file))
	sum, err := hash(source)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "lightfast", "photokit-mock")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(root, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	done := filepath.Join(root, sum)
	if _, err := os.Stat(done); err == nil {
		return done, nil
	}
	temp, err := os.MkdirTemp(root, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	if err := errors.Join(compileMock(ctx, source, temp), buildHelper(ctx, source, temp)); err != nil {
		return "", err
	}
	if err := os.Chmod(temp, 0o755); err != nil { // tests as nobody use it, too
		return "", err
	}
	return done, os.Rename(temp, done)
}

// hash is that of all sources below dir but tests, of the module's
// dependencies and of the toolchain.
func hash(dir string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOARCH)
	add := func(path string) error {
		b, err := os.ReadFile(path)
		fmt.Fprintln(h, path, len(b))
		h.Write(b)
		return err
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		switch filepath.Ext(path) {
		case ".go", ".m", ".h":
			return add(path)
		}
		return nil
	})
	err = errors.Join(err, add(filepath.Join(dir, "..", "..", "go.sum")))
	return fmt.Sprintf("%x", h.Sum(nil)[:12]), err
}

// compileMock compiles for GCC's runtime, on which Debian builds GNUstep.
func compileMock(ctx context.Context, source, to string) error {
	for _, need := range []string{"/usr/include/GNUstep/Foundation/Foundation.h", "/usr/include/Block.h"} {
		if _, err := os.Stat(need); err != nil {
			return fmt.Errorf("the mock of the Photos framework cannot be built: run make packages (%w)", err)
		}
	}
	gcc, err := exec.CommandContext(ctx, "gcc", "-print-file-name=include").Output() // <objc/objc.h> is there
	if err != nil {
		return fmt.Errorf("the mock of the Photos framework cannot be built: run make packages (gcc: %w)", err)
	}
	mock := filepath.Join(source, "mock")
	out, err := exec.CommandContext(ctx, "clang",
		"-fblocks", "-fobjc-runtime=gcc", "-fexceptions", "-fobjc-exceptions", "-D_NATIVE_OBJC_EXCEPTIONS", "-fconstant-string-class=NSConstantString",
		"-DGNUSTEP", "-DGNU_RUNTIME=1", "-DGNUSTEP_BASE_LIBRARY=1",
		"-I"+filepath.Join(mock, "include"), "-I/usr/include/GNUstep", "-I"+strings.TrimSpace(string(gcc)),
		"-fPIC", "-shared", "-O1", "-g", "-Wall", "-Werror", "-pthread",
		filepath.Join(mock, "Photos.m"), "-o", filepath.Join(to, "libMockPhotos.so"),
		"-lgnustep-base", "-lobjc", "-lBlocksRuntime").CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("the mock of the Photos framework cannot be built: run make packages (%w)", err)
	} else if err != nil {
		return fmt.Errorf("compile Photos.m: %w\n%s", err, out)
	}
	return nil
}

func buildHelper(ctx context.Context, source, to string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(to, "photokit-helper"), "./photokit-helper")
	cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build photokit-helper: %w\n%s", err, out)
	}
	return nil
}
