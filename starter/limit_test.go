package main

import (
	"path/filepath"
	"strings"
	"testing"

	"lightfast/objectstore/storetest"
)

// crawl is a limit at which what these tests move takes an hour and more:
// what ends has been freed of it.
const crawl = "16k"

// limitedTo accepts progress at work that shows these limits.
func limitedTo(upload, download string) func(map[string]any) bool {
	return func(e map[string]any) bool {
		limits, _ := e["limits"].(map[string]any)
		shown := func(name string) string { s, _ := limits[name].(string); return s }
		return e["phase"] == "storing" && shown("upload") == upload && shown("download") == download
	}
}

func (p *place) limit(args ...string) map[string]any {
	p.t.Helper()
	ev, code := p.run(append([]string{"limit"}, args...)...)
	if code != 0 {
		p.t.Fatalf("limit ended with %d: %v", code, ev["error"])
	}
	return ev.result(p.t)
}

func TestLimitOfARunIsChangedMeanwhileAndOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	p := folderPlace(t, 20)
	write(t, filepath.Join(p.source, "panorama.JPG"), 2<<20, 7) // at that rate it is not small
	command := []string{"backup", "--source", p.source, "--to", p.dest, "--limit-upload", crawl, "--no-follow"}
	b := p.begin(command...)
	b.until("limited", limitedTo(crawl, ""))
	if res := p.limit("--upload", "20k"); res["served"] != true {
		t.Error("the run's process was not asked")
	}
	b.until("limited otherwise", limitedTo("20k", ""))
	if runs := p.runs(); len(runs) != 1 || runs[0]["progress"].(map[string]any)["limits"] == nil {
		t.Errorf("status says %v, want one that is limited", runs)
	}
	b.cmd.Process.Kill()
	b.end()

	b = p.begin(command...)
	b.until("limited as it was when it was killed", limitedTo("20k", ""))
	b.cmd.Process.Kill()
	b.end()

	// Another rate than it began with is meant for what is left.
	b = p.begin(append(command[:len(command)-2:len(command)-2], "18k", "--no-follow")...)
	b.until("limited as its command says now", limitedTo("18k", ""))
	b.cmd.Process.Kill()
	b.end()

	if res := p.limit("--upload", "off"); res["served"] != false {
		t.Error("it says that a dead process was asked")
	}
	b = p.begin(command...)
	b.until("done", func(e map[string]any) bool { return e["event"] == "result" })
	if code := b.end(); code != 0 {
		t.Errorf("backup ended with %d, want 0", code)
	}

	b = p.begin("restore", "--from", p.dest, "--to", p.out, "--limit-download", crawl)
	b.until("limited", limitedTo("", crawl))
	p.limit("--download", "off")
	b.until("done", func(e map[string]any) bool { return e["event"] == "result" })
	if code := b.end(); code != 0 {
		t.Errorf("restore ended with %d, want 0", code)
	}
	sameTree(t, p.source, p.out)
}

func TestLimitedUploadIsFreedInTheMiddleOfItsParts(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	srv := storetest.MinIO(t)
	link := newLink(t, strings.TrimPrefix(srv.Endpoint, "http://"))
	p := newPlace(t)
	p.toS3(srv, "http://"+link.address())
	write(t, filepath.Join(p.source, "MOV_0001.MOV"), 64*mib, 1)
	write(t, filepath.Join(p.source, "IMG_0001.JPG"), 50_000, 2)
	b := p.begin("backup", "--source", p.source, "--to", p.dest, "--limit-upload", "256k")
	link.holdAt(mib)
	link.waitHeld(t) // a MiB has left in all, which is not a part
	b.until("limited", limitedTo("256k", ""))
	link.holdAt(1 << 62)
	p.limit("--upload", "off")
	res := b.until("done", func(e map[string]any) bool { return e["event"] == "result" })
	if code := b.end(); code != 0 {
		t.Errorf("backup ended with %d, want 0", code)
	}
	if sent := number(t, res, "bytes", "sent"); sent != 64*mib+50_000 {
		t.Errorf("%d bytes of content sent, want each once", sent)
	}
	if n := link.sent(); n > 66*mib {
		t.Errorf("%d bytes left for a film of 64 MiB: a part was cut and sent again", n)
	}
	p.restore(0)
	sameTree(t, p.source, p.out)
}
