package storetest

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// Tally is an HTTP proxy before a server that counts what it is asked for.
type Tally struct {
	Endpoint string // in place of the server's

	http http.Server
	out  http.Transport

	puts, cut, refused, bytes atomic.Int64
}

// Count is what a Tally has seen: requests that bring an object or a part of
// one, those of them that ended before their body was whole, those that the
// server refused, and the bytes of all bodies.
type Count struct{ Puts, Cut, Refused, Bytes int64 }

// NewTally starts a Tally before the server at endpoint, a http URL.
func NewTally(endpoint string) (*Tally, error) {
	if _, err := hostOf(endpoint); err != nil {
		return nil, err
	}
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &Tally{Endpoint: "http://" + l.Addr().String()}
	t.out.DisableCompression, t.out.MaxIdleConnsPerHost = true, 128
	next := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }, // which is signed
		Transport: &t.out,
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == http.MethodPut && r.StatusCode >= 300 {
				t.refused.Add(1)
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, 0),
	}
	t.http.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || r.ContentLength <= 0 { // of no length: a bucket is made
			next.ServeHTTP(w, r)
			return
		}
		t.puts.Add(1)
		body := &tallied{ReadCloser: r.Body}
		r.Body = body
		defer func() { // also of one that panics
			n := body.n.Load()
			t.bytes.Add(n)
			if n < r.ContentLength {
				t.cut.Add(1)
			}
		}()
		next.ServeHTTP(w, r)
	})
	go t.http.Serve(l) // ended by Close
	return t, nil
}

// Close ends the proxy and its connections.
func (t *Tally) Close() error {
	err := t.http.Close()
	t.out.CloseIdleConnections()
	return err
}

// Count returns what was seen so far.
func (t *Tally) Count() Count {
	return Count{Puts: t.puts.Load(), Cut: t.cut.Load(), Refused: t.refused.Load(), Bytes: t.bytes.Load()}
}

// tallied counts a body.
type tallied struct {
	io.ReadCloser
	n atomic.Int64
}

func (b *tallied) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// hostOf returns host and port of a http URL.
func hostOf(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		return "", fmt.Errorf("endpoint %q is no URL of the form http://host:port", endpoint)
	}
	return u.Host, nil
}
