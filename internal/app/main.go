// Command app assembles Lightfast.app of programs that were built for a Mac.
// It runs on any system and signs nothing; docs/macos.md says how that is done.
//
//	go run ./internal/app -version v1.2.3 bin bin/Lightfast.app
//
// It takes bin/darwin-arm64 and bin/darwin-amd64: a program that is in both
// becomes one for both kinds of Mac.
package main

import (
	"bytes"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

//go:embed Info.plist
var infoTemplate string

//go:embed agent.plist
var agent []byte

// programs of the app. The first is its main executable: the one that
// permissions are given to, and that a LaunchAgent starts.
var programs = []string{"lightfast", "lightfast-worker", "photokit-helper"}

// archs are the kinds of Mac, in the order that lipo has them.
var archs = []string{"amd64", "arm64"}

func main() {
	version := flag.String("version", "development", "`VERSION` that the app says it is")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: app [-version VERSION] BIN APP")
		os.Exit(2)
	}
	if err := assemble(flag.Arg(0), flag.Arg(1), *version, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

// assemble makes the app anew of what bin has, and tells out what is missing.
func assemble(bin, app, version string, out io.Writer) error {
	info, err := infoPlist(version)
	if err != nil {
		return err
	}
	if filepath.Ext(app) != ".app" {
		return fmt.Errorf("%s is no name of an app", app) // it is removed
	}
	if err := os.RemoveAll(app); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"Info.plist":                          info,
		"PkgInfo":                             []byte("APPL????"),
		"Resources/dev.lightfast.agent.plist": agent,
	} {
		if err := write(filepath.Join(app, "Contents", name), content, 0o644); err != nil {
			return err
		}
	}
	missing := []string{}
	for _, name := range programs {
		var there []string
		for _, arch := range archs {
			file := filepath.Join(bin, "darwin-"+arch, name)
			if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
				missing = append(missing, name+" for "+arch)
			} else if err != nil {
				return err
			} else {
				there = append(there, file)
			}
		}
		if len(there) == 0 {
			continue
		}
		content, err := universal(there)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(app, "Contents", "MacOS", name), content, 0o755); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(out, "%s is incomplete, without %s; `make app` on a Mac builds all (lightfast and lightfast-worker need cgo and Apple's SDK)\n", app, strings.Join(missing, ", "))
		return nil
	}
	fmt.Fprintf(out, "%s is complete and not signed: docs/macos.md\n", app)
	return nil
}

func write(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, mode)
}

// number is what Apple takes for a version: three numbers.
var number = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)`)

func infoPlist(version string) ([]byte, error) {
	v := struct{ Version, Number string }{template.HTMLEscapeString(version), "0.0.0"}
	if m := number.FindStringSubmatch(version); m != nil {
		v.Number = m[1]
	}
	t, err := template.New("Info.plist").Parse(infoTemplate)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, v)
	return b.Bytes(), err
}
