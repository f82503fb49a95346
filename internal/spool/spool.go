// Package spool leases room on the disk for what is brought from iCloud before
// it is stored: the file itself, and the copy that macOS keeps of it in the
// library.
//
// All processes that share the folder share its budget. A lease is a small
// file that its process holds locked, so the kernel gives up what a killed one
// had; whoever opens the spool or looks for room next removes that lease and
// its file. What does not fit now waits for its turn, the first to ask first;
// nothing fails for want of room.
package spool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/uuid"
)

// Options of a spool; the zero value of a field has a meaning.
type Options struct {
	Budget int64 // bytes of all leases; 0: 2 GiB, or a tenth of what is free if that is less
	Floor  int64 // bytes that stay free on a disk; 0: 10 GiB, or a twentieth of the disk if that is more

	Disk    func(path string) (Disk, error) // nil: as the system says
	Recheck time.Duration                   // how often room is looked for that nobody here gave back; 0: a second
	Log     *slog.Logger
}

// Disk is the file system that a path lies on.
type Disk struct{ Free, Size int64 }

const (
	gib          = 1 << 30
	budgetMost   = 2 * gib
	floorLeast   = 10 * gib
	floorPart    = 20
	leaseSuffix  = ".lease"
	fileSuffix   = ".spool"
	lockName     = "lock"
	recheckUsual = time.Second
)

// Spool is safe for many goroutines.
type Spool struct {
	dir string
	o   Options

	turn chan struct{} // held by the one that looks for room

	mu    sync.Mutex // guards freed
	freed chan struct{}
}

