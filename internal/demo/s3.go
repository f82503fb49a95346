package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"lightfast/objectstore/storetest"
)

// serve starts a MinIO server and makes a bucket of it the destination.
func (d *demo) serve(ctx context.Context) (stop func(), err error) {
	d.say("\nA real S3 server: MinIO, built from source into bin/tools the first time (5 to 10 minutes on two cores; its go.sum pins every byte)")
	d.store = filepath.Join(d.work, "minio")
	srv, stop, err := storetest.StartMinIO(ctx, d.store, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return nil, err
	}
	d.say("  it serves %s, with its data in %s", srv.Endpoint, d.store)
	d.dest = "s3://demo/photos?endpoint=" + srv.Endpoint
	d.env = []string{"AWS_ACCESS_KEY_ID=" + srv.AccessKey, "AWS_SECRET_ACCESS_KEY=" + srv.SecretKey}
	d.say("  $ export %s", strings.Join(d.env, " "))
	d.server = fmt.Sprintf("MINIO_ROOT_USER=%s MINIO_ROOT_PASSWORD=%s MINIO_CI_CD=1 bin/tools/minio server --quiet --address %s %s &",
		srv.AccessKey, srv.SecretKey, strings.TrimPrefix(srv.Endpoint, "http://"), quote(d.store))
	return stop, nil
}
