package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"lightfast/internal/cgroup"
	"lightfast/objectstore/storetest"
	"lightfast/photos"
	"lightfast/photos/photokit/photokittest"
	"lightfast/photos/photostest"
)

const (
	cloudReaders = 4
	cloudGroup   = 512 * mib  // worker and helpers, without Temporal
	cloudDisk    = 1 << 30    // on which state and spool are
	cloudFree    = 64 * mib   // of that, which the spool leaves
	cloudRate    = 20_000_000 // bytes a second that the store takes
)

// duplicati is what was reported of it on another machine, to be read beside ours.
const duplicati = "reported for Duplicati: 41,699 MB"

// cloudForm is a library of films that only iCloud has.
type cloudForm struct {
	name  string
	films int
	size  int64
}

// iCloud shows the memory of a worker and its helpers while four films at once
// come faster than the store takes them: films that are larger than the spool,
// and are pushed, and films that are written to it. No film has room on a disk
// or is whole anywhere.
func iCloud(ctx context.Context, b *bench) error {
	if runtime.GOOS != "linux" {
		fmt.Println("  left out: the mock of the Photos framework is for GNUstep on Linux")
		return nil
	}
	fmt.Printf("  %d readers, store %d MB/s, worker and helpers in %d MiB, state and spool on %d MiB, for %s at most; MiB but where told\n",
		cloudReaders, cloudRate/1_000_000, cloudGroup/mib, cloudDisk/mib, b.hold)
	for _, f := range []cloudForm{
		{"pushed", b.films, b.filmSize},
		{"spooled", 3 * b.films, b.filmSize / 100},
	} {
		f.size = (f.size + mib - 1) / mib * mib // the mock counts in MiB
		if err := b.bringFilms(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func (b *bench) bringFilms(ctx context.Context, f cloudForm) (err error) {
	sink, err := storetest.NewSink()
	if err == nil {
		err = sink.SetRate(cloudRate)
	}
	if err != nil {
		return err
	}
	defer sink.Close()
	helper, mock, err := photokittest.Build(ctx, fmt.Sprintf("MOCK_ASSETS=%d", 50*f.films), fmt.Sprintf("MOCK_FILM_MB=%d", f.size/mib))
	if err != nil {
		return err
	}
	b.env = append(mock, "LIGHTFAST_PHOTOKIT_HELPER="+helper, "AWS_ACCESS_KEY_ID="+sink.AccessKey, "AWS_SECRET_ACCESS_KEY="+sink.SecretKey)

	state, unmount := b.disk(f.name+"-state", cloudDisk)
	defer func() { err = errors.Join(err, unmount()) }()
	// macOS puts each original into the library, so there has to be room for it.
	library, unmountLibrary := b.disk(f.name+"-library", int64(f.films+1)*f.size*5/4)
	defer func() { err = errors.Join(err, unmountLibrary()) }()
	r := &sinkRun{sink: sink, source: filepath.Join(library, "Films.photoslibrary"), bucket: f.name, state: state}
	if err := photostest.BuildLibrary(r.source, f.library()); err != nil {
		return err
	}
	up, stop, err := b.background(ctx, "up", "up", "--state", filepath.Join(b.work, f.name+"-up"))
	if err != nil {
		return err
	}
	defer stop()
	group, why := cgroup.New(cloudGroup)
	if why != nil {
		fmt.Println("  in no group:", why)
	}
	worker, err := b.startWorker(ctx, group, "--address", up.Address, "--state", state, "--memory", fmt.Sprint(budgetBytes),
		"--icloud-readers", fmt.Sprint(cloudReaders), "--spool", "2GiB", "--keep-free", fmt.Sprint(cloudFree))
	if err != nil {
		return err
	}
	host, err := b.hostOf(ctx, state)
	if err == nil {
		watch := watchFilms(worker.Process.Pid, group, sink, filepath.Join(state, "spool"))
		hold, cancel := context.WithTimeout(ctx, b.hold)
		var e ended
		e, err = b.lightfast(hold, r.command(filepath.Join(b.work, f.name+"-command"), "--address", up.Address, "--on", host)...)
		how := fmt.Sprintf("all stored in %.0f s", e.wall.Seconds())
		switch {
		case hold.Err() != nil && ctx.Err() == nil:
			how, err = fmt.Sprintf("stopped after %s", b.hold), nil
		case err != nil:
			how = "failed"
		}
		cancel()
		watch.end(fmt.Sprintf("  %s, %d films of %d MB: %s;", f.name, f.films, f.size/1_000_000, how))
	}
	begun := time.Now()
	worker.Process.Signal(syscall.SIGTERM)
	err = errors.Join(err, worker.Wait())
	if group == nil {
		return err
	}
	killed, e1 := group.Killed()
	most, e2 := group.Peak()
	fmt.Printf("  killed for memory: %d; the group's peak with page cache %d; the worker ended in %.1f s\n", killed, most/mib, time.Since(begun).Seconds())
	return errors.Join(err, e1, e2, closeSoon(group)) // which fails while a process is left
}

// closeSoon waits for helpers, which end when their worker has.
func closeSoon(group *cgroup.Memory) (err error) {
	for range 100 {
		if err = group.Close(); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

func (f cloudForm) library() photostest.LibrarySpec {
	var spec photostest.LibrarySpec
	for i := range f.films {
		id, r, _ := photokittest.Film(i, f.size)
		spec.Assets = append(spec.Assets, photostest.AssetSpec{ID: id, Name: r.Name, Video: true, Size: r.Size, Absent: map[photos.Role]photos.Reason{r.Role: r.Reason}})
	}
	return spec
}

// filmSample is one look at a run, and filmWatch all of them.
type filmSample struct {
	group, anon  int64 // of the group, page cache included and not; of worker and helpers where there is none
	worker, most int64 // resident, now and at most
	helpers      int64 // anonymous, of all together
	spool        int64
	came, stored int64 // bytes read by the worker, bytes taken by the store
}

type filmWatch struct {
	look func() filmSample
	all  []filmSample
	stop chan struct{}
	done chan struct{}
}

// watchFilms looks each second and prints a line each minute.
func watchFilms(pid int, group *cgroup.Memory, sink *storetest.Sink, spool string) *filmWatch {
	w := &filmWatch{stop: make(chan struct{}), done: make(chan struct{})}
	w.look = func() (s filmSample) {
		s.worker, s.most = statusOf(pid, "VmRSS"), statusOf(pid, "VmHWM")
		s.anon = statusOf(pid, "RssAnon")
		for _, child := range childrenOf(pid) {
			s.helpers += statusOf(child, "RssAnon")
		}
		s.anon += s.helpers
		if group != nil {
			if all, anon, err := group.Usage(); err == nil {
				s.group, s.anon = all, anon
			}
		}
		s.spool, s.came, s.stored = sizesIn(spool), readBy(pid), sink.Taken()
		return s
	}
	go func() {
		defer close(w.done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		fmt.Printf("  %6s %6s %6s %12s %8s %6s %8s %10s\n", "minute", "group", "anon", "worker, peak", "helpers", "spool", "came GB", "stored GB")
		for {
			select {
			case <-w.stop:
				w.print(len(w.all) % 60)
				return
			case <-tick.C:
				if w.all = append(w.all, w.look()); len(w.all)%60 == 0 {
					w.print(60)
				}
			}
		}
	}()
	return w
}

// print shows the most of the last n looks, and what has come by the end.
func (w *filmWatch) print(n int) {
	if n == 0 {
		return
	}
	most := mostOf(w.all[len(w.all)-n:])
	fmt.Printf("  %6.1f %6d %6d %6d %5d %8d %6d %8.1f %10.2f\n", float64(len(w.all))/60, most.group/mib, most.anon/mib,
		most.worker/mib, most.most/mib, most.helpers/mib, most.spool/mib, float64(most.came)/1e9, float64(most.stored)/1e9)
}

func mostOf(looks []filmSample) (most filmSample) {
	for _, s := range looks {
		most = filmSample{max(most.group, s.group), max(most.anon, s.anon), max(most.worker, s.worker), max(most.most, s.most),
			max(most.helpers, s.helpers), max(most.spool, s.spool), max(most.came, s.came), max(most.stored, s.stored)}
	}
	return most
}

// end prints what it comes to.
func (w *filmWatch) end(what string) {
	close(w.stop)
	<-w.done
	most, third := mostOf(w.all), len(w.all)/3
	if third == 0 {
		fmt.Println(what, "too short to say more")
		return
	}
	mean := func(looks []filmSample) (sum int64) {
		for _, s := range looks {
			sum += s.anon
		}
		return sum / int64(len(looks))
	}
	first, last := mean(w.all[:third]), mean(w.all[len(w.all)-third:])
	fmt.Println(what, fmt.Sprintf("anonymous memory at most %d MiB, on average %d in the first third and %d in the last (%+d); %s",
		most.anon/mib, first/mib, last/mib, (last-first)/mib, duplicati))
}

// sizesIn sums the files of the spool.
func sizesIn(dir string) (n int64) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil && strings.HasSuffix(f.Name(), ".spool") {
			n += info.Size()
		}
	}
	return n
}
