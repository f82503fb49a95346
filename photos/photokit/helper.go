package photokit

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"lightfast/photos"
	"lightfast/photos/photokit/protocol"
)

// helper is one process. It is used by one goroutine at a time, which reads
// its answers; another, guard, may kill it meanwhile.
type helper struct {
	c      *Client
	cmd    *exec.Cmd
	in     *protocol.Writer
	out    *os.File
	frames *protocol.Reader
	close  func() error // its input, which ends it
	exited chan struct{}
	stderr *lines

	info     Info
	started  time.Time
	served   int
	requests int // after which it is replaced
	last     int64

	why atomic.Pointer[restart] // it was killed
}

// start returns a helper that has said hello.
func start(ctx context.Context, c *Client) (*helper, error) {
	out, answers, err := os.Pipe()
	if err != nil {
		return nil, &photos.FetchError{Class: photos.FetchWait, Text: "no pipe to photokit-helper: " + err.Error(), Err: err}
	}
	h := &helper{c: c, out: out, started: time.Now(), requests: c.o.Requests, exited: make(chan struct{}), stderr: &lines{log: c.o.Log}}
	h.cmd = exec.Command(c.o.Helper)
	h.cmd.Env = append(os.Environ(), c.o.Env...)
	h.cmd.ExtraFiles = []*os.File{answers}
	h.cmd.Stderr = h.stderr
	h.cmd.WaitDelay = time.Second // for standard error, if something else holds it
	in, err := h.cmd.StdinPipe()
	if err == nil {
		err = h.cmd.Start()
	}
	answers.Close()
	if err != nil {
		out.Close()
		return nil, &photos.FetchError{Class: photos.FetchStop, Text: "photokit-helper does not start: " + err.Error(), Fix: fixInstall, Err: err}
	}
	h.in, h.close, h.frames = protocol.NewWriter(in), in.Close, protocol.NewReader(out)
	go func() {
		defer close(h.exited)
		h.cmd.Wait() // the state says what there is to say
	}()
	c.count(func(s *Stats) { s.Started++ })

	var hello protocol.Answer
	err = h.guarded(ctx, limits{quiet: c.o.Start}, func(*request) error {
		if err := h.frames.Message(&hello); err != nil {
			return h.lost(err)
		}
		return nil
	})
	switch {
	case err != nil && ctx.Err() == nil:
		text := "photokit-helper does not start"
		if words := h.stderr.Last(); words != "" {
			text += ": " + words
		}
		err = &restart{last: &photos.FetchError{Class: photos.FetchStop, Text: text, Fix: fixInstall, Err: err}}
	case err == nil && (hello.Op != protocol.Hello || hello.Version != protocol.Version):
		err = &photos.FetchError{Class: photos.FetchStop, Fix: fixInstall,
			Text: fmt.Sprintf("photokit-helper speaks protocol %d, this program %d", hello.Version, protocol.Version)}
	}
	if err != nil {
		h.end()
		return nil, err
	}
	h.info.Status = Status(hello.Status)
	for _, p := range hello.Problems {
		if p.Missing {
			h.info.Missing = append(h.info.Missing, p.Text)
		} else {
			h.info.Changed = append(h.info.Changed, p.Text)
		}
	}
	if _, err := footprint(h.cmd.Process.Pid); err != nil && !h.ended() {
		c.blind.Do(func() {
			c.o.Log.Warn("the memory of photokit-helper cannot be watched; it is replaced after a number of requests only", "err", err)
		})
	}
	c.o.Log.Debug("photokit helper started", "pid", h.cmd.Process.Pid, "status", h.info.Status, "missing", h.info.Missing, "changed", h.info.Changed)
	return h, nil
}

// ended reports whether the process is dead or dying.
func (h *helper) ended() bool {
	select {
	case <-h.exited:
		return true
	default:
		return h.why.Load() != nil
	}
}

// worn reports whether the helper should be replaced before its next request.
func (h *helper) worn() bool {
	if n, err := footprint(h.cmd.Process.Pid); err == nil {
		h.saw(n)
		if n > h.c.o.SoftFootprint {
			return true
		}
	}
	return h.served >= h.requests || time.Since(h.started) > h.c.o.Age
}

