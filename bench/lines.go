package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"lightfast/objectstore/storetest"
)

// place is where a store is, and what is brought there: photos of 0.2 to 2 MB
// and two films.
type place struct {
	name   string
	shape  storetest.Shape
	photos int
	film   int64 // bytes
}

var places = []place{
	{"near", storetest.Shape{}, 400, 96_000_000},
	{"far", storetest.Shape{Delay: 25 * time.Millisecond}, 400, 96_000_000},
	{"100M", storetest.Shape{Rate: 100_000_000 / 8}, 400, 96_000_000},
	{"10M", storetest.Shape{Rate: 10_000_000 / 8}, 60, 40_000_000},
}

// lines measures how well lightfast uses a line, beside rclone, and whether
// anything goes over it twice.
func lines(ctx context.Context, b *bench) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	server, stop, err := storetest.StartMinIO(ctx, filepath.Join(b.work, "minio"), log)
	if err != nil {
		return err
	}
	defer stop()
	rclone, err := storetest.BuildTool(ctx, "rclone", "github.com/rclone/rclone", log)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.work, "rclone.conf"), nil, 0o600); err != nil {
		return err
	}
	client, err := minio.New(strings.TrimPrefix(server.Endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, ""), Region: "us-east-1"})
	if err != nil {
		return err
	}
	fmt.Printf("  %-5s %-10s %8s %8s %8s %8s %8s %8s %8s %8s %8s  %s\n", "", "", "MB", "wall s", "of line", "sent", "PUTs", "again", "cut", "refused", "window", "lightfast's wall to rclone's")
	for _, p := range places {
		if b.lines != "" && !slices.Contains(strings.Split(b.lines, ","), p.name) {
			continue
		}
		if err := b.place(ctx, p, server, client, rclone); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func (b *bench) place(ctx context.Context, p place, server storetest.Server, client *minio.Client, rclone string) error {
	folder := filepath.Join(b.work, "source-"+p.name)
	defer os.RemoveAll(folder)
	var source int64
	for _, s := range []set{
		{name: "photos", files: max(1, p.photos/b.scale), least: 200_000, most: 2_000_000},
		{name: "films", files: 2, least: p.film / int64(b.scale), most: p.film / int64(b.scale)},
	} {
		n, err := s.write(filepath.Join(folder, s.name))
		if err != nil {
			return err
		}
		source += n
	}
	state, logFile := filepath.Join(b.work, "state-"+p.name), filepath.Join(b.work, "log-"+p.name)
	var ours time.Duration
	for _, tool := range []struct {
		name    string
		command func(bucket, endpoint string) []string
	}{
		{"lightfast", func(bucket, endpoint string) []string {
			return []string{b.bin, "backup", "--source", folder, "--to", "s3://" + bucket + "?endpoint=" + endpoint, "--state", state, "--json", "--log-level", "info", "--log-file", logFile}
		}},
		{"rclone", func(bucket, _ string) []string {
			return []string{rclone, "copy", "--transfers", "8", "-q", folder, "p:" + bucket + "/d"}
		}},
	} {
		bucket := tool.name + "-" + strings.ToLower(p.name)
		if err := client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}); err != nil {
			return err
		}
		r, err := over(ctx, p.shape, server, b.work, func(endpoint string) []string { return tool.command(bucket, endpoint) })
		if err != nil {
			return fmt.Errorf("%s: %w", tool.name, err)
		}
		needed, err := putsFor(ctx, client, bucket)
		if err != nil {
			return err
		}
		share, window, ratio := "-", "-", ""
		if p.shape.Rate > 0 {
			share = fmt.Sprintf("%.1f %%", 100*float64(source)/r.wall.Seconds()/float64(p.shape.Rate))
		}
		if tool.name == "lightfast" {
			ours, window = r.wall, windowAtEnd(logFile)
			complaints(logFile)
		} else {
			ratio = fmt.Sprintf("%.2f", ours.Seconds()/r.wall.Seconds())
		}
		fmt.Printf("  %-5s %-10s %8.1f %8.1f %8s %8.4f %8d %8d %8d %8d %8s  %s\n", p.name, tool.name, float64(source)/1e6, r.wall.Seconds(), share,
			float64(r.sent)/float64(source), r.count.Puts, r.count.Puts-needed, r.count.Cut, r.count.Refused, window, ratio)
		if err := client.RemoveBucketWithOptions(ctx, bucket, minio.RemoveBucketOptions{ForceDelete: true}); err != nil {
			return err
		}
	}
	return nil
}

// passed is what one command took, and what went over its line.
type passed struct {
	wall  time.Duration
	sent  int64
	count storetest.Count
}

// over runs a command on a line of its own to server.
func over(ctx context.Context, shape storetest.Shape, server storetest.Server, work string, command func(endpoint string) []string) (r passed, err error) {
	tally, err := storetest.NewTally(server.Endpoint)
	if err != nil {
		return r, err
	}
	defer tally.Close()
	line, err := storetest.NewLine(tally.Endpoint, shape)
	if err != nil {
		return r, err
	}
	defer line.Close()
	args := command(line.Endpoint)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+server.AccessKey, "AWS_SECRET_ACCESS_KEY="+server.SecretKey, "AWS_DEFAULT_REGION=us-east-1",
		"RCLONE_CONFIG="+filepath.Join(work, "rclone.conf"), "RCLONE_CONFIG_P_TYPE=s3", "RCLONE_CONFIG_P_PROVIDER=Minio", "RCLONE_CONFIG_P_ENV_AUTH=true",
		"RCLONE_CONFIG_P_ENDPOINT="+line.Endpoint)
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return r, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	r.wall, r.count = time.Since(start), tally.Count()
	r.sent, _ = line.Moved()
	return r, nil
}

// putsFor is how many requests the objects of a bucket need: one each, or one
// for each part, whose number the ETag ends in.
func putsFor(ctx context.Context, client *minio.Client, bucket string) (n int64, err error) {
	for o := range client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return 0, o.Err
		}
		parts := int64(1)
		if _, after, ok := strings.Cut(o.ETag, "-"); ok {
			if parts, err = strconv.ParseInt(after, 10, 64); err != nil {
				return 0, fmt.Errorf("ETag %s: %w", o.ETag, err)
			}
		}
		n += parts
	}
	return n, nil
}

var requestsAtOnce = regexp.MustCompile(`requests_at_once=(\d+)`)

func windowAtEnd(logFile string) string {
	b, _ := os.ReadFile(logFile) // none: "-"
	if m := requestsAtOnce.FindAllSubmatch(b, -1); m != nil {
		return string(m[len(m)-1][1])
	}
	return "-"
}

// complaints shows what the log warns of.
func complaints(logFile string) {
	b, _ := os.ReadFile(logFile)
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			fmt.Fprint(os.Stderr, "    ", line)
		}
	}
}
