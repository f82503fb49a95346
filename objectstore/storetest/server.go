package storetest

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sys/unix"
)

// Server is a real S3 server that runs until its test ends, with an empty
// disk of its own.
type Server struct {
	Endpoint             string // URL
	AccessKey, SecretKey string
	Process              *os.Process // to stop, continue or kill
}

// MinIO builds (once) and starts a MinIO server.
func MinIO(t testing.TB) Server {
	t.Helper()
	bin := build(t, "minio", "github.com/minio/minio")
	return start(t, func(addr, key, secret string) *exec.Cmd {
		cmd := exec.Command(bin, "server", "--quiet", "--address", addr, t.TempDir())
		cmd.Env = append(os.Environ(),
			"MINIO_ROOT_USER="+key, "MINIO_ROOT_PASSWORD="+secret,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off",
			"MINIO_CI_CD=1") // else it refuses tmpfs and the disk of the system
		return cmd
	})
}

// Versitygw builds (once) and starts a versitygw server on a folder.
func Versitygw(t testing.TB) Server {
	t.Helper()
	bin := build(t, "versitygw", "github.com/versity/versitygw/cmd/versitygw")
	return start(t, func(addr, key, secret string) *exec.Cmd {
		cmd := exec.Command(bin, "--quiet", "--port", addr, "posix", t.TempDir())
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+key, "ROOT_SECRET_KEY="+secret)
		return cmd
	})
}

// build returns the path of the server of tools/name, in bin/tools of the
// module, and builds it if that is missing or older than its go.sum. Packages
// that are tested at the same time build once.
func build(t testing.TB, name, pkg string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("go env GOMOD: %v", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	tool, bin := filepath.Join(root, "tools", name), filepath.Join(root, "bin", "tools", name)
	if err := os.MkdirAll(filepath.Dir(bin), 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(bin+".lock", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	sum, err := os.Stat(filepath.Join(tool, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if have, err := os.Stat(bin); err == nil && have.ModTime().After(sum.ModTime()) {
		return bin
	}
	t.Logf("building %s once into %s: about ten minutes on two cores, seconds with a warm build cache", name, bin)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-C", tool, "-trimpath", "-ldflags", "-s -w", "-o", bin+".new", pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	if err := os.Rename(bin+".new", bin); err != nil {
		t.Fatal(err)
	}
	return bin
}

// start runs a server on a free port and waits until it serves. Another
// process may take the port in between: then it tries the next.
func start(t testing.TB, command func(addr, key, secret string) *exec.Cmd) Server {
	t.Helper()
	s := Server{AccessKey: "lightfast", SecretKey: "lightfast-secret"}
	for range 3 {
		addr := freePort(t)
		s.Endpoint = "http://" + addr
		cmd := command(addr, s.AccessKey, s.SecretKey)
		var log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		gone := make(chan struct{})
		go func() { cmd.Wait(); close(gone) }()
		stop := func() { cmd.Process.Kill(); <-gone }
		if waitReady(t, addr, s, gone) {
			s.Process = cmd.Process
			t.Cleanup(stop)
			return s
		}
		stop()
		t.Logf("%s did not start:\n%s", cmd.Path, log.String())
	}
	t.Fatal("the server does not start")
	return s
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// waitReady reports whether the server lists its buckets before the process is
// gone or a minute is over. MinIO's health page says ready before it is.
func waitReady(t testing.TB, addr string, s Server, gone <-chan struct{}) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := minio.New(addr, &minio.Options{
		Creds:      credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""),
		Region:     "us-east-1",
		MaxRetries: 1,
		Transport:  &http.Transport{DisableKeepAlives: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := c.ListBuckets(ctx); err == nil {
			return true
		}
		select {
		case <-tick.C:
		case <-gone:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
