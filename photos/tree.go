package photos

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"
)

// What sources have in common whose assets are the files of a folder.

// rawPrefix begins the ids that are not paths. A path that begins with it is
// itself encoded, so that ids stay unique.
const rawPrefix = "raw:"

// PathID makes an asset's id of a slash-separated path: the path itself, if it
// is text.
func PathID(path string) AssetID {
	if utf8.ValidString(path) && !strings.HasPrefix(path, rawPrefix) {
		return AssetID(path)
	}
	return AssetID(rawPrefix + base64.RawURLEncoding.EncodeToString([]byte(path)))
}

// Text returns s for people, and its bytes where that is not the same.
func Text(s string) (string, []byte) {
	if utf8.ValidString(s) {
		return s, nil
	}
	return strings.ToValidUTF8(s, "\ufffd"), []byte(s)
}

// InPlace fails with *SourceError when the folder that was opened as root has
// gone from its path: a volume that was ejected must not look like a folder
// whose files were all deleted.
func InPlace(root *os.Root, path string) error {
	opened, err := root.Stat(".")
	if err != nil {
		return FolderError(path, err)
	}
	named, err := os.Stat(path)
	if err != nil {
		return FolderError(path, err)
	}
	if !os.SameFile(opened, named) {
		return &SourceError{Path: path, Why: "another folder has taken its place", Do: "run this again"}
	}
	return nil
}

// FolderError says why a folder cannot be read.
func FolderError(path string, err error) *SourceError {
	e := &SourceError{Path: path, Why: "cannot be read", Err: err}
	info, statErr := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Why, e.Do = "no such folder", "check the path, and that its volume is connected"
	case statErr == nil && !info.IsDir():
		e.Why, e.Do = "not a folder", "name the folder that holds the files"
	case errors.Is(err, fs.ErrPermission):
		e.Why, e.Do = "not permitted", "give the user of lightfast the right to read it; on a Mac, Full Disk Access"
	}
	return e
}
