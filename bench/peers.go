package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"lightfast/objectstore/storetest"
)

// set is a folder of random files, of sizes as people have them.
type set struct {
	name, what string
	files      int
	least      int64
	most       int64
}

var sets = []set{
	{"A", "photos of 0.5 to 5 MB", 1500, 500_000, 5_000_000},
	{"B", "files of 30 to 150 KB", 8000, 30_000, 150_000},
	{"C", "videos of 1.5 GB", 3, 1_500_000_000, 1_500_000_000},
	{"N", "files of 1 to 3 KB, of which nothing changes", 100_000, 1_000, 3_000},
}

// peers measures lightfast, with all that is embedded in it, beside the tools
// that people would pick instead, in turn, against one MinIO on this machine.
func peers(ctx context.Context, b *bench) error {
	server, stop, err := storetest.StartMinIO(ctx, filepath.Join(b.work, "minio"), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	defer stop()
	p, err := newPeerage(ctx, b, server)
	if err != nil {
		return err
	}
	for _, s := range sets {
		if !strings.Contains(b.sets, s.name) {
			continue
		}
		s.files = max(1, s.files/b.scale)
		measure := p.set
		if s.name == "N" {
			measure = p.unchanged
		}
		if err := measure(ctx, s); err != nil {
			return fmt.Errorf("set %s: %w", s.name, err)
		}
	}
	return nil
}

// peer is one tool. Its commands take from and to as they are given.
type peer struct {
	name                     string
	prepare, backup, restore func(folder, bucket string) []string
}

func (p peer) again(to, bucket string) []string {
	if p.restore == nil {
		return nil
	}
	return p.restore(to, bucket)
}

type peerage struct {
	*bench
	self   string // this program
	server storetest.Server
	client *minio.Client
	peers  []peer
	env    []string
}

func newPeerage(ctx context.Context, b *bench, server storetest.Server) (*peerage, error) {
	host := strings.TrimPrefix(server.Endpoint, "http://")
	c, err := minio.New(host, &minio.Options{Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, ""), Region: "us-east-1"})
	if err != nil {
		return nil, err
	}
	p := &peerage{bench: b, server: server, client: c, env: append(os.Environ(),
		"AWS_ACCESS_KEY_ID="+server.AccessKey, "AWS_SECRET_ACCESS_KEY="+server.SecretKey, "AWS_DEFAULT_REGION=us-east-1",
		"MC_HOST_p=http://"+server.AccessKey+":"+server.SecretKey+"@"+host, "MC_CONFIG_DIR="+filepath.Join(b.work, "mc"),
		"RCLONE_CONFIG="+filepath.Join(b.work, "rclone.conf"), "RCLONE_CONFIG_P_TYPE=s3", "RCLONE_CONFIG_P_PROVIDER=Minio", "RCLONE_CONFIG_P_ENV_AUTH=true",
		"RCLONE_CONFIG_P_ENDPOINT="+server.Endpoint, "RESTIC_PASSWORD=bench", "RESTIC_CACHE_DIR="+filepath.Join(b.work, "restic"))}
	if err := os.WriteFile(filepath.Join(b.work, "rclone.conf"), nil, 0o600); err != nil {
		return nil, err
	}
	tool := map[string]string{}
	for name, pkg := range map[string]string{"mc": "github.com/minio/mc", "rclone": "github.com/rclone/rclone", "restic": "github.com/restic/restic/cmd/restic"} {
		if tool[name], err = storetest.BuildTool(ctx, name, pkg, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
			return nil, err
		}
	}
	if p.self, err = os.Executable(); err != nil {
		return nil, err
	}
	state := filepath.Join(b.work, "state")
	s3 := func(bucket string) string { return "s3://" + bucket + "?endpoint=" + server.Endpoint }
	p.peers = []peer{
		{"lightfast",
			func(_, _ string) []string { return []string{"rm", "-rf", state} },
			func(from, bucket string) []string {
				return []string{b.bin, "backup", "--source", from, "--to", s3(bucket), "--state", state, "--json"}
			},
			func(to, bucket string) []string {
				return []string{b.bin, "restore", "--from", s3(bucket), "--to", to, "--state", state, "--json"}
			}},
		{"mc", nil,
			func(from, bucket string) []string {
				return []string{tool["mc"], "mirror", "-q", from, "p/" + bucket + "/d"}
			},
			func(to, bucket string) []string {
				return []string{tool["mc"], "mirror", "-q", "p/" + bucket + "/d", to}
			}},
		{"rclone", nil,
			func(from, bucket string) []string {
				return []string{tool["rclone"], "copy", "--transfers", "8", "--checkers", "8", "-q", from, "p:" + bucket + "/d"}
			},
			func(to, bucket string) []string {
				return []string{tool["rclone"], "copy", "--transfers", "8", "-q", "p:" + bucket + "/d", to}
			}},
		{"restic",
			func(_, bucket string) []string {
				return []string{tool["restic"], "-q", "-r", "s3:" + server.Endpoint + "/" + bucket, "init"}
			},
			func(from, bucket string) []string {
				return []string{tool["restic"], "-q", "-r", "s3:" + server.Endpoint + "/" + bucket, "-o", "s3.connections=8", "backup", from}
			},
			func(to, bucket string) []string {
				return []string{tool["restic"], "-q", "-r", "s3:" + server.Endpoint + "/" + bucket, "restore", "latest", "--target", to}
			}},
	}
	return p, nil
}

