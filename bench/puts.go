package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"
)

const putsAtOnce = 8

// puts is the least that storing can cost: each file is read and sent in one
// request, nothing is asked, hashed, compared or remembered.
func puts(ctx context.Context, bucket, folder string) error {
	host := strings.TrimPrefix(os.Getenv("RCLONE_CONFIG_P_ENDPOINT"), "http://")
	c, err := minio.NewCore(host, &minio.Options{Creds: credentials.NewEnvAWS(), Region: "us-east-1"})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(putsAtOnce)
	err = filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		g.Go(func() error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			_, err = c.PutObject(ctx, bucket, filepath.Base(path), bytes.NewReader(b), int64(len(b)), "", "", minio.PutObjectOptions{DisableContentSha256: true})
			return err
		})
		return ctx.Err()
	})
	if e := g.Wait(); e != nil {
		return e
	}
	return err
}
