package s3

import (
	"mime"
	"strings"
	"unicode/utf8"
)

// contentType is t if it can be a header, else the type of anything.
func contentType(t string) string {
	if _, _, err := mime.ParseMediaType(t); err != nil || strings.ContainsFunc(t, notASCII) {
		return "application/octet-stream"
	}
	return t
}

// maxName keeps the header far below the 8 kB that servers take for all. A
// file name of the usual systems fits.
const maxName = 255

// disposition is a Content-Disposition (RFC 6266) that shows the object in a
// browser and saves it as name, whatever name holds; "" for an empty name.
func disposition(name string) string {
	if name == "" {
		return ""
	}
	name = strings.ToValidUTF8(name, "\uFFFD")
	for len(name) > maxName { // the end has the extension
		_, n := utf8.DecodeRuneInString(name)
		name = name[n:]
	}
	// RFC 5987 for those who read it, plain letters for the others. Blanks are
	// percent-encoded in the one and single in the other: a signature covers
	// the header with runs of blanks made one.
	plain := strings.Map(func(r rune) rune {
		if notASCII(r) || strings.ContainsRune(`"\%/`, r) {
			return '_'
		}
		return r
	}, name)
	var b strings.Builder
	b.WriteString(`inline; filename="` + strings.Join(strings.Fields(plain), " ") + `"; filename*=UTF-8''`)
	for i := range len(name) {
		const hex = "0123456789ABCDEF"
		if c := name[i]; 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

func notASCII(r rune) bool { return r < ' ' || r > '~' }
