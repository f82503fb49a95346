package photostest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"lightfast/photos"
)

// CloudFault is a way in which a fetch goes wrong.
type CloudFault string

const (
	CloudAgain CloudFault = "again" // the network; the next try may do
	CloudSkip  CloudFault = "skip"  // gone in iCloud
	CloudWait  CloudFault = "wait"  // no room on the disk
	CloudStop  CloudFault = "stop"  // permission withdrawn
	CloudShort CloudFault = "short" // half of it, and no error: a fetcher that lies
	CloudProxy CloudFault = "proxy" // as many other bytes, and no error
	CloudHang  CloudFault = "hang"  // until the caller has had enough
	CloudPanic CloudFault = "panic"
)

// CloudOptions say how a Cloud behaves; by default it is perfect.
type CloudOptions struct {
	Seed   uint64
	Rate   float64      // of calls that go wrong
	Faults []CloudFault // what then happens, each as likely

	// Fault decides instead where it is not nil: n counts the calls for that
	// resource from 1. "" is none.
	Fault func(id photos.AssetID, r photos.Resource, n int) CloudFault

	Other bool // shows another library
}

// Cloud is iCloud behind Photos, for tests: a folder with an index.json as
// BuildLibrary makes beside a library with LibrarySpec.Cloud.
type Cloud struct {
	dir   string
	o     CloudOptions
	index map[cloudKey]CloudEntry

	mu     sync.Mutex // guards all below
	rng    *rand.Rand
	calls  map[cloudKey]int
	faults int
	busy   int
	most   int
}

var _ photos.Fetcher = (*Cloud)(nil)

// CloudEntry is one resource in the index.
type CloudEntry struct {
	UUID        photos.AssetID `json:"uuid"`
	Role        photos.Role    `json:"role"`
	File        string         `json:"file"`
	Path        string         `json:"path_in_library"`
	Name        string         `json:"original_filename"`
	Size        int64          `json:"size"`
	SHA256      string         `json:"sha256"`
	Fingerprint string         `json:"fingerprint"`
}

type cloudKey struct {
	id   photos.AssetID
	role photos.Role
	path string
}

// OpenCloud reads the index of a folder.
func OpenCloud(dir string, o CloudOptions) (*Cloud, error) {
	entries, err := CloudIndex(dir)
	if err != nil {
		return nil, err
	}
	c := &Cloud{dir: dir, o: o, index: map[cloudKey]CloudEntry{}, calls: map[cloudKey]int{}, rng: rand.New(rand.NewPCG(o.Seed, 0))}
	for _, e := range entries {
		c.index[cloudKey{e.UUID, e.Role, e.Path}] = e
	}
	return c, nil
}

// CloudIndex reads what a folder holds.
func CloudIndex(dir string) (entries []CloudEntry, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err == nil {
		err = json.Unmarshal(b, &entries)
	}
	return entries, err
}

// Shows knows all assets, or none.
func (c *Cloud) Shows(_ context.Context, ids []photos.AssetID) (int, error) {
	if c.o.Other {
		return 0, nil
	}
	return len(ids), nil
}

// Fetch copies the file.
func (c *Cloud) Fetch(ctx context.Context, id photos.AssetID, r photos.Resource, path string, moved func()) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = c.serve(ctx, id, r, f, moved)
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// Push copies to w, a megabyte at a time at most.
func (c *Cloud) Push(ctx context.Context, id photos.AssetID, r photos.Resource, w io.Writer) error {
	return c.serve(ctx, id, r, w, func() {})
}

// Close does nothing.
func (c *Cloud) Close() error { return nil }

func (c *Cloud) serve(ctx context.Context, id photos.AssetID, r photos.Resource, w io.Writer, moved func()) error {
	key := cloudKey{id, r.Role, r.Path}
	e, ok := c.index[key]
	if !ok {
		return &photos.FetchError{Class: photos.FetchSkip, Text: "Photos does not show it"}
	}
	fault := c.begin(key, r)
	defer c.end()
	if r.Size >= 0 && r.Size != e.Size {
		return &photos.FetchError{Class: photos.FetchSkip, Unfit: true, Text: fmt.Sprintf("it has %d bytes, the library says %d", e.Size, r.Size)}
	}
	f, err := os.Open(filepath.Join(c.dir, filepath.FromSlash(e.File)))
	if err != nil {
		return err
	}
	defer f.Close()
	var from io.Reader = f
	size := e.Size
	switch fault {
	case CloudAgain:
		return &photos.FetchError{Class: photos.FetchAgain, Text: "the network connection was lost"}
	case CloudSkip:
		return &photos.FetchError{Class: photos.FetchSkip, Text: "it is gone in iCloud"}
	case CloudWait:
		return &photos.FetchError{Class: photos.FetchWait, Text: "not enough disk space"}
	case CloudStop:
		return &photos.FetchError{Class: photos.FetchStop, Text: "access to Photos was withdrawn", Fix: "allow it in System Settings, Privacy & Security, Photos"}
	case CloudShort:
		size /= 2
	case CloudProxy:
		from = rand.NewChaCha8([32]byte{31: 1})
	case CloudHang:
		<-ctx.Done()
		return ctx.Err()
	case CloudPanic:
		panic("a fetch that panics")
	}
	buf := make([]byte, min(1<<20, max(size, 1)))
	for left := size; left > 0; {
		b := buf[:min(left, int64(len(buf)))]
		if _, err := io.ReadFull(from, b); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		clear(b) // as the framework does: what was given is valid until w has it
		moved()
		left -= int64(len(b))
	}
	return nil
}

func (c *Cloud) begin(key cloudKey, r photos.Resource) (fault CloudFault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[key]++
	c.busy++
	c.most = max(c.most, c.busy)
	if c.o.Fault != nil {
		fault = c.o.Fault(key.id, r, c.calls[key])
	} else if len(c.o.Faults) > 0 && c.rng.Float64() < c.o.Rate {
		fault = c.o.Faults[c.rng.IntN(len(c.o.Faults))]
	}
	if fault != "" {
		c.faults++
	}
	return fault
}

func (c *Cloud) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy--
}

// Calls returns how often a resource of an asset was asked for.
func (c *Cloud) Calls(id photos.AssetID, role photos.Role) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, calls := range c.calls {
		if key.id == id && key.role == role {
			n += calls
		}
	}
	return n
}

// Counts returns how many calls there were, how many went wrong, and how many
// were under way at once at most.
func (c *Cloud) Counts() (calls, faults, atOnce int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.calls {
		calls += n
	}
	return calls, c.faults, c.most
}

// CloudOf is the folder of what a library has only in iCloud.
func CloudOf(library string) string {
	return strings.TrimSuffix(library, filepath.Ext(library)) + ".cloud"
}

// addToIndex notes what a library has only in iCloud.
func addToIndex(dir string, entries []CloudEntry) error {
	if len(entries) == 0 {
		return nil
	}
	known, err := CloudIndex(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := json.MarshalIndent(append(known, entries...), "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "index.json"), b, 0o644)
}
