package wire_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImports holds the lines of design: what a package must not know, each
// with the reason. Prefixes count; `go list` answers for this platform, and for
// a Mac where it is about what only a Mac has.
func TestImports(t *testing.T) {
	const (
		store   = "github.com/minio/minio-go"
		mac     = "github.com/progrium/darwinkit"
		cli     = "github.com/spf13/cobra"
		server  = "go.temporal.io/server"
		ui      = "github.com/temporalio/ui-server"
		sdk     = "go.temporal.io/sdk"
		drivers = "a driver is joined in by wire alone"
	)
	for _, rule := range []struct {
		pkg, forbidden, why string
	}{
		{"lightfast/workflows", store, "a workflow holds no bytes"},
		{"lightfast/workflows", mac, "a workflow holds no bytes"},
		{"lightfast/workflows", cli, "flags end in starter"},
		{"lightfast/workflows", server, "only starter embeds the server"},
		{"lightfast/activities", "lightfast/objectstore/", drivers},
		{"lightfast/activities", "lightfast/photos/", drivers},
		{"lightfast/activities", mac, "what the machine is belongs to wire"},
		{"lightfast/photos/photokit/photokit-helper", mac, "the helper is built without cgo"},
		{"lightfast/activities", cli, "flags end in starter"},
		{"lightfast/activities", server, "only starter embeds the server"},
		{"lightfast/internal/wire", "lightfast/engine", "a worker for a cluster carries no server"},
		{"lightfast/internal/wire", server, "a worker for a cluster carries no server"},
		{"lightfast/internal/wire", ui, "a worker for a cluster carries no web page"},
		{"lightfast/worker", server, "a worker for a cluster carries no server"},
		{"lightfast/worker", ui, "a worker for a cluster carries no web page"},
		{"lightfast/worker", cli, "a lean binary"},
		{"lightfast/photos", "lightfast/", "the contract knows nobody"},
		{"lightfast/objectstore", "lightfast/", "the contract knows nobody"},
		{"lightfast/photos/applelibrary", "lightfast/objectstore", "a source does not know where bytes go"},
		{"lightfast/photos/folder", "lightfast/objectstore", "a source does not know where bytes go"},
		{"lightfast/photos/bundle", "lightfast/objectstore", "a source does not know where bytes go"},
		{"lightfast/photos/bundle", "lightfast/photos/applelibrary", drivers},
		{"lightfast/photos/photokit", "lightfast/photos/photokit/objc", "Apple's framework runs in no process of ours but the helper"},
		{"lightfast/photos/photokit", "lightfast/photos/photokit/framework", "Apple's framework runs in no process of ours but the helper"},
		{"lightfast/photos/photokit", "lightfast/objectstore", "a source does not know where bytes go"},
		{"lightfast/photos/photokit/photokit-helper", "lightfast/internal", "a process that is thrown away carries nothing"},
		{"lightfast/objectstore/s3", "lightfast/photos", "a store does not know what bytes are"},
		{"lightfast/objectstore/dir", "lightfast/photos", "a store does not know what bytes are"},
		{"lightfast/manifest", "lightfast/photos", "the format outlives its writer"},
		{"lightfast/manifest", "lightfast/objectstore", "the format outlives its writer"},
		{"lightfast/manifest", sdk, "the format outlives its writer"},
		{"lightfast/catalog", sdk, "the catalog is the truth, not Temporal"},
		{"lightfast/catalog", "lightfast/photos", "documents are opaque to the catalog"},
		{"lightfast/catalog", "lightfast/manifest", "documents are opaque to the catalog"},
		{"lightfast/engine", "lightfast/activities", "the engine does not know what runs in it"},
		{"lightfast/engine", "lightfast/workflows", "the engine does not know what runs in it"},
	} {
		var env []string
		if rule.forbidden == mac {
			env = []string{"GOOS=darwin", "CGO_ENABLED=1"}
		}
		for _, dep := range deps(t, rule.pkg, env...) {
			if dep != rule.pkg && strings.HasPrefix(dep, rule.forbidden) {
				t.Errorf("%s depends on %s: %s", rule.pkg, dep, rule.why)
				break
			}
		}
	}
}

var depsOf = map[string][]string{}

func deps(t *testing.T, pkg string, env ...string) []string {
	t.Helper()
	key := strings.Join(append(env, pkg), " ")
	if d, ok := depsOf[key]; ok {
		return d
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg)
	cmd.Env = append(cmd.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	depsOf[key] = strings.Fields(string(out))
	return depsOf[key]
}

// The rules about a Mac are not about an empty list.
func TestWireKnowsTheMac(t *testing.T) {
	if !slices.Contains(deps(t, "lightfast/internal/wire", "GOOS=darwin", "CGO_ENABLED=1"), "github.com/progrium/darwinkit/macos/foundation") {
		t.Error("on a Mac wire does not depend on darwinkit")
	}
	if slices.ContainsFunc(deps(t, "lightfast/internal/wire", "GOOS=linux"), func(d string) bool { return strings.HasPrefix(d, "github.com/progrium") }) {
		t.Error("elsewhere wire depends on darwinkit")
	}
}
