package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lightfast/internal/cgroup"
	"lightfast/objectstore/storetest"
	"lightfast/photos"
	"lightfast/photos/photokit/photokittest"
	"lightfast/photos/photostest"
)

const mib = 1 << 20

// hollow makes a file that reads faster than any disk: a hole but for its
// first bytes.
func hollow(t *testing.T, name string, size int64, seed uint64) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, binary.BigEndian.AppendUint64(nil, seed), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
}

// toSink makes a store the destination that is slow until it has taken a few
// seconds' bytes, and then as fast as it can: what piles up does so by then.
func (p *place) toSink() *storetest.Sink {
	t := p.t
	t.Helper()
	s, err := storetest.NewSink()
	if err != nil {
		t.Fatal(err)
	}
	const rate, seconds = 4 * mib, 3
	if err := s.SetRate(rate); err != nil {
		t.Fatal(err)
	}
	var free sync.WaitGroup
	free.Go(func() {
		if s.Wait(t.Context(), rate*seconds) == nil {
			s.SetRate(0) // which cannot fail
		}
	})
	t.Cleanup(func() {
		s.Close()
		free.Wait()
	})
	p.toS3(s.Server, s.Endpoint)
	return s
}

func TestMemoryOfABackupIsItsBudgetAndAConstant(t *testing.T) {
	t.Parallel()
	const budget, beside, beyond = 64 * mib, 400 * mib, 100 * mib
	peak := func(films int, film int64, photos int) int64 {
		p := newPlace(t)
		for i := range films {
			hollow(t, filepath.Join(p.source, fmt.Sprintf("MOV_%04d.MOV", i)), film, uint64(i))
		}
		for i := range photos {
			write(t, filepath.Join(p.source, fmt.Sprint(i/500), fmt.Sprintf("IMG_%04d.JPG", i)), 5_000+i, uint64(i))
		}
		sink := p.toSink()
		res := p.backup(0, "--memory", fmt.Sprint(budget))
		if got := number(t, res, "assets", "stored"); got != int64(films+photos) {
			t.Errorf("%d assets stored, want %d", got, films+photos)
		}
		var receipt struct {
			Peak int64 `json:"peak_rss"`
		}
		err := json.Unmarshal(sink.Last("photos/of/a/test/receipts/"), &receipt)
		if said := number(t, res, "peak_rss_bytes"); err != nil || receipt.Peak != said {
			t.Errorf("receipt says %d (%v), the result %d", receipt.Peak, err, said)
		}
		return receipt.Peak
	}
	little := peak(1, 16*mib, 50)
	much := peak(1, 1024*mib, 2000)
	t.Logf("peak resident: %d MiB, and %d MiB for 40 times as much", little/mib, much/mib)
	if much > budget+beside {
		t.Errorf("peak %d MiB, want at most %d", much/mib, (budget+beside)/mib)
	}
	if much > little+budget+beyond {
		t.Errorf("peak %d MiB, %d more than for little, want it not to grow but for the budget", much/mib, (much-little)/mib)
	}
}

func TestWorkerLivesInASmallMemoryGroup(t *testing.T) {
	t.Parallel()
	const budget, beside, room = 256 * mib, 100 * mib, 384 * mib
	group, err := cgroup.New(room)
	if err != nil {
		t.Skip(err)
	}
	p, c := newPlace(t), newCluster(t)
	for i := range 2 {
		hollow(t, filepath.Join(p.source, fmt.Sprintf("MOV_%04d.MOV", i)), 512*mib, uint64(i))
	}
	for i := range 64 { // which are sent from buffers, each of its size
		hollow(t, filepath.Join(p.source, fmt.Sprintf("IMG_%04d.TIF", i)), 8*mib, uint64(100+i))
	}
	p.toSink()
	c.group, c.env = group, p.env
	w := c.work()
	ev, code := p.run("backup", "--address", c.address, "--on", c.host, "--source", p.source, "--to", p.dest)
	if code != 0 {
		t.Fatalf("backup ended with %d: %v", code, ev["error"])
	}
	peak := number(t, ev.result(t), "peak_rss_bytes")
	t.Logf("peak resident: %d MiB", peak/mib)
	if peak > budget+beside {
		t.Errorf("peak %d MiB, want at most %d", peak/mib, (budget+beside)/mib)
	}
	if own := vmHWM(t, w.Process.Pid); own < peak {
		t.Errorf("the result says %d, the system %d", peak, own)
	}
	c.end(w)
	if killed, err := group.Killed(); err != nil || killed != 0 {
		t.Errorf("%d processes were killed for want of memory, %v", killed, err)
	}
	if err := group.Close(); err != nil {
		t.Error(err)
	}
}

// Four films come at once, each larger than the spool and all together than the
// group, in which the helpers are, too.
func TestFilmsFromICloudDoNotFitTheMemoryGroupTheyPassThrough(t *testing.T) {
	t.Parallel()
	const films, size, budget, beside, room = 4, 96 * mib, 64 * mib, 100 * mib, 192 * mib
	group, err := cgroup.New(room)
	if err != nil {
		t.Skip(err)
	}
	p, c := newPlace(t), newCluster(t)
	var spec photostest.LibrarySpec
	for i := range films {
		id, r, _ := photokittest.Film(i, size)
		spec.Assets = append(spec.Assets, photostest.AssetSpec{ID: id, Name: r.Name, Video: true, Size: size, Absent: map[photos.Role]photos.Reason{r.Role: r.Reason}})
	}
	p.source = filepath.Join(filepath.Dir(p.source), "Films.photoslibrary")
	if err := photostest.BuildLibrary(p.source, spec); err != nil {
		t.Fatal(err)
	}
	p.toSink()
	helper, mock := photokittest.Helper(t, fmt.Sprintf("MOCK_ASSETS=%d", 50*films), fmt.Sprintf("MOCK_FILM_MB=%d", size/mib), "MOCK_STATE="+t.TempDir())
	p.env = append(append(p.env, mock...), "LIGHTFAST_PHOTOKIT_HELPER="+helper, "LIGHTFAST_ICLOUD_READERS=4", "LIGHTFAST_SPOOL=64MiB",
		"LIGHTFAST_KEEP_FREE=1MiB", "LIGHTFAST_MEMORY="+fmt.Sprint(budget))
	c.group, c.env = group, p.env
	w := c.work()
	ev, code := p.run("backup", "--address", c.address, "--on", c.host, "--source", p.source, "--to", p.dest)
	if code != 0 {
		t.Fatalf("backup ended with %d: %v", code, ev["error"])
	}
	if n := number(t, ev.result(t), "bytes", "sent"); n < films*size {
		t.Errorf("%d bytes sent, want the %d of %d films", n, films*size, films)
	}
	peak := vmHWM(t, w.Process.Pid)
	t.Logf("peak resident: %d MiB", peak/mib)
	if peak > budget+beside {
		t.Errorf("peak %d MiB, want at most %d", peak/mib, (budget+beside)/mib)
	}
	c.end(w)
	p.helpersEnd()
	if killed, err := group.Killed(); err != nil || killed != 0 {
		t.Errorf("%d processes were killed for want of memory, %v", killed, err)
	}
	if err := group.Close(); err != nil {
		t.Error(err)
	}
}

// vmHWM is what Linux says of a process's peak.
func vmHWM(t *testing.T, pid int) (peak int64) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			peak = kib << 10
		}
	}
	return peak
}
