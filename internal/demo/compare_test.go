package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryDifferenceIsFound(t *testing.T) {
	whole := files{"a": "1", "b": "2"}
	for _, c := range []struct {
		name string
		b    files
		want string
	}{
		{"equal", files{"a": "1", "b": "2"}, ""},
		{"missing", files{"a": "1"}, "b is in A and not in B"},
		{"changed", files{"a": "1", "b": "3"}, "b is not the same in A and in B"},
		{"added", files{"a": "1", "b": "2", "c": "3"}, "c is in B and not in A"},
	} {
		got := ""
		if err := differ("A", whole, "B", c.b); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: differ = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestHashTreeLeavesFoldersOut(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"originals/A/a.jpeg", "database/Photos.sqlite", "resources/derivatives/a.jpeg", "resources/renders/.hidden"} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("abc"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := hashTree(dir, "database", "resources/derivatives")
	if err != nil {
		t.Fatal(err)
	}
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if diff := cmp.Diff(files{"originals/A/a.jpeg": abc, "resources/renders/.hidden": abc}, got); diff != "" {
		t.Errorf("hashTree (-want +got):\n%s", diff)
	}
}
