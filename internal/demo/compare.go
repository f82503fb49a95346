package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// files are SHA-256 sums by slash-separated path.
type files map[string]string

// listed is what `ls` says that the newest snapshot has.
func (d *demo) listed(ctx context.Context) (files, error) {
	all := files{}
	type stored struct{ Path, SHA256, Reason string }
	err := d.lightfast(ctx, func(e event) error {
		var one struct {
			stored
			Resources []stored
		}
		if err := e.as("asset", &one); err != nil {
			return err
		}
		if err := e.as("orphan", &one); err != nil {
			return err
		}
		for _, r := range append(one.Resources, one.stored) {
			if r.Path != "" && r.SHA256 != "" {
				all[r.Path] = r.SHA256
			}
		}
		return nil
	}, "ls", "--from", d.dest, "--state", d.state)
	return all, err
}

// hashTree reads every file below dir but for the folders that are left out.
func hashTree(dir string, leaveOut ...string) (files, error) {
	all := files{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() && slices.Contains(leaveOut, rel) {
			return filepath.SkipDir
		}
		if e.IsDir() {
			return nil
		}
		all[rel], err = hashFile(path)
		return err
	})
	return all, err
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// differ fails with the first difference between two sets of files.
func differ(nameA string, a files, nameB string, b files) error {
	for _, path := range slices.Sorted(maps.Keys(a)) {
		sum, ok := b[path]
		switch {
		case !ok:
			return fmt.Errorf("%s is in %s and not in %s", path, nameA, nameB)
		case sum != a[path]:
			return fmt.Errorf("%s is not the same in %s and in %s", path, nameA, nameB)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[path]; !ok {
			return fmt.Errorf("%s is in %s and not in %s", path, nameB, nameA)
		}
	}
	return nil
}
