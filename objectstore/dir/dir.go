// Package dir keeps objects as plain files of a folder, readable with any
// program.
//
// A file has its final name only when its bytes are whole, were read back and
// compared with the caller's checksum, and are on the disk (see group). Until
// then they lie beside it under a name that starts with ".lf-tmp-". Whoever
// writes such a file holds a shared flock on it, which is how Sweep knows the
// dead from the living. Read-back proves what the kernel holds, not what the
// disk will return next year: verify does that.
//
// Content type and original name are not kept: a folder has no place for them.
package dir

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"syscall"

	"lightfast/internal/ratelimit"
	"lightfast/objectstore"
)

// Options of a Store. The zero value works.
type Options struct {
	Host string         // marks temporary files; letters, digits, "_" and "-"; "" for "local"
	Line ratelimit.Line // holds back what callers write and read, not what is read back
	Log  *slog.Logger   // nil for none
}

// Store is a folder as a destination.
type Store struct {
	root   string // absolute
	id     fileID // of root, as New saw it
	prefix string // of this host's temporary names
	line   ratelimit.Line
	log    *slog.Logger
	group  *group
	opened atomic.Int64 // temporary files so far

	mu   sync.Mutex
	held map[string]*os.File // by upload id: open for the sake of the lock alone
}

var (
	_ objectstore.Store   = (*Store)(nil)
	_ objectstore.Sweeper = (*Store)(nil)
)

var hostName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// New opens the folder root and creates it if it is missing: only here, so
// that a disk which is unmounted later is noticed and not written beside.
func New(root string, o Options) (*Store, error) {
	if o.Host == "" {
		o.Host = "local"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if !hostName.MatchString(o.Host) {
		return nil, &objectstore.Error{Class: objectstore.Invalid, Op: "open", Key: root, Err: fmt.Errorf("host name %q", o.Host)}
	}
	root, err := filepath.Abs(root)
	if err == nil {
		err = os.MkdirAll(root, 0o700)
	}
	if err != nil {
		return nil, fail("open", root, err)
	}
	info, err := os.Stat(root)
	if err != nil {
		return nil, fail("open", root, err)
	}
	s := &Store{
		root:   root,
		id:     identify(info),
		prefix: tempPrefix + o.Host + "-",
		line:   o.Line,
		log:    o.Log,
		held:   map[string]*os.File{},
	}
	s.group = newGroup(s.openRoot)
	return s, nil
}

// Close gives up the locks on uploads that are neither complete nor aborted.
// They stay, for another Store to go on with or to sweep.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, f := range s.held {
		f.Close()
		delete(s.held, id)
	}
	return nil
}

// openRoot opens the root anew for each operation: a descriptor held for days
// would keep an external disk from being ejected.
func (s *Store) openRoot() (*os.Root, error) {
	r, err := os.OpenRoot(s.root)
	if err != nil {
		return nil, &objectstore.Error{Class: objectstore.Unavailable, Op: "open", Key: s.root, Err: err}
	}
	info, err := r.Stat(".")
	if err == nil && identify(info).stranger(s.id) {
		err = fmt.Errorf("another folder is in its place; is the disk mounted?")
	}
	if err != nil {
		r.Close()
		return nil, &objectstore.Error{Class: objectstore.Unavailable, Op: "open", Key: s.root, Err: err}
	}
	return r, nil
}

type fileID struct{ dev, ino uint64 }

func identify(info os.FileInfo) fileID {
	st := info.Sys().(*syscall.Stat_t)
	return fileID{uint64(st.Dev), st.Ino}
}

// stranger reports whether a folder seen under the same path cannot be the
// same: what shows under a mount point without its disk differs in both. A
// disk that comes back may have another device number; some FUSE file systems
// draw inode numbers anew.
func (id fileID) stranger(was fileID) bool { return id.dev != was.dev && id.ino != was.ino }
