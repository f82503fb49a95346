package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lightfast/internal/ratelimit"
)

// newTransport is one connection pool, watched and limited.
func newTransport(caFile string, stall time.Duration, line ratelimit.Line) (http.RoundTripper, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("CA file: %w", err)
		}
		if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
			conf.RootCAs = x509.NewCertPool()
		}
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA file %s holds no certificate", caFile)
		}
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: holdLittle}
	return &watched{stall: stall, line: line, next: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dial(dialer),
		TLSClientConfig:     conf,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 64, // transfers times parts
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // else stored .gz would be read as what is in it
	}}, nil
}

func dial(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if tcp, ok := c.(*net.TCPConn); ok {
			return conn{tcp}, err
		}
		return c, err
	}
}

// unsentMost is how much of a body waits in the kernel for the line. Without a
// bound that is megabytes, whole photos: on a slow line they take minutes in
// which nobody sees a byte move, and the watchdog cuts what is well. What is
// already on its way is not counted, so that a long line is used as before.
const unsentMost = 64 << 10

func holdLittle(_, _ string, c syscall.RawConn) (err error) {
	controlErr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMost)
	})
	return errors.Join(controlErr, err)
}

var errStalled = errors.New("no byte has moved for too long")

// watched cuts a request on which no byte has moved for stall: in the body, in
// the wait for an answer, in the answer while somebody reads it. minio-go and
// net/http have nothing of the kind for a server that stops reading. How long
// the whole takes does not matter: a slow line is not a dead one. Bodies pass
// at the rate of line, and while one waits for its turn nothing is watched.
type watched struct {
	next  http.RoundTripper
	stall time.Duration
	line  ratelimit.Line
}

func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	c := startClock(w.stall, func() { cancel(errStalled) })
	req = req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &moving{req.Body, ctx, w.line.Up, c, bodyOf(req)}
	}
	resp, err := w.next.RoundTrip(req)
	c.stop()
	if err == nil && isPage(resp) {
		err = &pageError{status: resp.Status, server: resp.Header.Get("Server")}
		resp.Body.Close()
	}
	if err != nil {
		cancel(nil)
		if context.Cause(ctx) == errStalled {
			err = errStalled // whatever net/http makes of it
		}
		return nil, err
	}
	resp.Body = &answer{resp.Body, ctx, w.line.Down, w.stall, cancel}
	return resp, nil
}

// clock calls cut when nobody has touched it for stall, until it is stopped.
type clock struct {
	stall   time.Duration
	mu      sync.Mutex // guards what follows
	timer   *time.Timer
	stopped bool
}

func startClock(stall time.Duration, cut func()) *clock {
	return &clock{stall: stall, timer: time.AfterFunc(stall, cut)}
}

// touch starts the time anew. After stop it does nothing: the transport may
// read on in a body after an early answer.
func (c *clock) touch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.timer.Reset(c.stall)
	}
}

// hold stands the time still until touch.
func (c *clock) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer.Stop()
}

func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	c.timer.Stop()
}

// moving is a request's body that tells of each piece taken.
type moving struct {
	io.ReadCloser
	ctx   context.Context
	limit *ratelimit.Limiter
	clock *clock
	file  *body // that ReadCloser reads, if the kernel may send it; else nil
}

func (m *moving) Read(b []byte) (int, error) {
	n, err := m.ReadCloser.Read(m.limit.Piece(b))
	m.clock.hold()
	if limitErr := m.limit.Wait(m.ctx, n); limitErr != nil {
		return 0, limitErr
	}
	m.clock.touch()
	return n, err
}

// answer is a response's body; a clock runs only during a Read, for a slow
// reader is no fault of the store.
type answer struct {
	io.ReadCloser
	ctx    context.Context
	limit  *ratelimit.Limiter
	stall  time.Duration
	cancel context.CancelCauseFunc
}

func (a *answer) Read(b []byte) (int, error) {
	c := startClock(a.stall, func() { a.cancel(errStalled) })
	n, err := a.ReadCloser.Read(a.limit.Piece(b))
	c.stop()
	if err != nil && context.Cause(a.ctx) == errStalled {
		err = errStalled
	}
	if limitErr := a.limit.Wait(a.ctx, n); limitErr != nil && err == nil {
		err = limitErr
	}
	return n, err
}

func (a *answer) Close() error {
	err := a.ReadCloser.Close()
	a.cancel(nil)
	return err
}

// pageError is an answer meant for a browser.
type pageError struct{ status, server string }

func (e *pageError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("a web page came back (%s) %s", e.status, e.server))
}

// isPage reports whether resp is a web page where S3 would have answered XML.
// Proxies answer 408, 413, 429 and 5xx with pages too: those keep the meaning
// of their status.
func isPage(resp *http.Response) bool {
	switch {
	case !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		return false
	case resp.StatusCode == http.StatusOK: // an object may be a page, a list may not
		return resp.Request.URL.Query().Has("list-type")
	case resp.StatusCode == http.StatusRequestTimeout, resp.StatusCode == http.StatusRequestEntityTooLarge, resp.StatusCode == http.StatusTooManyRequests:
		return false
	}
	return resp.StatusCode >= 300 && resp.StatusCode < 500
}
