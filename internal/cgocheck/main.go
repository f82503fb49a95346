// Command cgocheck type-checks what runs only on a Mac and needs cgo there, on
// a machine without Apple's SDK.
//
// Names of package C are believed; all other Go code of the packages named is
// checked as the compiler would, their dependencies as far as declarations go.
// C and Objective-C are not looked at, and nothing is linked.
//
//	go run ./internal/cgocheck arm64 ./worker/... ./internal/manners
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: cgocheck GOARCH PACKAGE...")
		os.Exit(2)
	}
	faults, err := check(".", os.Args[1], os.Args[2:])
	for _, f := range faults {
		fmt.Fprintln(os.Stderr, f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cgocheck:", err)
	}
	if err != nil || len(faults) > 0 {
		os.Exit(1)
	}
}

// listed is what we need of `go list`.
type listed struct {
	ImportPath, Dir   string
	GoFiles, CgoFiles []string
	ImportMap         map[string]string
	DepOnly           bool
	Error             *struct{ Err string }
}

// check returns what is wrong with packages of the module in dir. It fails
// where they could not be checked.
func check(dir, arch string, patterns []string) (faults []error, err error) {
	sizes := types.SizesFor("gc", arch)
	if sizes == nil {
		return nil, fmt.Errorf("%s is no architecture", arch)
	}
	list := exec.Command("go", append([]string{"list", "-e", "-deps", "-json=ImportPath,Dir,GoFiles,CgoFiles,ImportMap,DepOnly,Error", "--"}, patterns...)...)
	list.Dir, list.Stderr = dir, os.Stderr
	list.Env = append(os.Environ(), "GOOS=darwin", "GOARCH="+arch, "CGO_ENABLED=1")
	out, err := list.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := list.Start(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, list.Wait()) }()
	fset, checked, named := token.NewFileSet(), map[string]*types.Package{"unsafe": types.Unsafe}, 0
	for dec := json.NewDecoder(out); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return faults, errors.Join(err, list.Process.Kill())
		}
		if p.Error != nil {
			faults = append(faults, fmt.Errorf("%s: %s", p.ImportPath, p.Error.Err))
		}
		if p.ImportPath == "unsafe" {
			continue
		}
		found := p.check(fset, sizes, checked)
		if !p.DepOnly {
			named++
			faults = append(faults, found...)
		}
	}
	if named == 0 {
		return faults, fmt.Errorf("%v name no package", patterns)
	}
	return faults, nil
}

// check adds p to what is checked; its dependencies are there already.
func (p listed) check(fset *token.FileSet, sizes types.Sizes, checked map[string]*types.Package) (faults []error) {
	fault := func(err error) { faults = append(faults, err) }
	var files []*ast.File
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			fault(err)
		}
		if f != nil {
			files = append(files, f)
		}
	}
	conf := types.Config{
		FakeImportC:      true,
		IgnoreFuncBodies: p.DepOnly,
		Sizes:            sizes,
		Error:            fault,
		Importer: importer(func(path string) (*types.Package, error) {
			if vendored, ok := p.ImportMap[path]; ok {
				path = vendored
			}
			if dep := checked[path]; dep != nil {
				return dep, nil
			}
			return nil, errors.New("it is not there for a Mac")
		}),
	}
	checked[p.ImportPath], _ = conf.Check(p.ImportPath, fset, files, nil) // its error is the first of faults
	return faults
}

type importer func(path string) (*types.Package, error)

func (i importer) Import(path string) (*types.Package, error) { return i(path) }
