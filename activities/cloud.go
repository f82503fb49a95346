package activities

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/dustin/go-humanize"

	"lightfast/internal/exit"
	"lightfast/internal/spool"
	"lightfast/manifest"
	"lightfast/photos"
)

// Fetching is how this process brings what a library has only in iCloud. The
// zero value brings nothing.
type Fetching struct {
	// Open returns what can be asked for such resources, nil where nothing can.
	Open func(ctx context.Context, s SourceSpec) (photos.Fetcher, error)

	Spool   *spool.Spool
	Readers int // requests at once, at least 1

	// Waits, for tests; 0 for the usual.
	Again   time.Duration // before an asset's second try; doubled before each further one
	Room    time.Duration // before a disk that was full is tried again
	Stall   time.Duration // without a byte after which a request is given up
	Breaker time.Duration // for which nothing is asked when nothing comes
}

const (
	againPause = 10 * time.Second
	againMost  = 5 * time.Minute
	roomPause  = 30 * time.Second
	stallMost  = 10 * time.Minute // the fetcher itself has replaced its helper several times by then

	// unknownSize is what a lease has of a resource whose size the library
	// does not know.
	unknownSize = 256 << 20
)

// What a run waits for because of iCloud.
const (
	waitSpool = "room in the spool"
	waitDisk  = "free space on the disk" // what --keep-free leaves is none
	waitCloud = "iCloud"
)

func orElse(d, usual time.Duration) time.Duration {
	if d == 0 {
		return usual
	}
	return d
}

// openFetcher gives r what brings resources from iCloud, if there is such.
// Without it the run is what it would be on another system.
func (a *Activities) openFetcher(ctx context.Context, r *openRun) {
	if a.Fetching.Open == nil {
		return
	}
	f, err := a.Fetching.Open(ctx, r.doc.Source)
	if err != nil {
		a.Log.Warn("nothing can be brought from iCloud", "err", err)
		return
	}
	r.cloud.fetcher, r.cloud.over = f, r.doc.CloudEnd
}

// canFetch reports whether the run may ask for what only iCloud has.
func (r *openRun) canFetch() bool { return r.cloud.fetcher != nil && r.cloud.ended() == nil }

// errLater: another try may bring it, when others had theirs.
var errLater = errors.New("to be tried again later")

// fetch brings one resource from iCloud and stores it. What cannot be brought
// is noted and no error; errLater is for the lane.
func (s *storing) fetch(ctx context.Context, i int, res photos.Resource) error {
	m, err := s.tryFetch(ctx, res)
	told, ok := errors.AsType[*photos.FetchError](err)
	switch {
	case err == nil:
		s.fresh[i] = m
		s.cloud.came(s.item)
		return nil
	case ctx.Err() != nil || isAway(err) || exit.CodeOf(destination(s.doc.Dest, err)) == exit.Destination:
		return err
	case ok && told.Class == photos.FetchStop:
		return s.endCloud(ctx, told)
	case ok && told.Class == photos.FetchSkip:
		s.missing(res, told)
		return nil
	case ok:
	case errors.Is(err, photos.ErrChanged):
		told = &photos.FetchError{Class: photos.FetchAgain, Text: "it came with other bytes the second time", Err: err}
	case isSourceFailure(err): // of the spool
		told = &photos.FetchError{Class: photos.FetchAgain, Text: "the spool: " + err.Error(), Err: err}
	case s.try < mostTries:
		return err
	default:
		s.missing(res, &photos.FetchError{Class: photos.FetchAgain, Text: err.Error(), Err: err})
		return nil
	}
	s.a.Log.Info("resource does not come from iCloud", "asset", s.asset.ID, "role", res.Role, "err", err)
	tries, dead := s.cloud.failed(s.item, s.a.Now(), s.a.Fetching)
	if dead {
		return s.endCloud(ctx, &photos.FetchError{Class: photos.FetchStop, Err: err,
			Text: fmt.Sprintf("nothing came in %d tries and the pauses between them; the last time: %s", breakerTries+breakerOpens-1, told.Text),
			Fix:  "look whether Photos itself can show it, then run the same command again"})
	}
	if tries < mostTries {
		return errLater
	}
	s.missing(res, told)
	return nil
}

