package wire

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"

	"lightfast/internal/exit"
)

// Dest is where a repository lies: an S3 bucket and prefix, or a folder.
type Dest struct {
	Folder string // "" for S3

	Bucket, Prefix   string
	Endpoint, Region string
}

// ParseDest reads `s3://bucket/prefix?endpoint=URL&region=NAME`, `dir:PATH`
// or a path. It refuses credentials: they would be printed and kept.
func ParseDest(s string) (Dest, error) {
	wrong := func(why string) (Dest, error) {
		return Dest{}, &exit.Error{Code: exit.Usage, What: "destination " + redact(s), Err: fmt.Errorf("%s", why),
			Do: "give s3://BUCKET/PREFIX?endpoint=URL, or a folder"}
	}
	scheme, rest, ok := strings.Cut(s, ":")
	switch {
	case s == "":
		return wrong("it is empty")
	case ok && scheme == "dir":
		return folderDest(rest)
	case !ok || !strings.HasPrefix(rest, "//"):
		return folderDest(s)
	case scheme != "s3":
		return wrong("no store is called " + scheme)
	}
	u, err := url.Parse(s)
	if err != nil {
		return wrong("it is no URL")
	}
	if u.User != nil {
		return wrong("credentials do not belong there; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	d := Dest{Bucket: u.Host, Prefix: strings.Trim(path.Clean("/"+u.Path), "/")}
	if d.Bucket == "" {
		return wrong("it names no bucket")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || u.Fragment != "" {
		return wrong("a ? or # in a prefix is written %3F or %23")
	}
	for key, values := range query {
		switch key {
		case "endpoint":
			d.Endpoint = values[0]
			e, err := url.Parse(d.Endpoint)
			if err != nil || e.Host == "" || e.Scheme != "http" && e.Scheme != "https" || e.User != nil || strings.Trim(e.Path, "/") != "" {
				return wrong("its endpoint is not http://HOST or https://HOST")
			}
			d.Endpoint = e.Scheme + "://" + e.Host
		case "region":
			d.Region = values[0]
		default:
			return wrong("it has no setting " + key)
		}
	}
	return d, nil
}

func folderDest(p string) (Dest, error) {
	abs, err := filepath.Abs(p)
	if err != nil || p == "" {
		return Dest{}, &exit.Error{Code: exit.Usage, What: "destination", Err: fmt.Errorf("it names no folder")}
	}
	return Dest{Folder: abs}, nil
}

// ParsePartSize reads the least size of the parts of large objects, within
// what S3 takes.
func ParsePartSize(s string) (int64, error) {
	n, err := humanize.ParseBytes(s)
	if err != nil || n < 5<<20 || n > 5<<30 {
		return 0, fmt.Errorf("--part-size %q is no size from 5 MiB to 5 GiB", s)
	}
	return int64(n), nil
}

// redact leaves out what may hold a secret: a user, settings, and all of what
// cannot be read.
func redact(s string) string {
	scheme, _, isURL := strings.Cut(s, "://")
	u, err := url.Parse(s)
	switch {
	case !isURL:
		return s
	case err != nil:
		return scheme + "://…"
	}
	return scheme + "://" + u.Host + u.EscapedPath()
}

// String is the canonical form: the same place reads the same.
func (d Dest) String() string {
	if d.Folder != "" {
		return d.Folder
	}
	u := url.URL{Scheme: "s3", Host: d.Bucket, Path: "/" + d.Prefix}
	q := url.Values{}
	if d.Endpoint != "" {
		q.Set("endpoint", d.Endpoint)
	}
	if d.Region != "" {
		q.Set("region", d.Region)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
