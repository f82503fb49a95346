package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

var errKilled = errors.New("killed half way")

// killHalfWay begins a backup, and kills its process group when half of the
// library's bytes are at the destination.
func (d *demo) killHalfWay(ctx context.Context) error {
	ctx, kill := context.WithCancelCause(ctx)
	arrived := make(chan int64, 1)
	go func() { arrived <- d.watch(ctx, kill) }()
	err := d.lightfast(ctx, func(event) error { return nil }, d.backupArgs()...)
	kill(nil)
	n := <-arrived
	switch {
	case err == nil:
		return errors.New("the backup was done before it could be killed")
	case context.Cause(ctx) != errKilled:
		return err
	}
	d.say("  killed (SIGKILL) when %s of %s had arrived", size(n), size(d.bytes))
	d.ui = d.uiAddress()
	return nil
}

// watch kills once half has arrived, and returns how much had then.
func (d *demo) watch(ctx context.Context, kill context.CancelCauseFunc) int64 {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if n := used(d.store); n >= d.bytes/2 {
				kill(errKilled)
				return n
			}
		case <-ctx.Done():
			return 0
		}
	}
}

// used is how much room the files of a folder take: those on their way have
// their full size from the beginning. What goes away meanwhile counts nothing.
func used(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			n += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return n
}

// uiAddress reads what a killed engine left: those after it take its port
// again. An engine that ends in good order leaves nothing.
func (d *demo) uiAddress() string {
	var info struct{ UI, Namespace string }
	b, err := os.ReadFile(filepath.Join(d.state, "engine.json"))
	if err != nil || json.Unmarshal(b, &info) != nil {
		return "it says where"
	}
	return info.UI + "/namespaces/" + info.Namespace + "/workflows"
}