// tryFetch asks once more for what came and is not what the library says.
func (s *storing) tryFetch(ctx context.Context, res photos.Resource) (m manifest.Resource, err error) {
	for try := 1; ; try++ {
		m, err = s.bring(ctx, res)
		told, ok := errors.AsType[*photos.FetchError](err)
		if !ok || !told.Unfit || try == 2 {
			return m, err
		}
		s.a.Log.Info("what came from iCloud is not what the library says; it is asked for again", "asset", s.asset.ID, "role", res.Role, "err", err)
	}
}

// bring stores a resource from its file if there is one by now, else by way
// of the spool, or straight from iCloud if the spool is too small.
func (s *storing) bring(ctx context.Context, res photos.Resource) (m manifest.Resource, err error) {
	if res.Role == photos.RoleOriginal && res.Size < 0 && res.Fingerprint == "" {
		return m, &photos.FetchError{Class: photos.FetchSkip, Unfit: true,
			Text: "the library knows neither its size nor its fingerprint: nobody could tell it from a preview"}
	}
	s.fetching = true
	defer func() { s.fetching = false }()
	defer func() {
		if p := recover(); p != nil { // a strange answer must not end the run
			s.a.Log.Error("panic", "asset", s.asset.ID, "role", res.Role, "panic", p, "stack", string(debug.Stack()))
			err = &photos.FetchError{Class: photos.FetchAgain, Text: fmt.Sprintf("panic: %v", p)}
		}
	}()
	want := res
	want.Reason = "" // as if it were there
	if m, ok := s.asFile(ctx, want); ok {
		return m, nil
	}
	free, err := s.a.reader(ctx)
	if err != nil {
		return m, err
	}
	defer free()
	if err := s.shown(ctx); err != nil {
		return m, err
	}
	if size := sizeOf(res); !s.a.Fetching.Spool.Fits(size) {
		return s.storePushed(ctx, want)
	}
	return s.storeSpooled(ctx, res, want, free)
}

func sizeOf(res photos.Resource) int64 {
	if res.Size < 0 {
		return unknownSize
	}
	return res.Size
}

// asFile stores a resource whose file has come into the library since the
// scan: somebody has looked at the picture.
func (s *storing) asFile(ctx context.Context, want photos.Resource) (m manifest.Resource, ok bool) {
	if want.Path == "" {
		return m, false
	}
	r, err := s.source.Open(ctx, want)
	if err != nil {
		return m, false
	}
	defer r.Close()
	if r.Size() != want.Size {
		return m, false // still on its way, or something else
	}
	m, err = s.storeFrom(ctx, want, r)
	return m, err == nil
}

