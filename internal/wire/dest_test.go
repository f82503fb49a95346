package wire_test

import (
	"path/filepath"
	"strings"
	"testing"

	"lightfast/internal/exit"
	"lightfast/internal/wire"
)

func TestParseDest(t *testing.T) {
	here, err := filepath.Abs("x")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		in   string
		want wire.Dest
	}{
		{"/backup/photos/", wire.Dest{Folder: "/backup/photos"}},
		{"/backup//a:b?c=d#e", wire.Dest{Folder: "/backup/a:b?c=d#e"}},
		{"dir:/backup", wire.Dest{Folder: "/backup"}},
		{"x", wire.Dest{Folder: here}},
		{"dir:x", wire.Dest{Folder: here}},
		{"s3://bucket", wire.Dest{Bucket: "bucket"}},
		{"s3://bucket/", wire.Dest{Bucket: "bucket"}},
		{"s3://bucket/a//b/../c/", wire.Dest{Bucket: "bucket", Prefix: "a/c"}},
		{"s3://bucket/%3F%23%20", wire.Dest{Bucket: "bucket", Prefix: "?# "}},
		{"s3://b/p?endpoint=http://127.0.0.1:9000/&region=us-east-1", wire.Dest{Bucket: "b", Prefix: "p", Endpoint: "http://127.0.0.1:9000", Region: "us-east-1"}},
	} {
		if got, err := wire.ParseDest(tt.in); err != nil || got != tt.want {
			t.Errorf("ParseDest(%q) = %+v, %v, want %+v", tt.in, got, err, tt.want)
		}
	}
}

func TestADestinationThatIsNoneIsWrongUsage(t *testing.T) {
	for _, in := range []string{
		"", "dir:", "s3://", "s3:///prefix", "gs://bucket/x", "https://host/bucket", "s3://bucket/a%zz",
		"s3://bucket/?endpoint=127.0.0.1:9000", "s3://bucket/?endpoint=ftp://h", "s3://bucket/?endpoint=http://h/path", "s3://bucket/?endpoint=",
		"s3://bucket/?colour=red", "s3://bucket/a#b", "s3://bucket/?region=a;b",
	} {
		if d, err := wire.ParseDest(in); exit.CodeOf(err) != exit.Usage {
			t.Errorf("ParseDest(%q) = %+v, %v, want wrong usage", in, d, err)
		}
	}
}

func TestPartSizesAreThoseThatS3Takes(t *testing.T) {
	for in, want := range map[string]int64{"16MiB": 16 << 20, "5MiB": 5 << 20, "5GiB": 5 << 30, "4MiB": 0, "5000000": 0, "6GiB": 0, "": 0, "much": 0} {
		if got, err := wire.ParsePartSize(in); got != want || (err == nil) != (want != 0) {
			t.Errorf("ParsePartSize(%q) = %d, %v, want %d", in, got, err, want)
		}
	}
}

func TestCredentialsInADestinationAreRefusedAndNotPrinted(t *testing.T) {
	const secret = "hunter2"
	for _, in := range []string{
		"s3://user:hunter2@bucket/prefix", "s3://user:hunter2@bucket/%zz", "s3://user:hunter2%@bucket", "https://user:hunter2@host/bucket",
		"s3://bucket/?endpoint=http://user:hunter2@host", "s3://bucket/?secret_key=hunter2", "s3://bucket/#hunter2", "s3://bucket/?region=a;hunter2",
	} {
		d, err := wire.ParseDest(in)
		if exit.CodeOf(err) != exit.Usage {
			t.Errorf("ParseDest(%q) = %+v, %v, want wrong usage", in, d, err)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("ParseDest(%q) prints the secret: %v", in, err)
		}
	}
}

func FuzzDestRoundTrip(f *testing.F) {
	for _, s := range []string{"/a", "dir:b", "s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=r", "s3://b/%3F", "s3://b:1/ä", "s3://[::1]/x", "s3://%41/y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := wire.ParseDest(s)
		if err != nil {
			return
		}
		if again, err := wire.ParseDest(d.String()); err != nil || again != d {
			t.Errorf("ParseDest(%q) = %+v; of its %q: %+v, %v", s, d, d.String(), again, err)
		}
	})
}
