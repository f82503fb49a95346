package s3

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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
				err := roundTrip(t, &watched{tt.server, time.Minute}, 0)
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
		if err := roundTrip(t, &watched{next, time.Minute}, time.Hour); err != nil {
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