// reader waits for a place among the requests to iCloud. The returned function
// gives it back and may be called again.
func (a *Activities) reader(ctx context.Context) (free func(), err error) {
	a.readersOnce.Do(func() { a.readers = make(chan struct{}, max(a.Fetching.Readers, 1)) })
	select {
	case a.readers <- struct{}{}:
		done := false
		return func() {
			if !done {
				done = true
				<-a.readers
			}
		}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// storeSpooled brings the resource into a file of the spool, stores that, and
// removes it. The next request may begin while this one's file is sent.
func (s *storing) storeSpooled(ctx context.Context, res, want photos.Resource, free func()) (m manifest.Resource, err error) {
	size := sizeOf(res)
	lease, err := s.lease(ctx, spool.Need{File: size, Copy: size, Library: s.doc.Source.Path})
	if err != nil {
		return m, err
	}
	defer s.release(lease)
	err = s.ask(ctx, func(ctx context.Context, w *watchdog) error {
		return s.cloud.fetcher.Fetch(ctx, s.asset.ID, res, lease.Path(), w.moved)
	})
	if err != nil {
		return m, err
	}
	free()
	if err := lease.Filled(); err != nil {
		return m, err
	}
	root, err := os.OpenRoot(filepath.Dir(lease.Path()))
	if err != nil {
		return m, err
	}
	defer root.Close()
	r, err := photos.OpenFile(root, filepath.Base(lease.Path()))
	if err != nil {
		return m, err
	}
	defer r.Close()
	if res.Size >= 0 && r.Size() != res.Size {
		return m, unfitSize(res, r.Size())
	}
	return s.storeFrom(ctx, want, r)
}

// lease waits for room, as long as the user waits for a destination: a disk
// may stay full for ever, and the rest of the run must come to its end.
func (s *storing) lease(ctx context.Context, n spool.Need) (*spool.Lease, error) {
	patience, cancel := context.WithTimeoutCause(ctx, s.doc.GiveUp, errNoRoom)
	defer cancel()
	l, err := s.a.Fetching.Spool.Acquire(patience, n, func(w spool.Want) func() {
		if w == spool.Free {
			return s.a.Progress.wait(waitDisk)
		}
		return s.a.Progress.wait(waitSpool)
	})
	if err != nil {
		if errors.Is(context.Cause(patience), errNoRoom) && ctx.Err() == nil {
			return nil, s.noRoom(n.File + n.Copy)
		}
		return nil, err
	}
	s.showSpool()
	return l, nil
}

func (s *storing) release(l *spool.Lease) {
	l.Release()
	s.showSpool()
}

// showSpool tells how full the spool is. It is for people: nothing depends on it.
func (s *storing) showSpool() {
	if held, err := s.a.Fetching.Spool.Held(); err == nil {
		s.a.Progress.setSpool(held)
	}
}

var errNoRoom = errors.New("there was no room")

func (s *storing) noRoom(size int64) error {
	return &photos.FetchError{Class: photos.FetchStop, Err: errNoRoom,
		Text: fmt.Sprintf("in %s there was no room on the disk for %s (%s with the copy that macOS keeps)", s.doc.GiveUp, s.name, humanize.IBytes(uint64(size))),
		Fix:  "make room and run the same command again"}
}

// request is one to iCloud, from its first byte.
type request func(ctx context.Context, w *watchdog) error

// ask sees one request through: it ends what stands still, and waits for room
// where the disk has none, which costs no try.
func (s *storing) ask(ctx context.Context, f request) error {
	begun := s.a.Now()
	for {
		err := s.watch(ctx, f)
		told, ok := errors.AsType[*photos.FetchError](err)
		if !ok || told.Class != photos.FetchWait || ctx.Err() != nil {
			return err
		}
		if s.a.Now().Sub(begun) > s.doc.GiveUp {
			return s.noRoom(0)
		}
		over := s.a.Progress.wait(waitDisk)
		err = sleep(ctx, orElse(s.a.Fetching.Room, roomPause))
		over()
		if err != nil {
			return err
		}
	}
}

var errStalled = errors.New("nothing moved")

// watchdog ends a request of which nothing moves.
type watchdog struct {
	timer *time.Timer
	most  time.Duration
}

func (w *watchdog) moved() { w.timer.Reset(w.most) }

// during has it sleep while f takes its time: that is not the request's fault.
func (w *watchdog) during(f func()) {
	w.timer.Stop()
	f()
	w.timer.Reset(w.most)
}

func (s *storing) watch(ctx context.Context, f request) error {
	most := orElse(s.a.Fetching.Stall, stallMost)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(most, func() { cancel(errStalled) })
	defer timer.Stop()
	err := f(ctx, &watchdog{timer, most})
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return &photos.FetchError{Class: photos.FetchAgain, Text: fmt.Sprintf("nothing came for %s", most), Err: err}
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// fit fails for what came from iCloud and is not what the library says. No
// byte of that goes to the store.
func (s *storing) fit(res photos.Resource, c content) error {
	switch {
	case !s.fetching:
		return nil
	case res.Size >= 0 && c.size != res.Size:
		return unfitSize(res, c.size)
	case res.Fingerprint != "" && c.fingerprint != res.Fingerprint:
		return &photos.FetchError{Class: photos.FetchSkip, Unfit: true,
			Text: fmt.Sprintf("what came has another fingerprint (%s) than the library says (%s): it is another picture or damaged, and was not stored", c.fingerprint, res.Fingerprint)}
	}
	return nil
}

func unfitSize(res photos.Resource, size int64) error {
	return &photos.FetchError{Class: photos.FetchSkip, Unfit: true,
		Text: fmt.Sprintf("what came has %s bytes, the library says %s: a smaller rendering or cut off, and was not stored", humanize.Comma(size), humanize.Comma(res.Size))}
}

// missing notes why a resource stays in iCloud only.
func (s *storing) missing(res photos.Resource, why *photos.FetchError) {
	class := string(why.Class)
	if why.Unfit {
		class = "unfit"
	}
	s.notBrought = append(s.notBrought, Problem{Asset: s.name, Resource: res.Name, Class: "icloud_" + class, Problem: why.Text, Action: why.Fix})
	s.a.Log.Warn("resource stays in iCloud only", "asset", s.asset.ID, "role", res.Role, "class", class, "err", why)
}
