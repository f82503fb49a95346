package activities

import (
	"fmt"
	"iter"
	"runtime/debug"

	"lightfast/photos"
)

// aheadBatch is how many assets change hands at once: one each would cost as
// much as reading them.
const aheadBatch = 250

// ahead yields what seq yields, while seq goes on in a goroutine of its own,
// a few batches ahead at most. That has ended when the loop over it has.
func ahead(seq iter.Seq2[photos.Asset, error]) iter.Seq2[photos.Asset, error] {
	return func(yield func(photos.Asset, error) bool) {
		batches := make(chan []photos.Asset, 1)
		stop := make(chan struct{})
		var failed error // set before batches is closed
		go func() {
			defer close(batches)
			defer func() {
				if p := recover(); p != nil { // a goroutine of ours must not take the process with it
					failed = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				}
			}()
			failed = gather(seq, batches, stop)
		}()
		defer func() {
			close(stop)
			for range batches {
			}
		}()
		for batch := range batches {
			for _, a := range batch {
				if !yield(a, nil) {
					return
				}
			}
		}
		if failed != nil {
			yield(photos.Asset{}, failed)
		}
	}
}

func gather(seq iter.Seq2[photos.Asset, error], batches chan<- []photos.Asset, stop <-chan struct{}) error {
	var batch []photos.Asset
	send := func() bool {
		select {
		case <-stop: // first: whoever stopped goes on receiving until we end
			return false
		default:
		}
		select {
		case batches <- batch:
			batch = make([]photos.Asset, 0, aheadBatch)
			return true
		case <-stop:
			return false
		}
	}
	for a, err := range seq {
		if err != nil {
			return err
		}
		if batch = append(batch, a); len(batch) == aheadBatch && !send() {
			return nil
		}
	}
	send()
	return nil
}
