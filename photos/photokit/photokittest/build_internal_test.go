package photokittest

import (
	"strings"
	"testing"
)

func TestMachineWithoutACompilerIsToldWhatToRun(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := compileMock(t.Context(), "..", t.TempDir()); err == nil || !strings.Contains(err.Error(), "run make packages") {
		t.Errorf("compile without a compiler: %v, want an error that names make packages", err)
	}
}