// step is one figure of one peer: medians are taken over runs.
type step struct{ what, peer string }

func (p *peerage) set(ctx context.Context, s set) error {
	folder := filepath.Join(p.work, s.name)
	total, err := s.write(folder)
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	fmt.Printf("  set %s: %d %s, %.2f GB\n", s.name, s.files, s.what, float64(total)/1e9)
	found := map[step][]ended{}
	loop := peer{name: "bare PUTs", backup: func(from, bucket string) []string { return []string{p.self, "-put", bucket, from} }}
	for n := range p.runs {
		for _, one := range append(p.peers, loop) {
			if err := p.turn(ctx, s, one, folder, p.bucket(one, s, n), found); err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
		}
	}
	for _, what := range []string{"first", "no change", "restore", onDisk} {
		p.table(s.name+" "+what, what, found)
	}
	return nil
}

func (p *peerage) bucket(one peer, s set, n int) string {
	return strings.ToLower(strings.ReplaceAll(fmt.Sprintf("%s-%s-%d", one.name, s.name, n), " ", "-"))
}

// unchanged has each peer store a set once, and measures what it takes to
// find, in turn, that nothing has changed.
func (p *peerage) unchanged(ctx context.Context, s set) error {
	folder := filepath.Join(p.work, s.name)
	total, err := s.write(folder)
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	fmt.Printf("  set %s: %d %s, %.2f GB\n", s.name, s.files, s.what, float64(total)/1e9)
	found := map[step][]ended{}
	for n := range p.runs + 1 {
		for _, one := range p.peers {
			what, bucket := "no change", p.bucket(one, s, 0)
			if n == 0 {
				what = "first"
				if err := p.prepare(ctx, one, folder, bucket); err != nil {
					return fmt.Errorf("%s: %w", one.name, err)
				}
			}
			e, err := p.measure(ctx, one.backup(folder, bucket))
			if err != nil {
				return fmt.Errorf("%s: %s: %w", one.name, what, err)
			}
			found[step{what, one.name}] = append(found[step{what, one.name}], e)
		}
	}
	p.table(s.name+" first", "first", found)
	p.table(s.name+" no change", "no change", found)
	return nil
}

// prepare makes the bucket, and what a peer wants beforehand.
func (p *peerage) prepare(ctx context.Context, one peer, folder, bucket string) error {
	if err := p.client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}); err != nil {
		return err
	}
	if one.prepare == nil {
		return nil
	}
	_, err := p.measure(ctx, one.prepare(folder, bucket))
	return err
}

