package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Server is a real S3 server at work.
type Server struct {
	Endpoint             string // URL
	AccessKey, SecretKey string
	Process              *os.Process // to stop, continue or kill
}

// MinIO builds (once) and starts a MinIO server that runs until its test ends,
// with an empty disk of its own.
func MinIO(t testing.TB) Server {
	t.Helper()
	return forTest(t, StartMinIO)
}

// Versitygw is MinIO with a versitygw server on a folder.
func Versitygw(t testing.TB) Server {
	t.Helper()
	return forTest(t, StartVersitygw)
}

func forTest(t testing.TB, start func(context.Context, string, *slog.Logger) (Server, func(), error)) Server {
	t.Helper()
	s, stop, err := start(t.Context(), t.TempDir(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s
}

// StartMinIO builds (once) and starts a MinIO server that keeps its data in
// the folder data, on a free port. It runs until stop, not until ctx ends.
func StartMinIO(ctx context.Context, data string, log *slog.Logger) (_ Server, stop func(), err error) {
	bin, err := BuildTool(ctx, "minio", "github.com/minio/minio", log)
	if err != nil {
		return Server{}, nil, err
	}
	return start(ctx, log, func(s Server, addr string) *exec.Cmd {
		cmd := exec.Command(bin, "server", "--quiet", "--address", addr, data)
		cmd.Env = append(os.Environ(),
			"MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off",
			"MINIO_CI_CD=1") // else it refuses tmpfs and the disk of the system
		return cmd
	})
}

// StartVersitygw is StartMinIO for versitygw.
func StartVersitygw(ctx context.Context, data string, log *slog.Logger) (_ Server, stop func(), err error) {
	bin, err := BuildTool(ctx, "versitygw", "github.com/versity/versitygw/cmd/versitygw", log)
	if err != nil {
		return Server{}, nil, err
	}
	return start(ctx, log, func(s Server, addr string) *exec.Cmd {
		cmd := exec.Command(bin, "--quiet", "--port", addr, "posix", data)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
		return cmd
	})
}

// start runs a server on a free port and waits until it serves. Another
// process may take the port in between: then it tries the next.
func start(ctx context.Context, log *slog.Logger, command func(s Server, addr string) *exec.Cmd) (_ Server, stop func(), err error) {
	s := Server{AccessKey: "lightfast", SecretKey: "lightfast-secret"}
	for range 3 {
		addr, err := freePort()
		if err != nil {
			return Server{}, nil, err
		}
		s.Endpoint = "http://" + addr
		cmd := command(s, addr)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			return Server{}, nil, err
		}
		gone := make(chan struct{})
		go func() { cmd.Wait(); close(gone) }()
		stop := func() { cmd.Process.Kill(); <-gone }
		if err = waitReady(ctx, addr, s, gone); err == nil {
			s.Process = cmd.Process
			return s, stop, nil
		}
		stop()
		log.Warn("a server did not start", "server", cmd.Path, "err", err, "output", said.String())
	}
	return Server{}, nil, errors.New("the server does not start")
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// waitReady returns when the server lists its buckets, and fails when the
// process is gone or a minute is over. MinIO's health page says ready before
// it is.
func waitReady(ctx context.Context, addr string, s Server, gone <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, err := minio.New(addr, &minio.Options{
		Creds:      credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""),
		Region:     "us-east-1",
		MaxRetries: 1,
		Transport:  &http.Transport{DisableKeepAlives: true},
	})
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := c.ListBuckets(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-gone:
			return errors.New("its process has ended")
		case <-ctx.Done():
			return fmt.Errorf("it does not serve: %w", err)
		}
	}
}
