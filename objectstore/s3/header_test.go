package s3

import (
	"mime"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDisposition(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"", ""},
		{"IMG_0001.HEIC", `inline; filename="IMG_0001.HEIC"; filename*=UTF-8''IMG_0001.HEIC`},
		{`a "b"  c.jpg`, `inline; filename="a _b_ c.jpg"; filename*=UTF-8''a%20%22b%22%20%20c.jpg`},
		{"ü\r\nX: y", `inline; filename="___X: y"; filename*=UTF-8''%C3%BC%0D%0AX%3A%20y`},
	} {
		if got := disposition(tt.name); got != tt.want {
			t.Errorf("disposition(%q) = %s, want %s", tt.name, got, tt.want)
		}
	}
}

func FuzzDispositionCarriesTheName(f *testing.F) {
	for _, s := range []string{"a.jpg", `"\%/;`, "漢字 🏔", "\xff\x00\r\n", strings.Repeat("漢", 100), "a  b "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := disposition(name)
		if name == "" {
			return
		}
		if strings.ContainsFunc(got, notASCII) || len(got) > 1200 {
			t.Fatalf("disposition(%q) = %q is no header", name, got)
		}
		_, params, err := mime.ParseMediaType(got)
		if err != nil {
			t.Fatalf("disposition(%q) = %s: %v", name, got, err)
		}
		want := strings.ToValidUTF8(name, "\uFFFD")
		if len(want) <= maxName && params["filename"] != want {
			t.Errorf("disposition(%q) says %q", name, params["filename"])
		}
		if !strings.HasSuffix(want, params["filename"]) || !utf8.ValidString(params["filename"]) {
			t.Errorf("disposition(%q) says %q, which is not its end", name, params["filename"])
		}
	})
}

func TestContentType(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"image/heic", "image/heic"},
		{"text/plain; charset=utf-8", "text/plain; charset=utf-8"},
		{"", "application/octet-stream"},
		{"image/heic\r\nX: y", "application/octet-stream"},
		{"no type", "application/octet-stream"},
		{"text/plain; a=ü", "application/octet-stream"},
	} {
		if got := contentType(tt.in); got != tt.want {
			t.Errorf("contentType(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
