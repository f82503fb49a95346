package s3_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"go.uber.org/goleak"

	"lightfast/objectstore"
	"lightfast/objectstore/s3"
	"lightfast/objectstore/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMinIO(t *testing.T)     { conform(t, storetest.MinIO(t)) }
func TestVersitygw(t *testing.T) { conform(t, storetest.Versitygw(t)) }

// conform runs the suite, each check under a prefix of its own; the bucket is
// made by the first.
func conform(t *testing.T, srv storetest.Server) {
	var n atomic.Int64
	t.Run("Store", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) func() objectstore.Store {
			o := options(srv)
			o.Prefix = fmt.Sprintf("backups/%d", n.Add(1))
			return func() objectstore.Store { return open(t, o) }
		})
	})
}

func options(srv storetest.Server) s3.Options {
	return s3.Options{
		Endpoint:    srv.Endpoint,
		Bucket:      "photos",
		Credentials: credentials.NewStaticV4(srv.AccessKey, srv.SecretKey, ""),
	}
}

func open(t *testing.T, o s3.Options) *s3.Store {
	t.Helper()
	s, err := s3.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
