package main

import (
	"strings"
	"testing"
)

const root = "../.."

func TestFaultsOfAMacOnlyFileAreFound(t *testing.T) {
	t.Parallel()
	faults, err := check(root, "arm64", []string{"./internal/cgocheck/testdata/planted"})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range faults {
		lines = append(lines, f.Error())
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{"planted.go:14:", `"reason"`, "planted.go:17:", "StayAwake"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in:\n%s", want, all)
		}
	}
	if strings.Contains(all, ":11:") {
		t.Errorf("C is not believed:\n%s", all)
	}
}

func TestSoundCodeHasNoFaults(t *testing.T) {
	t.Parallel()
	for _, arch := range []string{"arm64", "amd64"} {
		if faults, err := check(root, arch, []string{"./internal/manners", "./photos/photokit/photokit-helper"}); err != nil || len(faults) > 0 {
			t.Errorf("%s: %v, %v", arch, faults, err)
		}
	}
}

func TestWhatCannotBeCheckedIsNotSound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ arch, pattern string }{
		{"pdp11", "./internal/manners"}, {"arm64", "./internal/nowhere"}, {"arm64", "./internal/nowhere/..."}, {"arm64", "./internal/cgocheck/testdata/..."},
	} {
		if faults, err := check(root, tt.arch, []string{tt.pattern}); err == nil && len(faults) == 0 {
			t.Errorf("%s %s is sound", tt.arch, tt.pattern)
		}
	}
}