// turn is all that one peer does in one run, in a bucket of its own.
func (p *peerage) turn(ctx context.Context, s set, one peer, folder, bucket string, found map[step][]ended) error {
	if err := p.prepare(ctx, one, folder, bucket); err != nil {
		return err
	}
	out := filepath.Join(p.work, "restored")
	defer os.RemoveAll(out)
	for _, todo := range []struct {
		what    string
		command []string
	}{
		{"first", one.backup(folder, bucket)},
		{"no change", one.backup(folder, bucket)},
		{"restore", one.again(out, bucket)},
	} {
		if todo.what != "first" && one.restore == nil || todo.what == "restore" && s.name != "A" {
			continue
		}
		e, err := p.measure(ctx, todo.command)
		if err != nil {
			return fmt.Errorf("%s: %w", todo.what, err)
		}
		key := step{todo.what, one.name}
		found[key] = append(found[key], e)
		if todo.what == "restore" {
			start := time.Now()
			syscall.Sync()
			e.wall += time.Since(start)
			key = step{onDisk, one.name}
			found[key] = append(found[key], e)
		}
	}
	return p.remove(ctx, bucket)
}

// onDisk is a restore until the disk has it: lightfast says that it is done
// then, others before.
const onDisk = "on disk"

// remove makes room at once: MinIO keeps what was deleted for minutes, and
// works on it while the next one is measured.
func (p *peerage) remove(ctx context.Context, bucket string) error {
	if err := p.client.RemoveBucketWithOptions(ctx, bucket, minio.RemoveBucketOptions{ForceDelete: true}); err != nil {
		return err
	}
	trash, err := filepath.Glob(filepath.Join(p.work, "minio", ".minio.sys", "tmp", ".trash", "*"))
	if err != nil {
		return err
	}
	for _, dir := range trash {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// measure runs a command to its end, once the disk has what was written
// before: that is another one's.
func (p *peerage) measure(ctx context.Context, command []string) (e ended, err error) {
	syscall.Sync()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var said strings.Builder
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, io.Discard, &said
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return e, fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, said.String())
	}
	e.wall = time.Since(start)
	e.cpu, e.peak = used(cmd.ProcessState)
	return e, nil
}

// table prints medians, and how lightfast's compare: below 1 it is faster.
func (p *peerage) table(title, what string, found map[step][]ended) {
	if found[step{what, "lightfast"}] == nil {
		return
	}
	of := func(peer string, f func(ended) float64) float64 {
		var xs []float64
		for _, e := range found[step{what, peer}] {
			xs = append(xs, f(e))
		}
		return median(xs)
	}
	wall := func(e ended) float64 { return e.wall.Seconds() }
	cpu := func(e ended) float64 { return e.cpu.Seconds() }
	peak := func(e ended) float64 { return float64(e.peak >> 20) }
	fmt.Printf("  %-12s %-10s %8s %8s %8s   lightfast's part of it: wall, CPU\n", title, "", "wall s", "CPU s", "MiB")
	for _, one := range append(p.peers, peer{name: "bare PUTs"}) {
		if found[step{what, one.name}] == nil {
			continue
		}
		fmt.Printf("  %-12s %-10s %8.1f %8.1f %8.0f   %.2f %.2f\n", "", one.name, of(one.name, wall), of(one.name, cpu), of(one.name, peak),
			of("lightfast", wall)/of(one.name, wall), of("lightfast", cpu)/of(one.name, cpu))
	}
}

// write makes the files, each of other random bytes.
func (s set) write(folder string) (total int64, err error) {
	rng := rand.New(rand.NewPCG(uint64(s.files), uint64(s.most)))
	for i := range s.files {
		size := s.least + rng.Int64N(s.most-s.least+1)
		name := filepath.Join(folder, fmt.Sprintf("%03d", i/500), fmt.Sprintf("IMG_%05d.JPG", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return 0, err
		}
		f, err := os.Create(name)
		if err != nil {
			return 0, err
		}
		var seed [32]byte
		seed[0], seed[1], seed[2] = byte(i), byte(i>>8), s.name[0]
		_, err = io.CopyN(f, rand.NewChaCha8(seed), size)
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return 0, err
		}
		total += size
	}
	return total, nil
}
