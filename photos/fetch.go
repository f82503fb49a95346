package photos

import (
	"context"
	"io"
)

// Fetcher brings resources that a library has only in iCloud. It is asked only
// for what no file of the library has, with the asset and the resource as the
// last scan described them. Methods may be called from many goroutines; what
// exceeds the fetcher's own limit waits for its turn.
type Fetcher interface {
	// Shows returns how many of these assets the fetcher knows. None means
	// that it speaks of another library.
	Shows(ctx context.Context, ids []AssetID) (int, error)

	// Fetch writes the resource into a new file at path, which is whole and of
	// the size that the library says when Fetch returns nil; otherwise there
	// is none. moved is called, from one goroutine at a time, whenever
	// something has moved, so that silence means a request that hangs.
	Fetch(ctx context.Context, id AssetID, r Resource, path string, moved func()) error

	// Push writes the resource to w from its first byte to its last. It reads
	// no faster than w takes it: w may block for as long as it likes. Where w
	// fails, Push returns that error.
	Push(ctx context.Context, id AssetID, r Resource, w io.Writer) error

	Close() error
}

// FetchClass says what to do about a fetch that failed.
type FetchClass string

const (
	FetchAgain FetchClass = "again" // network, iCloud busy, Photos' daemons: later, some times
	FetchSkip  FetchClass = "skip"  // gone, invalid, or never what the library says: report it and go on
	FetchWait  FetchClass = "wait"  // the machine has no room: wait for it, no attempt is counted
	FetchStop  FetchClass = "stop"  // permission, signed out, another library: ask for nothing more
)

// FetchError is a fetch that failed.
type FetchError struct {
	Class FetchClass
	Unfit bool   // what came is not what the library says, although no error was told
	Text  string // what and why, for a person
	Fix   string // what to do, or ""
	Err   error  // may be nil
}

func (e *FetchError) Error() string { return e.Text }

func (e *FetchError) Unwrap() error { return e.Err }
