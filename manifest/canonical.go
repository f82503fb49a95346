package manifest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// Canonical JSON has no space, the members of every object sorted by the
// bytes of their names (of equal names the last one stands), no escapes but
// those that encoding/json needs, and numbers with the digits that they were
// written with.

// marshal returns v as JSON that is valid, but not yet canonical.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// appendCanonical appends the value that src begins with and returns what
// follows it. src is valid JSON, which also bounds its depth to 10,000.
func appendCanonical(dst, src []byte) (out, rest []byte) {
	src = skipSpace(src)
	switch src[0] {
	case '{':
		return appendObject(dst, src)
	case '[':
		return appendArray(dst, src)
	case '"':
		return appendString(dst, src)
	}
	n := bytes.IndexAny(src, ",]} \t\r\n") // number, true, false, null
	if n < 0 {
		n = len(src)
	}
	return append(dst, src[:n]...), src[n:]
}

func appendArray(dst, src []byte) (out, rest []byte) {
	dst = append(dst, '[')
	for src = skipSpace(src[1:]); src[0] != ']'; src = skipSpace(src) {
		if src[0] == ',' {
			dst, src = append(dst, ','), src[1:]
		}
		dst, src = appendCanonical(dst, src)
	}
	return append(dst, ']'), src[1:]
}

// member is one "name":value, at dst[from:to].
type member struct {
	name     []byte
	from, to int
}

func appendObject(dst, src []byte) (out, rest []byte) {
	dst = append(dst, '{')
	start := len(dst)
	var few [16]member
	members, sorted := few[:0], true
	for src = skipSpace(src[1:]); src[0] != '}'; src = skipSpace(src) {
		if src[0] == ',' {
			dst, src = append(dst, ','), skipSpace(src[1:])
		}
		m := member{from: len(dst)}
		dst, src = appendString(dst, src)
		m.name = unquote(dst[m.from:])
		src = skipSpace(src)[1:] // the colon
		dst, src = appendCanonical(append(dst, ':'), src)
		m.to = len(dst)
		if n := len(members); n > 0 && bytes.Compare(members[n-1].name, m.name) >= 0 {
			sorted = false
		}
		members = append(members, m)
	}
	if !sorted {
		dst = sortMembers(dst, start, members)
	}
	return append(dst, '}'), src[1:]
}

func sortMembers(dst []byte, start int, members []member) []byte {
	slices.SortStableFunc(members, func(a, b member) int { return bytes.Compare(a.name, b.name) })
	sorted := make([]byte, 0, len(dst)-start) // not in place: the names lie in dst
	for i, m := range members {
		if i+1 < len(members) && bytes.Equal(m.name, members[i+1].name) {
			continue
		}
		if len(sorted) > 0 {
			sorted = append(sorted, ',')
		}
		sorted = append(sorted, dst[m.from:m.to]...)
	}
	return append(dst[:start], sorted...)
}

// appendString appends the string that src begins with, escaped in the one
// way that encoding/json does it.
func appendString(dst, src []byte) (out, rest []byte) {
	ascii, escaped, end := true, false, 1
	for ; src[end] != '"'; end++ {
		switch {
		case src[end] == '\\':
			escaped = true
			end++
		case src[end] >= 0x80:
			ascii = false
		}
	}
	end++
	if !escaped && (ascii || utf8.Valid(src[:end]) && !bytes.ContainsAny(src[:end], "\u2028\u2029")) {
		return append(dst, src[:end]...), src[end:]
	}
	quoted, _ := marshal(string(unquote(src[:end]))) // a string can always be marshalled
	return append(dst, quoted...), src[end:]
}

// unquote returns what a valid JSON string says.
func unquote(quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return inner
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // valid by contract
	return []byte(s)
}

func skipSpace(src []byte) []byte {
	for len(src) > 0 && strings.IndexByte(" \t\r\n", src[0]) >= 0 {
		src = src[1:]
	}
	return src
}
