package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"lightfast/objectstore/storetest"
)

// filmKills is the upload of one film that is killed again and again.
type filmKills struct {
	size, part int64
	kills      int
	seed       uint64
	hollow     bool // for disks without room for it twice: random at the beginning of each 256 KiB only
}

// filmInFlight is how many parts of one file are on their way at once.
const filmInFlight = 4

// most is what may be sent in all: the film, what was on its way at each kill,
// and what else requests are made of.
func (k filmKills) most(kills int) int64 {
	requests := k.size/k.part + int64(kills)*filmInFlight + 100*int64(kills+1)
	return k.size + int64(kills)*filmInFlight*k.part + requests*2048
}

// points yields how much is sent between two kills: more than a kill may
// cost, and less than would be enough for one that begins anew.
func (k filmKills) points() func() int64 {
	rng := rand.New(rand.NewPCG(k.seed, uint64(k.size)))
	lost := filmInFlight * k.part
	return func() int64 { return lost + rng.Int64N(k.size/int64(k.kills)*3/4-lost/2) }
}

// filmPlace has a film of which no two parts are alike.
func filmPlace(t *testing.T, srv storetest.Server, k filmKills) (*place, *link) {
	t.Helper()
	p := newPlace(t)
	if err := os.MkdirAll(p.source, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(p.source, "MOV_0001.MOV"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	noise := rand.NewChaCha8([32]byte{byte(k.seed), 1})
	if !k.hollow {
		_, err = io.CopyN(f, noise, k.size)
	}
	for at := int64(0); k.hollow && at < k.size && err == nil; at += 256 << 10 {
		_, err = f.WriteAt(binary.BigEndian.AppendUint64(nil, noise.Uint64()), at)
	}
	if err := errors.Join(err, f.Truncate(k.size)); err != nil {
		t.Fatal(err)
	}
	link := newLink(t, strings.TrimPrefix(srv.Endpoint, "http://"))
	p.toS3(srv, "http://"+link.address())
	p.env = append(p.env, "LIGHTFAST_PART_SIZE="+fmt.Sprint(k.part))
	return p, link
}

// whole checks what came of it: by what was sent, and by what the store has.
func (k filmKills) whole(p *place, srv storetest.Server, link *link, kills int) {
	t := p.t
	t.Helper()
	t.Logf("%d kills: %d MiB sent for %d MiB, at most %d MiB allowed", kills, link.sent()/mib, k.size/mib, k.most(kills)/mib)
	if link.sent() > k.most(kills) {
		t.Errorf("%d bytes sent, want at most %d", link.sent(), k.most(kills))
	}
	if link.sent() < k.size {
		t.Errorf("%d bytes sent, fewer than the film has", link.sent())
	}
	film, err := os.Open(filepath.Join(p.source, "MOV_0001.MOV"))
	if err != nil {
		t.Fatal(err)
	}
	defer film.Close()
	want := sumOf(t, film)
	c := s3Client(t, srv)
	blobs := 0
	for o := range c.ListObjectsIter(t.Context(), "photos", minio.ListObjectsOptions{Prefix: "of/a/test/blobs/", Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		blobs++
		body, err := c.GetObject(t.Context(), "photos", o.Key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := sumOf(t, body); got != want || !strings.Contains(o.Key, want) {
			t.Errorf("SHA-256 of %s is %s, that of the film %s", o.Key, got, want)
		}
		body.Close()
	}
	if blobs != 1 {
		t.Errorf("%d blobs, want one", blobs)
	}
}

func sumOf(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// killFilm kills the command with all that is embedded in it. Most kills come
// when the link has let so many bytes through, every fifth at some moment of
// the start.
func killFilm(t *testing.T, srv storetest.Server, k filmKills) {
	t.Helper()
	p, link := filmPlace(t, srv, k)
	next, rng, kills := k.points(), rand.New(rand.NewPCG(k.seed, 1)), 0
	for n := range k.kills {
		early := n%5 == 4
		if !early {
			link.holdAt(link.sent() + next())
		}
		c := p.start("backup", "--source", p.source, "--to", p.dest)
		if early {
			link.holdAt(1 << 62)
			if c.killAfter(time.Duration(rng.Int64N(int64(time.Second)))) {
				kills++
			}
			continue
		}
		link.waitHeldOr(t, c.gone)
		if c.killAfter(0) {
			kills++
		}
	}
	if kills < k.kills-1 { // it may be done before the last
		t.Errorf("only %d kills, want %d", kills, k.kills)
	}
	link.holdAt(1 << 62)
	p.backup(0)
	if sent := number(t, p.backup(0), "bytes", "sent"); sent != 0 {
		t.Errorf("a further run sent %d bytes, want 0", sent)
	}
	k.whole(p, srv, link, kills)
}

func TestFilmOfManyKillsIsSentOnce(t *testing.T) {
	t.Parallel()
	killFilm(t, storetest.MinIO(t), filmKills{size: 128 * mib, part: 5 * mib, kills: 5, seed: 1})
}
