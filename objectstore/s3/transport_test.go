package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lightfast/internal/ratelimit"
)

// server is a store without a socket, so that time can be the test's own.
type server func(*http.Request) (*http.Response, error)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

// slowly gives one byte after each pause.
type slowly struct {
	r     io.Reader
	pause time.Duration
	req   *http.Request
}

func (s *slowly) Read(b []byte) (int, error) {
	select {
	case <-time.After(s.pause):
		return s.r.Read(b[:1])
	case <-s.req.Context().Done():
		return 0, s.req.Context().Err()
	}
}

func (s *slowly) Close() error { return nil }

func TestStalledRequestIsCut(t *testing.T) {
	const pause = 59 * time.Second
	for _, tt := range []struct {
		name   string
		server server
		want   error
	}{
		{"takes the body slowly", func(r *http.Request) (*http.Response, error) {
			for {
				select {
				case <-time.After(pause):
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
				if _, err := r.Body.Read(make([]byte, 1)); err == io.EOF {
					return &http.Response{Body: http.NoBody}, nil
				}
			}
		}, nil},
		{"answers slowly", func(r *http.Request) (*http.Response, error) {
			return &http.Response{Body: &slowly{strings.NewReader("answer"), pause, r}}, nil
		}, nil},
		{"takes nothing", func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, errStalled},
		{"answers nothing", func(r *http.Request) (*http.Response, error) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, errStalled},
		{"stops in its answer", func(r *http.Request) (*http.Response, error) {
			return &http.Response{Body: &slowly{strings.NewReader("answer"), time.Hour, r}}, nil
		}, errStalled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := roundTrip(t, &watched{next: tt.server, stall: time.Minute}, 0)
				if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
					t.Errorf("RoundTrip = %v, want %v", err, tt.want)
				}
				if d := time.Since(began); tt.want != nil && d > time.Minute {
					t.Errorf("it took %v to notice", d)
				}
			})
		})
	}
}

func TestSlowReaderIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := server(func(r *http.Request) (*http.Response, error) {
			return &http.Response{Body: &slowly{strings.NewReader("answer"), time.Second, r}}, nil
		})
		if err := roundTrip(t, &watched{next: next, stall: time.Minute}, time.Hour); err != nil {
			t.Errorf("reading with pauses of an hour: %v", err)
		}
	})
}

// roundTrip sends a small body and reads the answer, waiting before each read.
func roundTrip(t *testing.T, w *watched, wait time.Duration) error {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://store/", io.NopCloser(bytes.NewReader([]byte("body"))))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for {
		time.Sleep(wait)
		if _, err := resp.Body.Read(make([]byte, 16)); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// TestLimitedRequestIsNotTakenForAStuckOne: at a low rate one takes longer
// than the watchdog waits, and rests for longer than that while others pass.
func TestLimitedRequestIsNotTakenForAStuckOne(t *testing.T) {
	const size = 4 << 20 // 256 s at 16 KiB/s
	limit := func(t *testing.T) *ratelimit.Limiter {
		table, err := ratelimit.ParseTable("16k")
		if err != nil {
			t.Fatal(err)
		}
		return ratelimit.New(table)
	}
	send := func(t *testing.T, w *watched, body io.Reader) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://store/", io.NopCloser(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := w.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	takes := server(func(r *http.Request) (*http.Response, error) {
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 32<<10))
		return &http.Response{Body: io.NopCloser(io.LimitReader(zeros{}, n))}, err
	})
	t.Run("both ways", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			w := &watched{next: takes, stall: time.Second, line: ratelimit.Line{Up: limit(t), Down: limit(t)}}
			if err := send(t, w, io.LimitReader(zeros{}, size)); err != nil {
				t.Errorf("RoundTrip = %v", err)
			}
			if d := time.Since(began); d < 500*time.Second || d > 520*time.Second {
				t.Errorf("4 MiB up and down again took %v, want 512 s", d)
			}
		})
	})
	t.Run("in a crowd", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := &watched{next: takes, stall: time.Second, line: ratelimit.Line{Up: limit(t)}}
			var all sync.WaitGroup
			for range 100 { // each moves half a KiB every three seconds
				all.Go(func() {
					if err := send(t, w, io.LimitReader(zeros{}, 32<<10)); err != nil {
						t.Errorf("RoundTrip = %v", err)
					}
				})
			}
			all.Wait()
		})
	})
	t.Run("but a stuck one is", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stuck := server(func(r *http.Request) (*http.Response, error) {
				io.CopyN(io.Discard, r.Body, 32<<10)
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			began := time.Now()
			if err := send(t, &watched{next: stuck, stall: time.Minute, line: ratelimit.Line{Up: limit(t)}}, io.LimitReader(zeros{}, size)); !errors.Is(err, errStalled) {
				t.Errorf("RoundTrip = %v, want %v", err, errStalled)
			}
			if d := time.Since(began); d > 63*time.Second {
				t.Errorf("it took %v to notice", d)
			}
		})
	})
	t.Run("and one that nobody waits for ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			m := &moving{io.NopCloser(zeros{}), ctx, limit(t), startClock(time.Hour, func() {}), nil}
			defer m.clock.stop()
			if _, err := io.Copy(io.Discard, m); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Read = %v, want the end of its context", err)
			}
		})
	})
}

// zeros never end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
