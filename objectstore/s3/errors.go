package s3

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"

	"lightfast/objectstore"
)

var errNoCredentials = errors.New("no credentials in AWS_*, MINIO_*, the shared credentials file or the role of this machine")

// fail turns what minio-go returned into an *objectstore.Error. The end of
// ctx and what has a class already pass as they are.
func fail(ctx context.Context, op, key string, err error) error {
	if err == nil {
		return nil
	}
	if objectstore.ClassOf(err) != "" {
		return err
	}
	if s, ok := errors.AsType[*sourceError](err); ok {
		return fmt.Errorf("%s %s: %w", op, key, s)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	class, why := classOf(err)
	if class == objectstore.Precondition && op != "put" && op != "complete" {
		class = objectstore.Unavailable // it asked for no condition: somebody else's answer
	}
	if err == error(class) {
		err = nil // a bare class says all
	} else if why != "" {
		err = fmt.Errorf("%s: %w", why, err)
	}
	return &objectstore.Error{Class: class, Op: op, Key: key, Err: err}
}

// classOf is the one place that knows what an error means, and what to tell a
// person besides.
func classOf(err error) (class objectstore.Class, why string) {
	if c, ok := errors.AsType[objectstore.Class](err); ok {
		return c, ""
	}
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return classOfResponse(r)
	}
	if errors.Is(err, errNoCredentials) {
		return objectstore.Denied, ""
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return objectstore.Invalid, "the endpoint speaks http, not https"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return objectstore.Invalid, "the certificate is not trusted"
	}
	if isNoS3(err) {
		// Of a store that has answered before: a line that spoils answers, or
		// the login page of a hotel. Only New takes it for another address.
		return objectstore.Unavailable, "the answer is not that of an S3 store"
	}
	return objectstore.Unavailable, ""
}

// isNoS3 reports whether err says that the answer is no S3 answer at all.
func isNoS3(err error) bool {
	_, page := errors.AsType[*pageError](err)
	_, shape := errors.AsType[xml.UnmarshalError](err)
	_, syntax := errors.AsType[*xml.SyntaxError](err)
	return page || shape || syntax
}

// codes that mean more than their status. Those of MinIO start with X.
var codes = map[string]objectstore.Class{
	"NoSuchBucket": objectstore.Invalid,

	"BadDigest":                   objectstore.Checksum,
	"XAmzContentChecksumMismatch": objectstore.Checksum,
	"XAmzContentSHA256Mismatch":   objectstore.Checksum,
	"MalformedXML":                objectstore.Checksum, // ours is well-formed when it leaves

	"InvalidPart": objectstore.Precondition, // the parts are others than we heard

	"ConditionalRequestConflict": objectstore.Unavailable,
	"OperationAborted":           objectstore.Unavailable,
	minio.Conflict:               objectstore.Unavailable, // a 409 that says no more
	"IncompleteBody":             objectstore.Unavailable,
	"RequestTimeout":             objectstore.Unavailable,

	"SlowDown":               objectstore.Throttled,
	"SlowDownRead":           objectstore.Throttled,
	"SlowDownWrite":          objectstore.Throttled,
	"Throttling":             objectstore.Throttled,
	"ThrottlingException":    objectstore.Throttled,
	"RequestLimitExceeded":   objectstore.Throttled,
	"BandwidthLimitExceeded": objectstore.Throttled,

	"XMinioStorageFull":              objectstore.Full,
	"XMinioAdminBucketQuotaExceeded": objectstore.Full,
	"QuotaExceeded":                  objectstore.Full,

	"InvalidAccessKeyId":    objectstore.Denied,
	"SignatureDoesNotMatch": objectstore.Denied,
	"ExpiredToken":          objectstore.Denied,
	"InvalidToken":          objectstore.Denied,
}

// reasons for a person, where the store's own words are poor.
var reasons = map[string]string{
	"NoSuchBucket":                 "the bucket does not exist",
	"RequestTimeTooSkewed":         "the clocks of this machine and of the store differ too much",
	"AuthorizationHeaderMalformed": "the bucket lies in another region",
	"InvalidRegion":                "the bucket lies in another region",
	"PermanentRedirect":            "the bucket lies in another region",
}

func classOfResponse(r minio.ErrorResponse) (class objectstore.Class, why string) {
	why = reasons[r.Code]
	if c, ok := codes[r.Code]; ok {
		return c, why
	}
	switch r.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return objectstore.Denied, why
	case http.StatusNotFound:
		return objectstore.NotFound, why
	case http.StatusPreconditionFailed:
		return objectstore.Precondition, why
	case http.StatusRequestEntityTooLarge:
		return objectstore.Invalid, "something between here and the store limits the size of requests"
	case http.StatusTooManyRequests:
		return objectstore.Throttled, why
	case http.StatusInsufficientStorage:
		return objectstore.Full, why
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return objectstore.Unavailable, why
	case http.StatusNotImplemented:
		return objectstore.Invalid, why
	}
	if r.StatusCode >= 500 {
		return objectstore.Unavailable, why
	}
	return objectstore.Invalid, why
}

func isClass(err error, class objectstore.Class) bool {
	if err == nil {
		return false
	}
	c, _ := classOf(err)
	return c == class
}

// isCut reports whether err leaves open what the store has done.
func isCut(err error) bool { return isClass(err, objectstore.Unavailable) }

func isCode(err error, code string) bool {
	r, ok := errors.AsType[minio.ErrorResponse](err)
	return ok && r.Code == code
}