// Open opens the spool in dir, which it makes, and removes what dead processes
// left there.
func Open(dir string, o Options) (*Spool, error) {
	if o.Disk == nil {
		o.Disk = diskOf
	}
	if o.Recheck == 0 {
		o.Recheck = recheckUsual
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &Spool{dir: dir, o: o, turn: make(chan struct{}, 1), freed: make(chan struct{})}
	if s.o.Budget == 0 {
		d, err := o.Disk(dir)
		if err != nil {
			return nil, fmt.Errorf("spool %s: %w", dir, err)
		}
		s.o.Budget = min(budgetMost, d.Free/10)
	}
	err := s.locked(func() error {
		_, err := s.leases()
		return err
	})
	return s, err
}

// Need is what a lease is for.
type Need struct {
	File int64 // bytes of a file in the spool; 0 if there will be none
	Copy int64 // bytes that the library's disk will hold besides

	Library string // a path on that disk
}

// Fits reports whether a file of size bytes may ever have a lease together
// with its copy.
func (s *Spool) Fits(size int64) bool { return size <= s.o.Budget/2 }

// Lease is room that somebody has to release.
type Lease struct {
	s    *Spool
	name string // without suffix
	lock *flock.Flock
	once sync.Once
}

// record is what a lease file holds.
type record struct {
	Held int64 `json:"held"` // of the budget
	File int64 `json:"file"` // not on the spool's disk yet
	Copy int64 `json:"copy"` // not on the library's disk yet
	Disk int64 `json:"disk"` // the size of that, by which it is known
}

// pendingOn is what is still to be written to d. Disks of one size are taken
// for one: the volumes of an APFS container report its size and share its
// room, and at worst somebody waits for room that is not needed.
func (r record) pendingOn(d, spool Disk) (n int64) {
	if d.Size == spool.Size {
		n += r.File
	}
	if d.Size == r.Disk {
		n += r.Copy
	}
	return n
}

// Acquire waits until there is room for n. It fails with the error of ctx, or
// where the folder cannot be used. waiting, which may be nil, is told what it
// has to wait for, if it has to; what it returns is called when that is over.
func (s *Spool) Acquire(ctx context.Context, n Need, waiting func(Want) (over func())) (*Lease, error) {
	var wait waiter
	wait.tell = waiting
	defer wait.end()
	select {
	case s.turn <- struct{}{}:
	default:
		wait.begin(Room)
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() { <-s.turn }()
	tick := time.NewTicker(s.o.Recheck)
	defer tick.Stop()
	for {
		freed := s.nextFreed()
		l, want, err := s.try(n)
		if l != nil || err != nil {
			return l, err
		}
		wait.begin(want)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-freed:
		case <-tick.C:
		}
	}
}

// Want is what is wanting where there is no room.
type Want int

const (
	Room Want = iota + 1 // in the budget
	Free                 // on a disk, above the floor
)

// waiter tells somebody what is waited for.
type waiter struct {
	tell func(Want) (over func())
	want Want
	over func()
}

func (w *waiter) begin(want Want) {
	if w.tell == nil || want == w.want {
		return
	}
	w.end()
	w.want, w.over = want, w.tell(want)
}

func (w *waiter) end() {
	if w.over != nil {
		w.over()
		w.over = nil
	}
}

// try returns no lease where there is no room now.
func (s *Spool) try(n Need) (l *Lease, want Want, err error) {
	err = s.locked(func() error {
		leases, err := s.leases()
		if err != nil {
			return err
		}
		own, err := s.o.Disk(s.dir)
		if err != nil {
			return err
		}
		library := own
		if n.Library != "" {
			if library, err = s.o.Disk(n.Library); err != nil {
				return err
			}
		}
		r := record{File: n.File, Copy: n.Copy, Disk: library.Size}
		if n.File > 0 {
			r.Held = n.File + n.Copy
		}
		if held(leases)+r.Held > s.o.Budget {
			want = Room
			return nil
		}
		for _, d := range []Disk{own, library} {
			more := r.pendingOn(d, own)
			free := d.Free - more
			for _, other := range leases {
				free -= other.pendingOn(d, own)
			}
			if more > 0 && free < s.floor(d) {
				want = Free
				return nil
			}
		}
		l, err = s.make(r)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("spool %s: %w", s.dir, err)
	}
	return l, want, nil
}

func held(leases []record) (bytes int64) {
	for _, r := range leases {
		bytes += r.Held
	}
	return bytes
}

func (s *Spool) floor(d Disk) int64 {
	if s.o.Floor != 0 {
		return s.o.Floor
	}
	return max(floorLeast, d.Size/floorPart)
}

func (s *Spool) make(r record) (*Lease, error) {
	l := &Lease{s: s, name: filepath.Join(s.dir, uuid.NewString())}
	l.lock = flock.New(l.name+leaseSuffix, flock.SetPermissions(0o600))
	ok, err := l.lock.TryLock()
	if err == nil && !ok {
		err = fs.ErrExist // nobody draws our name
	}
	if err == nil {
		err = l.write(r)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(l.name+leaseSuffix), l.lock.Unlock())
	}
	return l, nil
}

// write is called under the spool's lock.
func (l *Lease) write(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(l.name+leaseSuffix, b, 0o600)
}

// leases returns what living processes hold, and removes what dead ones left. It
// is called under the spool's lock.
func (s *Spool) leases() (all []record, err error) {
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	living := map[string]bool{}
	for _, e := range names {
		name, ok := strings.CutSuffix(e.Name(), leaseSuffix)
		if !ok {
			continue
		}
		path := filepath.Join(s.dir, name)
		lock := flock.New(path+leaseSuffix, flock.SetPermissions(0o600))
		if ok, err := lock.TryLock(); err != nil {
			return nil, err
		} else if ok {
			if err := errors.Join(removeLease(path), lock.Unlock()); err != nil {
				return nil, err
			}
			continue
		}
		living[name] = true
		var r record
		b, err := os.ReadFile(path + leaseSuffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue // given back this moment
		} else if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, &r); err != nil {
			return nil, fmt.Errorf("lease %s: %w", name, err)
		}
		all = append(all, r)
	}
	// A file without its lease: of a kill between the two removals.
	for _, e := range names {
		if name, ok := strings.CutSuffix(e.Name(), fileSuffix); ok && !living[name] {
			if err := remove(filepath.Join(s.dir, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// removeLease removes the file first: as long as it is there, so is its lease.
func removeLease(name string) error {
	if err := remove(name + fileSuffix); err != nil {
		return err
	}
	return remove(name + leaseSuffix)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// locked runs f while no other process counts or makes leases.
func (s *Spool) locked(f func() error) error {
	lock := flock.New(filepath.Join(s.dir, lockName), flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return err
	}
	return errors.Join(f(), lock.Unlock())
}

func (s *Spool) nextFreed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.freed
}

// Path is where the file goes; there is none yet.
func (l *Lease) Path() string { return l.name + fileSuffix }

// Filled notes that the file and its copy are on the disk: what is free has
// them taken off already.
func (l *Lease) Filled() error {
	return l.s.locked(func() error {
		b, err := os.ReadFile(l.name + leaseSuffix)
		if err != nil {
			return err
		}
		var r record
		if err := json.Unmarshal(b, &r); err != nil {
			return err
		}
		r.File, r.Copy = 0, 0
		return l.write(r)
	})
}

// Release removes the file and gives the room back. It may be called again.
func (l *Lease) Release() {
	l.once.Do(func() {
		if err := errors.Join(removeLease(l.name), l.lock.Unlock()); err != nil {
			l.s.o.Log.Warn("a file stays in the spool until the next start", "err", err)
		}
		l.s.mu.Lock()
		defer l.s.mu.Unlock()
		close(l.s.freed)
		l.s.freed = make(chan struct{})
	})
}

// Held returns the bytes of the budget that all processes hold now.
func (s *Spool) Held() (bytes int64, err error) {
	err = s.locked(func() error {
		leases, err := s.leases()
		bytes = held(leases)
		return err
	})
	return bytes, err
}
