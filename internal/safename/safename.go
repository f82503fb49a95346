// Package safename makes file names that any common file system holds, and
// tells which of them one that is blind to case or Unicode form takes as one.
// It is made of pure functions on names; nothing in it touches a disk.
package safename

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// longest is what a file name may have in bytes (ext4, XFS, btrfs). APFS,
// NTFS and exFAT count 255 UTF-16 units, which are never more than the bytes.
const longest = 255

// isDevice reports whether Windows keeps a name for itself, whatever the
// extension (Microsoft, "Naming Files, Paths, and Namespaces").
func isDevice(name string) bool {
	stem, _, _ := strings.Cut(name, ".")
	stem = strings.ToLower(strings.TrimRight(stem, " "))
	switch stem {
	case "con", "prn", "aux", "nul":
		return true
	}
	number, com := strings.CutPrefix(stem, "com")
	if !com {
		if number, com = strings.CutPrefix(stem, "lpt"); !com {
			return false
		}
	}
	return utf8.RuneCountInString(number) == 1 && strings.Contains("0123456789¹²³", number)
}

// Name returns the name that s gets as one component of a path: s itself
// where every common file system takes it. It is never empty, "." or "..",
// has no separator, no control character and nothing that is no UTF-8, is no
// device of Windows and does not end in a dot or a space. Name of a Name is
// the same.
func Name(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, s)
	s = cut(s, "", longest)
	if end := strings.TrimRight(s, ". "); end != s {
		s = end + "_"
	}
	if s == "" || isDevice(s) {
		s = cut("_"+s, "", longest)
	}
	return s
}

// Fit returns s, shortened if it has more bytes than a name may have.
func Fit(s string) string { return cut(s, "", longest) }

// Number returns name with " (n)" before its extension.
func Number(name string, n int) string { return cut(name, fmt.Sprintf(" (%d)", n), longest) }

// Fold returns what two paths have in common if a file system that tells
// neither cases nor Unicode forms apart takes them for one (APFS and HFS+ on
// a Mac, NTFS and exFAT for case).
func Fold(p string) string { return norm.NFC.String(cases.Fold().String(norm.NFD.String(p))) }

// cut puts suffix before the extension of name, and shortens the stem, at a
// rune, so that the whole has at most so many bytes. An extension of more
// than longestExt bytes is none that anybody needs.
func cut(name, suffix string, most int) string {
	const longestExt = 32
	ext := path.Ext(name)
	if len(ext) > longestExt || ext == name {
		ext = ""
	}
	stem := name[:len(name)-len(ext)]
	if over := len(stem) + len(suffix) + len(ext) - most; over > 0 {
		end := len(stem) - over
		for end > 0 && !utf8.RuneStart(stem[end]) {
			end--
		}
		stem = stem[:end]
	}
	return stem + suffix + ext
}
