package main

import (
	"sync"
	"time"
)

// watchPeak looks at the largest resident size of a process until the
// returned function is called, which tells the last that was seen; 0 where
// there is no /proc. What a parent hears in ru_maxrss when its child has ended
// is not less than what the parent itself had at the fork.
func watchPeak(pid int) (stop func() int64) {
	var wg sync.WaitGroup
	var peak int64
	ended := make(chan struct{})
	wg.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, statusOf(pid, "VmHWM"))
			select {
			case <-tick.C:
			case <-ended:
				return
			}
		}
	})
	return sync.OnceValue(func() int64 {
		close(ended)
		wg.Wait()
		return peak
	})
}
