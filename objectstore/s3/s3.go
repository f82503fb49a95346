// Package s3 keeps objects in a bucket of any S3 store.
//
// Every object is created with If-None-Match: * and a checksum of ours in a
// header, so that the store itself refuses what was changed on the way and
// what exists. It counts as verified only if the answer carries that checksum
// again. A store that keeps silent gets Content-MD5 besides, and each object
// is read back; the log says so once.
//
// Checksums never travel as trailers and sizes are always known: minio-go
// sends wrong trailers after a retry, and takes half a gigabyte for a body of
// unknown size.
package s3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"lightfast/internal/ratelimit"
	"lightfast/objectstore"
)

// Options of a Store. Bucket is required.
type Options struct {
	Endpoint string // http or https URL; "" for AWS
	Region   string // "" for us-east-1
	Bucket   string
	Prefix   string // of all keys, without the "/" that follows; may be empty
	CAFile   string // PEM, trusted besides the system's; may be empty

	// Credentials are asked for anew when they expire. Nil for the usual
	// chain: AWS_* and MINIO_* variables, the shared file of the AWS tools,
	// the role of the machine or container.
	Credentials *credentials.Credentials

	// Stall is how long a request may go without moving a byte before it is
	// cut and sent again. 0 for a minute.
	Stall time.Duration

	// Line holds bodies back; what waits there for its turn does not stall.
	Line ratelimit.Line

	Log *slog.Logger // nil for none
}

// Store is a bucket, or what lies under a prefix of it, as a destination.
type Store struct {
	core   *minio.Core
	bucket string
	prefix string // "" or ending in "/"
	log    *slog.Logger

	// silent is set when an answer came without our checksum.
	silent atomic.Bool
}

var _ objectstore.Store = (*Store)(nil)

// contactTimeout bounds New. Later calls are bounded by progress only.
const contactTimeout = 10 * time.Second

// New opens the bucket, and creates it if it is missing and the key may.
// It fails within ten seconds where nobody answers.
func New(ctx context.Context, o Options) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, &objectstore.Error{Class: objectstore.Invalid, Op: "open", Key: o.Bucket, Err: err}
	}
	if err := s.contact(ctx, o); err != nil {
		return nil, err
	}
	return s, nil
}

func newStore(o Options) (*Store, error) {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Endpoint == "" {
		o.Endpoint = "https://s3.amazonaws.com"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	prefix := strings.Trim(o.Prefix, "/")
	if prefix != "" {
		prefix += "/"
	}
	if err := objectstore.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	if err := s3utils.CheckValidBucketName(o.Bucket); err != nil {
		return nil, err
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.User != nil {
		// Not %q of it: a URL may hold a password.
		return nil, errors.New("endpoint is no URL of the form https://host:port")
	}
	tr, err := newTransport(o.CAFile, o.Stall, o.Line)
	if err != nil {
		return nil, err
	}
	if o.Credentials == nil {
		o.Credentials = usualCredentials()
	}
	lookup := minio.BucketLookupPath
	if s3utils.IsAmazonEndpoint(*u) {
		lookup = minio.BucketLookupAuto
	}
	core, err := minio.NewCore(u.Host, &minio.Options{
		Creds:        o.Credentials,
		Secure:       u.Scheme == "https",
		Transport:    tr,
		Region:       o.Region, // else minio-go asks the store, which takes a right of its own
		BucketLookup: lookup,
		MaxRetries:   3, // the caller has the long breath
	})
	if err != nil {
		return nil, err
	}
	return &Store{core: core, bucket: o.Bucket, prefix: prefix, log: o.Log}, nil
}

func usualCredentials() *credentials.Credentials {
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.EnvMinio{},
		&credentials.FileAWSCredentials{},
		// Elsewhere than in a cloud nobody answers at that address.
		&credentials.IAM{Client: &http.Client{Timeout: 3 * time.Second}},
	})
}

// contact makes sure that there is a store, that it knows us, and that it has
// the bucket. It lists, because any web server has an answer to a HEAD.
func (s *Store) contact(ctx context.Context, o Options) error {
	soon, cancel := context.WithTimeout(ctx, contactTimeout)
	defer cancel()
	err := s.look(soon)
	if isNoS3(err) {
		err = s.look(soon) // one spoilt answer is no other address
	}
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok && r.Code == minio.NoSuchBucket {
		err = s.core.MakeBucket(soon, s.bucket, minio.MakeBucketOptions{})
		if r, ok := errors.AsType[minio.ErrorResponse](err); ok && r.Code == minio.BucketAlreadyOwnedByYou {
			err = nil // another process was quicker
		}
		if err != nil {
			err = fmt.Errorf("create bucket: %w", err)
		}
	}
	if err != nil && soon.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("no answer within %v", contactTimeout)
	}
	if isNoS3(err) {
		err = &objectstore.Error{Class: objectstore.Invalid, Op: "open", Key: s.bucket, Err: fmt.Errorf("the endpoint is no S3 store: %w", err)}
	}
	return fail(ctx, "open", s.core.EndpointURL().Redacted()+"/"+s.bucket, err)
}

func (s *Store) look(ctx context.Context) error {
	creds, err := s.core.GetCreds()
	if err == nil && creds.AccessKeyID == "" {
		err = errNoCredentials
	}
	if err != nil {
		return err
	}
	for info := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true, MaxKeys: 1}) {
		return info.Err
	}
	return ctx.Err()
}

// check refuses keys that no store could hold.
func check(op, key string) error {
	if err := objectstore.CheckKey(key); err != nil {
		return &objectstore.Error{Class: objectstore.Invalid, Op: op, Key: key, Err: err}
	}
	return nil
}
