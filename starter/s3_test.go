package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightfast/objectstore/storetest"
)

// toS3 makes a bucket of a server the destination of a place.
func (p *place) toS3(srv storetest.Server, endpoint string) {
	p.dest = "s3://photos/of/a/test?endpoint=" + endpoint
	p.env = []string{"AWS_ACCESS_KEY_ID=" + srv.AccessKey, "AWS_SECRET_ACCESS_KEY=" + srv.SecretKey}
}

func TestLibraryComesBackFromS3(t *testing.T) {
	t.Parallel()
	srv := storetest.MinIO(t)
	p := photosPlace(t, 60)
	p.toS3(srv, srv.Endpoint)
	res := p.backup(0)
	if got := number(t, res, "assets", "stored"); got != 60 {
		t.Errorf("stored = %d, want 60", got)
	}
	res = p.backup(0)
	if sent, unchanged := number(t, res, "bytes", "sent"), number(t, res, "assets", "unchanged"); sent != 0 || unchanged != 60 {
		t.Errorf("second backup sent %d bytes and found %d assets unchanged, want 0 and 60", sent, unchanged)
	}
	p.restore(0)
	if err := os.RemoveAll(filepath.Join(p.source, "database")); err != nil { // the rest are media
		t.Fatal(err)
	}
	sameTree(t, p.source, p.out)
}

func TestKilledFilmGoesOnByPartInS3(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	const film, inFlight = 160 * mib, 3 * 16 * mib // parts on their way when it dies
	srv := storetest.MinIO(t)
	link := newLink(t, strings.TrimPrefix(srv.Endpoint, "http://"))
	p := newPlace(t)
	p.toS3(srv, "http://"+link.address())
	for i := range 20 {
		write(t, filepath.Join(p.source, fmt.Sprintf("IMG_%04d.JPG", i)), 20_000+i, uint64(i))
	}
	write(t, filepath.Join(p.source, "MOV_0001.MOV"), film, 99)

	// The link is cut off in the middle of the film, not the time: that falls
	// into the same parts on any machine. One that began anew would send 128,
	// 24 and 160 MiB.
	for _, dead := range []int64{128 * mib, 152 * mib} {
		link.holdAt(dead)
		c := p.start("backup", "--source", p.source, "--to", p.dest)
		link.waitHeld(t)
		if !c.killAfter(0) {
			t.Fatal("it ended while its link was held")
		}
	}
	link.holdAt(1 << 62)
	ev, code := p.run("backup", "--source", p.source, "--to", p.dest)
	if code != 0 || ev.result(t)["resumed"] != true {
		t.Errorf("the last run ended with %d, resumed %v; want 0, true", code, ev.result(t)["resumed"])
	}
	for _, e := range ev["progress"] {
		if total := number(t, e, "assets", "total"); e["phase"] == "storing" && total != 21 {
			t.Errorf("progress after a kill says %d assets in all, want 21", total)
		}
	}
	t.Logf("%d MiB sent for a film of %d MiB", link.sent()/mib, film/mib)
	if most := int64(film + 2*inFlight + 8*mib); link.sent() > most {
		t.Errorf("%d bytes sent for a film of %d and two kills, want at most %d", link.sent(), film, most)
	}
	if sent := number(t, p.backup(0), "bytes", "sent"); sent != 0 {
		t.Errorf("a further run sent %d bytes, want 0", sent)
	}
	p.restore(0)
	sameTree(t, p.source, p.out)
}

func TestKilledRestoreGoesOnInsideAFilm(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	// What a kill costs: ranges on their way, and those that were not durable yet.
	const film, lost = 256 * mib, (3 + 3) * 8 * mib
	srv := storetest.MinIO(t)
	p := newPlace(t)
	write(t, filepath.Join(p.source, "MOV_0001.MOV"), film, 99)
	p.toS3(srv, srv.Endpoint)
	p.backup(0)

	link := newLinkOf(t, strings.TrimPrefix(srv.Endpoint, "http://"), true)
	p.toS3(srv, "http://"+link.address())
	// As in TestKilledFilmGoesOnByPartInS3; one that began anew would read 128,
	// 104 and 256 MiB.
	for _, dead := range []int64{128 * mib, 232 * mib} {
		link.holdAt(dead)
		c := p.start("restore", "--from", p.dest, "--to", p.out)
		link.waitHeld(t)
		if !c.killAfter(0) {
			t.Fatal("it ended while its link was held")
		}
		if _, err := os.Stat(filepath.Join(p.out, "MOV_0001.MOV")); err == nil {
			t.Error("half a film has its name")
		}
	}
	link.holdAt(1 << 62)
	if res := p.restore(0); number(t, res, "files") != 1 {
		t.Errorf("the last run wrote %v files, want 1", res["files"])
	}
	t.Logf("%d MiB read for a film of %d MiB", link.sent()/mib, film/mib)
	if most := int64(film + 2*lost + 8*mib); link.sent() > most {
		t.Errorf("%d bytes read for a film of %d and two kills, want at most %d", link.sent(), film, most)
	}
	sameTree(t, p.source, p.out) // temporary files would be in one of them only
}

func TestWrongKeyOfS3IsOneClearError(t *testing.T) {
	t.Parallel()
	srv := storetest.MinIO(t)
	srv.SecretKey = "not-the-secret-of-this-server"
	p := folderPlace(t, 1)
	p.toS3(srv, srv.Endpoint)
	message := p.refused(5, "destination", "denied")
	if strings.Contains(message, srv.SecretKey) {
		t.Errorf("message %q has the secret in it", message)
	}
}

func TestClosedPortOfS3IsOneClearError(t *testing.T) {
	t.Parallel() // half a minute: a store that just restarts is waited for
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	p := folderPlace(t, 1)
	p.toS3(storetest.Server{AccessKey: "key", SecretKey: "secret"}, "http://"+l.Addr().String())
	p.refused(5, "destination", l.Addr().String())
}