func (h *helper) saw(n int64) { h.c.count(func(s *Stats) { s.Peak = max(s.Peak, n) }) }

// kill ends the process whatever it is doing; its answers end with it.
func (h *helper) kill(why *restart) {
	if h.why.CompareAndSwap(nil, why) {
		h.cmd.Process.Kill()
		h.out.SetReadDeadline(time.Now()) // should anything else hold the pipe
	}
}

// end ends the input and with it the process.
func (h *helper) end() {
	h.close()
	h.wait()
	h.out.Close()
}

// wait gives the process a second to end, then kills it. What even then does
// not end hangs in the kernel: it is left to that.
func (h *helper) wait() {
	force := time.AfterFunc(time.Second, func() { h.cmd.Process.Kill() })
	defer force.Stop()
	select {
	case <-h.exited:
	case <-time.After(10 * time.Second):
		h.c.o.Log.Warn("photokit helper cannot be killed", "pid", h.cmd.Process.Pid)
	}
}

// lost says why answers ended.
func (h *helper) lost(err error) error {
	h.wait() // its state says more than the pipe
	if why := h.why.Load(); why != nil {
		return why
	}
	h.c.count(func(s *Stats) { s.Died++ })
	err = fmt.Errorf("%v, %w, last words %q", h.cmd.ProcessState, err, h.stderr.Last())
	return &restart{last: &photos.FetchError{Class: photos.FetchAgain, Text: "the reader of iCloud originals crashed", Err: err}}
}

// permitted says why nothing can be fetched, if so.
func (h *helper) permitted() error {
	if len(h.info.Missing) > 0 {
		return &photos.FetchError{Class: photos.FetchStop, Fix: "update Lightfast",
			Text: "this macOS has another Photos framework than is known: " + strings.Join(h.info.Missing, ", ")}
	}
	if h.info.Status == Authorized {
		return nil
	}
	h.requests = 0 // the next call asks anew
	return h.info.Status.Err()
}

// ask makes a request whose answer is one message.
func (h *helper) ask(ctx context.Context, q protocol.Request, quiet time.Duration) (a protocol.Answer, err error) {
	err = h.guarded(ctx, limits{quiet: quiet}, func(r *request) error {
		a, err = h.answer(r, q, nil)
		return err
	})
	if err == nil && len(a.Error) > 0 {
		err = failure(a.Error)
	}
	return a, err
}

// answer sends a request and reads until its last answer. Data goes to take.
func (h *helper) answer(r *request, q protocol.Request, take func([]byte)) (a protocol.Answer, err error) {
	h.last++
	q.ID = h.last
	r.id.Store(q.ID)
	if err := h.in.Message(q); err != nil {
		return a, h.lost(err)
	}
	fraction := -1.0
	for {
		k, b, err := h.frames.Next()
		if err != nil {
			return a, h.lost(err)
		}
		if k == protocol.Data && take != nil {
			r.move()
			r.waiting.Store(true) // for the one who takes
			take(b)
			r.waiting.Store(false)
			r.move()
			continue
		}
		a = protocol.Answer{}
		if err := json.Unmarshal(b, &a); err != nil || k != protocol.Message {
			return a, h.confused(fmt.Errorf("frame of kind %q: %w", byte(k), err))
		}
		switch {
		case a.ID != q.ID: // late, of a request that was given up
		case a.Op == protocol.Progress:
			if a.Fraction != fraction { // the same again is no progress
				fraction = a.Fraction
				r.move()
			}
		case a.Op == q.Op:
			return a, nil
		default:
			return a, h.confused(fmt.Errorf("%s answered with %s", q.Op, a.Op))
		}
	}
}

// confused ends a helper that does not keep to the protocol.
func (h *helper) confused(err error) error {
	why := &restart{last: &photos.FetchError{Class: photos.FetchAgain, Text: "the reader of iCloud originals gave a wrong answer", Err: err}}
	h.kill(why)
	return why
}
