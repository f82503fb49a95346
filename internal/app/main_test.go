package main

import (
	"bytes"
	"debug/macho"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"howett.net/plist"
)

// dict reads a plist that must be XML of Apple's kind with one dict.
func dict(t *testing.T, name string, b []byte) map[string]any {
	t.Helper()
	var d map[string]any
	format, err := plist.Unmarshal(b, &d)
	if err != nil || format != plist.XMLFormat {
		t.Fatalf("%s: format %d, %v", name, format, err)
	}
	if !bytes.Contains(b, []byte(`<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN"`)) {
		t.Errorf("%s does not say what it is", name)
	}
	return d
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestInfoPlistIsWhatMacOSAsksFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ version, number string }{{"v1.2.3", "1.2.3"}, {"1.2.3-4-gabc<&>", "1.2.3"}, {"abc1234-dirty", "0.0.0"}, {"development", "0.0.0"}} {
		b, err := infoPlist(tt.version)
		if err != nil {
			t.Fatal(err)
		}
		d := dict(t, "Info.plist", b)
		want := map[string]any{
			"CFBundleIdentifier": "dev.lightfast.Lightfast", "CFBundleExecutable": programs[0], "CFBundlePackageType": "APPL",
			"CFBundleShortVersionString": tt.number, "CFBundleVersion": tt.number, "LightfastVersion": tt.version,
			"LSMinimumSystemVersion": "12.0", // Go 1.26 asks for it
			"LSUIElement":            true, "PHPhotoLibraryPreventAutomaticLimitedAccessAlert": true,
		}
		for k, v := range want {
			if d[k] != v {
				t.Errorf("version %s: %s = %v, want %v", tt.version, k, d[k], v)
			}
		}
		if why, _ := d["NSPhotoLibraryUsageDescription"].(string); len(why) < 20 {
			t.Errorf("without a reason macOS denies without a question: %q", why)
		}
	}
}

func TestEntitlementsAreOne(t *testing.T) {
	t.Parallel()
	want := map[string]any{"com.apple.security.personal-information.photos-library": true}
	if diff := cmp.Diff(want, dict(t, "entitlements.plist", read(t, "entitlements.plist"))); diff != "" {
		t.Error(diff)
	}
}

func TestLaunchAgentStartsTheMainExecutableOfTheApp(t *testing.T) {
	t.Parallel()
	d := dict(t, "agent.plist", agent)
	info, err := infoPlist("")
	if err != nil {
		t.Fatal(err)
	}
	id := dict(t, "Info.plist", info)["CFBundleIdentifier"]
	want := map[string]any{
		"Label": "dev.lightfast.agent", "AssociatedBundleIdentifiers": id, "RunAtLoad": true, "KeepAlive": true,
		"LimitLoadToSessionType": "Aqua", // only there can macOS ask
		"ExitTimeOut":            uint64(30),
		"ProgramArguments":       []any{"/Applications/Lightfast.app/Contents/MacOS/" + programs[0], "up", "--supervise"},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
}

func TestDocumentsSayHowItIsSigned(t *testing.T) {
	t.Parallel()
	doc := string(read(t, "../../docs/macos.md"))
	for _, name := range programs {
		if !strings.Contains(doc, "Contents/MacOS/"+name) {
			t.Errorf("docs/macos.md does not name %s", name)
		}
	}
	for _, want := range []string{"internal/app/entitlements.plist", "--options runtime", "dev.lightfast.agent.plist", "dev.lightfast.Lightfast"} {
		if !strings.Contains(doc, want) {
			t.Errorf("docs/macos.md does not name %s", want)
		}
	}
}

// build makes a program for both kinds of Mac.
func build(t *testing.T, bin, name string) {
	t.Helper()
	src := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(src, []byte("package main\n\nfunc main() { println(\""+name+"\") }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, arch := range archs {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "darwin-"+arch, name), src)
		cmd.Env = append(cmd.Environ(), "GOOS=darwin", "GOARCH="+arch, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

func TestAppIsAssembledForBothKindsOfMac(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	for _, name := range programs {
		build(t, bin, name)
	}
	app := filepath.Join(t.TempDir(), "Lightfast.app")
	var said bytes.Buffer
	for range 2 { // also over an older one
		if err := assemble(bin, app, "v1.2.3", &said); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(said.String(), "complete and not signed") || strings.Contains(said.String(), "incomplete") {
		t.Errorf("it said: %s", &said)
	}
	for _, name := range programs {
		file := filepath.Join(app, "Contents", "MacOS", name)
		fat, err := macho.OpenFat(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var kinds []macho.Cpu
		for i, a := range fat.Arches {
			kinds = append(kinds, a.Cpu)
			one := read(t, filepath.Join(bin, "darwin-"+archs[i], name))
			if whole := read(t, file); !bytes.Equal(whole[a.Offset:a.Offset+a.Size], one) || a.Offset%page != 0 {
				t.Errorf("%s for %s is not what was built", name, archs[i])
			}
		}
		fat.Close()
		if diff := cmp.Diff([]macho.Cpu{macho.CpuAmd64, macho.CpuArm64}, kinds); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v, want a program", name, info, err)
		}
	}
	dict(t, "Info.plist", read(t, filepath.Join(app, "Contents", "Info.plist")))
	if !bytes.Equal(read(t, filepath.Join(app, "Contents", "Resources", "dev.lightfast.agent.plist")), agent) {
		t.Error("the LaunchAgent is another")
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	build(t, bin, "photokit-helper")
	if err := os.Remove(filepath.Join(bin, "darwin-amd64", "photokit-helper")); err != nil {
		t.Fatal(err)
	}
	app := filepath.Join(t.TempDir(), "Lightfast.app")
	var said bytes.Buffer
	if err := assemble(bin, app, "v1.2.3", &said); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "incomplete, without lightfast for amd64, lightfast for arm64, lightfast-worker for amd64, lightfast-worker for arm64, photokit-helper for amd64;") {
		t.Errorf("it said: %s", &said)
	}
	if _, err := macho.Open(filepath.Join(app, "Contents", "MacOS", "photokit-helper")); err != nil {
		t.Errorf("the one that is there: %v", err)
	}
}

func TestWhatIsNoMacProgramOrNoAppIsRefused(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	if err := write(filepath.Join(bin, "darwin-arm64", "lightfast"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := assemble(bin, filepath.Join(t.TempDir(), "Lightfast.app"), "", new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "no program for a Mac") {
		t.Errorf("a script: %v", err)
	}
	precious := t.TempDir()
	if err := assemble(bin, precious, "", new(bytes.Buffer)); err == nil {
		t.Error("a folder that is no app was replaced")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}
