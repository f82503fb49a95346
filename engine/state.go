package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

const (
	lockFile = "engine.lock" // the lock, and in it the last server's ports
	infoFile = "engine.json" // Info of the server that holds the lock
)

// look is the pause between two looks at a lock that is about to change hands.
const look = 10 * time.Millisecond

// Info tells who serves a state directory, and where.
type Info struct {
	PID       int       `json:"pid"`
	Address   string    `json:"address"` // host:port of the Temporal frontend
	UI        string    `json:"ui"`      // URL of the web page
	Namespace string    `json:"namespace"`
	Started   time.Time `json:"started"`
}

// Find tells where the server of a state directory listens, and waits while that server is still starting or
// stopping, until ctx ends. ErrNotRunning: nobody holds the lock, whatever the files beside it say.
func Find(ctx context.Context, stateDir string) (Info, error) {
	for {
		running, err := held(stateDir)
		if err != nil {
			return Info{}, err
		}
		if !running {
			return Info{}, ErrNotRunning
		}
		info, err := readInfo(stateDir)
		// A server removes its predecessor's file right after it got the lock; the pid guards the moment between.
		if err == nil && alive(info.PID) {
			return info, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Info{}, err
		}
		if err := pause(ctx, look); err != nil {
			return Info{}, fmt.Errorf("wait for the engine in %s: %w", stateDir, err)
		}
	}
}

// acquire takes the lock, or returns ErrRunning.
func acquire(ctx context.Context, dir string) (*flock.Flock, error) {
	for {
		lock := flock.New(filepath.Join(dir, lockFile))
		ok, err := lock.TryLock()
		if err != nil {
			return nil, fmt.Errorf("lock state directory: %w", err)
		}
		if ok {
			return lock, nil
		}
		if running, err := held(dir); err != nil {
			return nil, err
		} else if running {
			return nil, ErrRunning
		}
		// It was only somebody's held, which lasts microseconds.
		if err := pause(ctx, look); err != nil {
			return nil, fmt.Errorf("lock state directory: %w", err)
		}
	}
}

// held tells whether somebody has the lock. It takes a shared one itself for a moment, so two looks do not see
// each other.
func held(dir string) (bool, error) {
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetFlag(os.O_RDONLY))
	ok, err := lock.TryRLock()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the lock of the state directory: %w", err)
	}
	return !ok, lock.Close()
}

func readInfo(dir string) (Info, error) {
	var info Info
	data, err := os.ReadFile(filepath.Join(dir, infoFile))
	if err != nil {
		return info, fmt.Errorf("read engine info: %w", err)
	}
	if err := json.Unmarshal(data, &info); err != nil {
		return info, fmt.Errorf("read engine info: %w", err)
	}
	return info, nil
}

// writeInfo replaces the file in one step. It is not synced: it is believed only while its writer lives.
func writeInfo(dir string, info Info) error {
	data, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("write engine info: %w", err)
	}
	path := filepath.Join(dir, infoFile)
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write engine info: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write engine info: %w", err)
	}
	return nil
}

func removeInfo(dir string) error {
	if err := os.Remove(filepath.Join(dir, infoFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove engine info: %w", err)
	}
	return nil
}

// alive tells whether a process of this number exists, ours or somebody else's.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
