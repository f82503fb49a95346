package main_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lightfast/photos/photokit/photokittest"
	"lightfast/photos/photokit/protocol"
)

// process is a helper that a test talks to.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *protocol.Reader
	pipe *os.File
}

func start(t *testing.T, mock ...string) *process {
	t.Helper()
	helper, env := photokittest.Helper(t, mock...)
	out, answers, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), helper), out: protocol.NewReader(out), pipe: out}
	p.cmd.Env, p.cmd.ExtraFiles, p.cmd.Stderr = append(os.Environ(), env...), []*os.File{answers}, t.Output()
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers.Close()
	t.Cleanup(func() { out.Close() })
	if hello := p.next(); hello.Op != protocol.Hello || hello.Version != protocol.Version || len(hello.Problems) > 0 {
		t.Fatalf("hello is %+v", hello)
	}
	return p
}

// next is the next message that is no progress.
func (p *process) next() (a protocol.Answer) {
	p.t.Helper()
	for {
		k, b, err := p.out.Next()
		if err != nil {
			p.t.Fatal(err)
		}
		if k == protocol.Data {
			continue
		}
		a = protocol.Answer{}
		if err := json.Unmarshal(b, &a); err != nil {
			p.t.Fatal(err)
		}
		if a.Op != protocol.Progress {
			return a
		}
	}
}

func (p *process) ask(q protocol.Request) protocol.Answer {
	p.t.Helper()
	if err := protocol.NewWriter(p.in).Message(q); err != nil {
		p.t.Fatal(err)
	}
	return p.next()
}

const asset = "00000003-0000-4000-8000-000000000003"

func TestRequestsThatCannotBeAreAnswered(t *testing.T) {
	p := start(t, "MOCK_ASSETS=5")
	list := p.ask(protocol.Request{Op: protocol.Resources, ID: 1, Asset: asset}).Resources
	if len(list) != 3 { // proxy, photo, film of a Live Photo
		t.Fatalf("resources are %+v", list)
	}
	changed := func(f func(*protocol.Resource)) *protocol.Resource {
		r := list[1]
		f(&r)
		return &r
	}
	fetch := func(r *protocol.Resource, file string) protocol.Request {
		return protocol.Request{Op: protocol.Fetch, ID: 7, Asset: asset, Resource: r, File: file}
	}
	there := t.TempDir()
	for _, tt := range []struct {
		name    string
		request protocol.Request
		domain  string
		code    int64
	}{
		{"another operation", protocol.Request{Op: "eat", ID: 7}, protocol.HelperDomain, protocol.NotStarted},
		{"no resource", fetch(nil, ""), protocol.HelperDomain, protocol.NotStarted},
		{"behind the list", fetch(changed(func(r *protocol.Resource) { r.Index = 9 }), ""), protocol.HelperDomain, protocol.Changed},
		{"before the list", fetch(changed(func(r *protocol.Resource) { r.Index = -1 }), ""), protocol.HelperDomain, protocol.Changed},
		{"another type", fetch(changed(func(r *protocol.Resource) { r.Type = 5 }), ""), protocol.HelperDomain, protocol.Changed},
		{"another name", fetch(changed(func(r *protocol.Resource) { r.Name = "x" }), ""), protocol.HelperDomain, protocol.Changed},
		{"no asset", protocol.Request{Op: protocol.Resources, ID: 7, Asset: "x"}, protocol.HelperDomain, protocol.NoSuchAsset},
		{"a file that is there", fetch(&list[1], there), "PHPhotosErrorDomain", -1},
		{"a folder that is not there", fetch(&list[1], there+"/no/file"), "NSCocoaErrorDomain", 513},
	} {
		a := p.ask(tt.request)
		if a.ID != 7 || len(a.Error) == 0 || a.Error[0].Domain != tt.domain || a.Error[0].Code != tt.code {
			t.Errorf("%s: %+v, want an error %s %d", tt.name, a, tt.domain, tt.code)
		}
	}
	if a := p.ask(fetch(&list[1], there+"/file")); len(a.Error) > 0 || a.Size != list[1].Size {
		t.Errorf("a fetch after all these: %+v", a)
	}
	if info, err := os.Stat(there + "/file"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file fetched: %v, %v, want it private", info.Mode(), err)
	}
}

func TestHelperOutlivesAnInterruptAndEndsWithItsInput(t *testing.T) {
	p := start(t, "MOCK_ASSETS=5")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if a := p.ask(protocol.Request{Op: protocol.Shows, ID: 2, Assets: []string{asset}}); a.Count != 1 {
		t.Errorf("after an interrupt: %+v", a)
	}
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("at the end of its input: %v", err)
	}
}

func TestHelperEndsAtWhatIsNoRequest(t *testing.T) {
	for _, garbage := range []string{"Hello, world", "M\xff\xff\xff\xff", "M\x00\x00\x00\x01{", "D\x00\x00\x00\x01x", "M\x00"} {
		p := start(t)
		if _, err := io.WriteString(p.in, garbage); err != nil {
			t.Fatal(err)
		}
		p.in.Close()
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("%q: %v", garbage, err)
		}
	}
}

func TestSelfcheckPrintsWhatDiffers(t *testing.T) {
	helper, env := photokittest.Helper(t)
	cmd := exec.CommandContext(t.Context(), helper, "-selfcheck")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if diff := cmp.Diff("protocol 1, authorization status 3, 0 differences\n", string(out)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	cmd = exec.CommandContext(t.Context(), helper)
	cmd.Env = []string{}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "there is no Photos framework") {
		t.Errorf("without a framework: %v, %q", err, out)
	}
}
