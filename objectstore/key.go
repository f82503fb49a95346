package objectstore

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of keys. S3 has the first, file systems (and MinIO) the second.
const (
	maxKey     = 1024
	maxSegment = 255
)

// CheckKey says why key cannot name an object, or nil.
func CheckKey(key string) error {
	switch {
	case key == "":
		return errors.New("empty key")
	case len(key) > maxKey:
		return fmt.Errorf("key of %d bytes; the limit is %d", len(key), maxKey)
	case !utf8.ValidString(key):
		return errors.New("key is not UTF-8")
	case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("control character in key")
	}
	for s := range strings.SplitSeq(key, "/") {
		switch {
		case s == "" || s == "." || s == "..":
			return fmt.Errorf("key segment %q", s)
		case len(s) > maxSegment:
			return fmt.Errorf("key segment of %d bytes; the limit is %d", len(s), maxSegment)
		}
	}
	return nil
}

// CheckPrefix says why prefix cannot be listed, or nil.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	folder, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return errors.New(`prefix does not end in "/"`)
	}
	return CheckKey(folder)
}
