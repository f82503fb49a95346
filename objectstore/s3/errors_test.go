package s3

import (
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/minio/minio-go/v7"

	"lightfast/objectstore"
)

func TestClassOf(t *testing.T) {
	said := func(status int, code string) error { return minio.ErrorResponse{StatusCode: status, Code: code} }
	for _, tt := range []struct {
		name string
		err  error
		want objectstore.Class
	}{
		{"missing key", said(404, "NoSuchKey"), objectstore.NotFound},
		{"missing upload", said(404, "NoSuchUpload"), objectstore.NotFound},
		{"missing bucket", said(404, "NoSuchBucket"), objectstore.Invalid},
		{"create-only", said(412, "PreconditionFailed"), objectstore.Precondition},
		{"race on AWS", said(409, "ConditionalRequestConflict"), objectstore.Unavailable},
		{"conflict that says no more", said(409, "Conflict"), objectstore.Unavailable},
		{"request spoilt on its way", said(400, "MalformedXML"), objectstore.Checksum},
		{"other parts", said(400, "InvalidPart"), objectstore.Precondition},
		{"key below a file", said(409, "ObjectParentIsFile"), objectstore.Invalid},
		{"no right", said(403, "AccessDenied"), objectstore.Denied},
		{"wrong key", said(403, "InvalidAccessKeyId"), objectstore.Denied},
		{"wrong secret", said(403, "SignatureDoesNotMatch"), objectstore.Denied},
		{"old token", said(400, "ExpiredToken"), objectstore.Denied},
		{"clock", said(403, "RequestTimeTooSkewed"), objectstore.Denied},
		{"checksum on MinIO", said(400, "XAmzContentChecksumMismatch"), objectstore.Checksum},
		{"checksum elsewhere", said(400, "BadDigest"), objectstore.Checksum},
		{"slow down", said(503, "SlowDown"), objectstore.Throttled},
		{"too many", said(429, "TooManyRequests"), objectstore.Throttled},
		{"server fault", said(500, "InternalError"), objectstore.Unavailable},
		{"gateway", said(502, "502 Bad Gateway"), objectstore.Unavailable},
		{"body came too slowly", said(400, "RequestTimeout"), objectstore.Unavailable},
		{"full MinIO", said(507, "XMinioStorageFull"), objectstore.Full},
		{"full versitygw", said(507, "InsufficientStorage"), objectstore.Full},
		{"quota", said(400, "XMinioAdminBucketQuotaExceeded"), objectstore.Full},
		{"small part", said(400, "EntityTooSmall"), objectstore.Invalid},
		{"unknown header", said(501, "NotImplemented"), objectstore.Invalid},
		{"proxy's limit", said(413, "413 Request Entity Too Large"), objectstore.Invalid},
		{"other region", said(400, "AuthorizationHeaderMalformed"), objectstore.Invalid},
		{"connection reset", &url.Error{Op: "Put", Err: io.ErrUnexpectedEOF}, objectstore.Unavailable},
		{"stalled", &url.Error{Op: "Put", Err: errStalled}, objectstore.Unavailable},
		{"http for https", &url.Error{Op: "Get", Err: http.ErrSchemeMismatch}, objectstore.Invalid},
		{"unknown authority", &url.Error{Op: "Get", Err: &tls.CertificateVerificationError{Err: errors.New("x509")}}, objectstore.Invalid},
		{"web page", &url.Error{Op: "Get", Err: &pageError{"404 Not Found", "nginx"}}, objectstore.Unavailable}, // in the middle of a run
		{"no XML", xml.UnmarshalError("expected element"), objectstore.Unavailable},
		{"no credentials", errNoCredentials, objectstore.Denied},
		{"own refusal", fmt.Errorf("%w: part 2", objectstore.Checksum), objectstore.Checksum},
		{"unknown", errors.New("?"), objectstore.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := fail(t.Context(), "put", "key", tt.err)
			if got := objectstore.ClassOf(err); got != tt.want {
				t.Errorf("class of %q = %q, want %q", err, got, tt.want)
			}
		})
	}
}
