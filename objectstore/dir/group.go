package dir

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// group commit: everybody who waits now is made durable together. While one
// commit runs, those who arrive gather for the next. There is neither a timer
// nor a batch size: a lone writer never waits, and the more writers there are,
// the fewer syncs each of them pays.
//
// The order is: data on the disk, then names that never replace, then the
// directories on the disk; only then does commit return.
type group struct {
	openRoot func() (*os.Root, error)
	lead     chan struct{} // held by the one who commits for all

	mu      sync.Mutex
	waiting []*change

	// settled are the directories whose own name is known to be on the disk;
	// only the leader touches it. It grows with the key space's directories,
	// not with its objects.
	settled map[string]bool
}

func newGroup(openRoot func() (*os.Root, error)) *group {
	return &group{openRoot: openRoot, lead: make(chan struct{}, 1), settled: map[string]bool{".": true}}
}

// change is one final name to be made durable.
type change struct {
	dir    *folder
	temp   *temp // nil: only sync the directory
	name   string
	synced bool // data of temp is on the disk already

	done chan struct{}
	err  error // after done
}

// commit returns after c is durable. It fails with fs.ErrExist if the name is
// taken. When ctx ends before a leader has taken c, nothing has happened.
func (g *group) commit(ctx context.Context, c *change) error {
	c.done = make(chan struct{})
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	g.mu.Unlock()
	select {
	case <-c.done:
	case g.lead <- struct{}{}:
		g.mu.Lock()
		batch := g.waiting
		g.waiting = nil
		g.mu.Unlock()
		g.flush(batch)
		<-g.lead
	case <-ctx.Done():
		if g.withdraw(c) {
			return ctx.Err()
		}
		<-c.done
	}
	return c.err
}

func (g *group) withdraw(c *change) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, c)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

func (g *group) flush(batch []*change) {
	if len(batch) == 0 {
		return // somebody has committed us in the meantime
	}
	if err := syncData(batch); err != nil {
		for _, c := range batch {
			c.err = err
		}
	}
	for _, c := range batch {
		if c.err == nil && c.temp != nil {
			c.err = c.dir.rename(c.temp.name, c.name)
		}
	}
	// A name that somebody else has just taken is made durable as well: the
	// caller may rely on it.
	err := g.syncDirs(batch)
	for _, c := range batch {
		if err != nil && (c.err == nil || errors.Is(c.err, fs.ErrExist)) {
			c.err = err
		}
		close(c.done)
	}
}

func syncData(batch []*change) error {
	var temps []*temp
	for _, c := range batch {
		if c.temp != nil && !c.synced {
			temps = append(temps, c.temp)
		}
	}
	// syncfs reports the failures since its descriptor was opened: the oldest
	// one hears of all.
	slices.SortFunc(temps, func(a, b *temp) int { return cmp.Compare(a.order, b.order) })
	files := make([]*os.File, len(temps))
	for i, t := range temps {
		files[i] = t.File
	}
	return syncAll(files)
}

// syncDirs makes the directories of batch durable, and the way to each that
// is not settled: a new directory is itself a name in its parent.
func (g *group) syncDirs(batch []*change) error {
	todo := map[string]bool{}
	for _, c := range batch {
		at := c.dir.path
		for todo[at] = true; !g.settled[at]; {
			at = path.Dir(at)
			todo[at] = true
		}
	}
	r, err := g.openRoot()
	if err != nil {
		return err
	}
	defer r.Close()
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for at := range todo {
		f, err := r.Open(at)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	if err := syncAll(files); err != nil {
		return err
	}
	for at := range todo {
		g.settled[at] = true
	}
	return nil
}

// rename gives from its final name, never replacing.
func (d *folder) rename(from, to string) error {
	f, err := d.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	err = renameNoReplace(f, from, to)
	if unsupported(err) {
		err = renameByLink(f, from, to)
	}
	if unsupported(err) {
		err = renameLocked(f, from, to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// renameByLink is for NFS and FUSE, whose rename knows no flags.
func renameByLink(dir *os.File, from, to string) error {
	fd := int(dir.Fd())
	if err := unix.Linkat(fd, from, fd, to, 0); err != nil {
		return err
	}
	unix.Unlinkat(fd, from, 0) // a name that stays is for Sweep
	return nil
}

// renameLocked is for file systems without hard links as well, such as exFAT.
// The lock on the directory makes look and rename one step for all processes
// of this host.
func renameLocked(dir *os.File, from, to string) error {
	fd := int(dir.Fd())
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		return err
	}
	var st unix.Stat_t
	switch err := unix.Fstatat(fd, to, &st, unix.AT_SYMLINK_NOFOLLOW); err {
	case nil:
		return unix.EEXIST
	case unix.ENOENT:
		return unix.Renameat(fd, from, fd, to)
	default:
		return err
	}
}

func unsupported(err error) bool {
	switch err {
	case unix.EINVAL, unix.ENOSYS, unix.ENOTSUP, unix.EPERM:
		return true
	}
	return false
}
