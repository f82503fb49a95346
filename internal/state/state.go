// Package state lays out the state directory of a host: who the host is,
// which runs are worked off by a process, and where the parts that live
// longer than a process keep their files.
package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/adrg/xdg"
	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
	"github.com/google/uuid"
)

// Dir is a state directory that exists, readable by its owner alone.
type Dir struct {
	Path string
	Host Host
}

// Host is an id drawn once, with the machine's name of today: names change
// with the network on a Mac.
type Host struct {
	ID   string `json:"id"`
	Name string `json:"-"`
}

// Default is the state directory of a user who names none.
func Default() string { return filepath.Join(xdg.StateHome, "lightfast") }

// Open makes a state directory if needed and learns the host's id.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(path, "runs"), 0o700); err != nil {
		return nil, err
	}
	d := &Dir{Path: path}
	if d.Host, err = host(filepath.Join(path, "host.json")); err != nil {
		return nil, err
	}
	return d, nil
}

func host(file string) (h Host, err error) {
	h.Name, _ = os.Hostname() // for people; "" will do
	lock := flock.New(file + ".lock")
	if err := lock.Lock(); err != nil { // two first commands at once must agree
		return h, fmt.Errorf("lock %s: %w", file, err)
	}
	defer lock.Unlock()
	b, err := os.ReadFile(file)
	if err == nil {
		if err := json.Unmarshal(b, &h); err != nil || h.ID == "" {
			return h, fmt.Errorf("%s does not hold a host id; remove it to draw another", file)
		}
		return h, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	h.ID = uuid.NewString()
	if b, err = json.Marshal(h); err != nil {
		return h, err
	}
	return h, renameio.WriteFile(file, append(b, '\n'), 0o600)
}

// Catalog is where the catalog lies.
func (d *Dir) Catalog() string { return filepath.Join(d.Path, "catalog.db") }

// Temp is a folder for private copies of databases.
func (d *Dir) Temp() (string, error) {
	p := filepath.Join(d.Path, "tmp")
	return p, os.MkdirAll(p, 0o700)
}

// Spool is where files from iCloud wait for being stored.
func (d *Dir) Spool() (string, error) {
	p := filepath.Join(d.Path, "spool")
	return p, os.MkdirAll(p, 0o700)
}

// WorkflowID names the run of verb on a host for parts that are known without
// opening anything: whoever asks for the same gets the same run.
func WorkflowID(verb, host string, parts ...string) string {
	h := sha256.New()
	for _, p := range append([]string{host}, parts...) {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return verb + "/" + hex.EncodeToString(h.Sum(nil)[:12])
}

// WorkflowID names a run on this host.
func (d *Dir) WorkflowID(verb string, parts ...string) string {
	return WorkflowID(verb, d.Host.ID, parts...)
}

// Lock is held by the process that works a run off. The kernel drops it when
// the process dies: nobody ever has to unlock.
type Lock struct{ f *flock.Flock }

// TryLock takes the lock of a run, or returns false where a living process
// has it.
func (d *Dir) TryLock(workflow string) (*Lock, bool, error) {
	sum := sha256.Sum256([]byte(workflow))
	f := flock.New(filepath.Join(d.Path, "runs", hex.EncodeToString(sum[:12])+".lock"), flock.SetPermissions(0o600))
	ok, err := f.TryLock()
	if err != nil || !ok {
		return nil, false, err
	}
	return &Lock{f}, true, nil
}

// Unlock gives the run up.
func (l *Lock) Unlock() error { return l.f.Unlock() }
