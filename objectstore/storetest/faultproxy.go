package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fault is what a FaultProxy does to one request.
type Fault string

const (
	None Fault = ""

	FlipRequest   Fault = "flip a byte of the request"
	FlipAnswer    Fault = "flip a byte of the answer"
	CutBefore     Fault = "cut before the server is asked"
	CutRequest    Fault = "cut in the middle of the request"
	CutAnswer     Fault = "cut in the middle of the answer"
	CutAfter      Fault = "cut when the server has answered"
	Truncate      Fault = "end the answer early, as if that were all"
	Repeat        Fault = "ask the server twice"
	Delay         Fault = "delay"
	DropChecksums Fault = "drop the checksums of the answer"
	Answer409     Fault = "answer 409"
	Answer412     Fault = "answer 412"
	Answer429     Fault = "answer 429"
	Answer500     Fault = "answer 500"
	Answer503     Fault = "answer 503"
)

// refusals are answers that the server is not asked for.
var refusals = map[Fault]struct {
	status int
	code   string
}{
	Answer409: {http.StatusConflict, "ConditionalRequestConflict"},
	Answer412: {http.StatusPreconditionFailed, "PreconditionFailed"},
	Answer429: {http.StatusTooManyRequests, "TooManyRequests"},
	Answer500: {http.StatusInternalServerError, "InternalError"},
	Answer503: {http.StatusServiceUnavailable, "SlowDown"},
}

// faults are all that there are, in a fixed order.
var faults = []Fault{FlipRequest, FlipAnswer, CutBefore, CutRequest, CutAnswer, CutAfter, Truncate, Repeat,
	Delay, DropChecksums, Answer409, Answer412, Answer429, Answer500, Answer503}

// fits reports whether there is something in r, or in what answers it, for f
// to act on.
func (f Fault) fits(r *http.Request) bool {
	switch f {
	case FlipRequest, CutRequest:
		return r.ContentLength > 0
	case FlipAnswer, CutAnswer, Truncate:
		return r.Method == http.MethodGet || r.Method == http.MethodPost
	case DropChecksums:
		return r.Method == http.MethodPut || r.Method == http.MethodHead || r.URL.Query().Has("uploadId")
	}
	return true
}

// Seeded chooses a fault for each request with this probability; which
// follows from seed and the number of the request alone.
func Seeded(seed uint64, probability float64) func(n int, r *http.Request) Fault {
	return func(n int, r *http.Request) Fault {
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		if rng.Float64() >= probability {
			return None
		}
		fit := slices.DeleteFunc(slices.Clone(faults), func(f Fault) bool { return !f.fits(r) })
		return fit[rng.IntN(len(fit))]
	}
}

// delay is longer than any request to a server on this machine.
const delay = 200 * time.Millisecond

// FaultProxy stands between a store and its server, and does what networks
// and busy servers do.
type FaultProxy struct {
	URL string

	choose func(n int, r *http.Request) Fault
	most   int
	next   *httputil.ReverseProxy

	mu   sync.Mutex // guards what follows
	seen int
	did  map[Fault]int
}

// NewFaultProxy starts a proxy that serves until its test ends. It asks choose
// for each request, numbered from 1 as they come; after most faults it does no
// more, 0 for no end.
func NewFaultProxy(t testing.TB, srv Server, most int, choose func(n int, r *http.Request) Fault) *FaultProxy {
	t.Helper()
	p := newFaultProxy(t, srv, most, choose)
	front := httptest.NewServer(p)
	t.Cleanup(front.Close)
	p.URL = front.URL
	return p
}

// NewTLSProxy is a proxy without faults in front of srv that speaks TLS, with
// a certificate that nobody knows.
func NewTLSProxy(t testing.TB, srv Server) *httptest.Server {
	t.Helper()
	front := httptest.NewUnstartedServer(newFaultProxy(t, srv, 0, func(int, *http.Request) Fault { return None }))
	front.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	return front
}

func newFaultProxy(t testing.TB, srv Server, most int, choose func(n int, r *http.Request) Fault) *FaultProxy {
	t.Helper()
	target, err := url.Parse(srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	t.Cleanup(tr.CloseIdleConnections)
	p := &FaultProxy{choose: choose, most: most, did: map[Fault]int{}}
	p.next = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }, // which is signed
		Transport:      tr,
		ModifyResponse: p.answer,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, 0),
	}
	return p
}

// Did returns how often each fault was done.
func (p *FaultProxy) Did() map[Fault]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.did)
}

// Total returns how many faults were done, of how many requests.
func (p *FaultProxy) Total() (done, requests int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.did {
		done += n
	}
	return done, p.seen
}

func (p *FaultProxy) fault(r *http.Request) Fault {
	p.mu.Lock()
	p.seen++
	n := p.seen
	p.mu.Unlock()
	if done, _ := p.Total(); p.most > 0 && done >= p.most {
		return None
	}
	return p.choose(n, r)
}

func (p *FaultProxy) done(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.did[f]++
}

// faultKey is where a request carries its fault to its answer.
type faultKey struct{}

var errCut = errors.New("connection cut")

func (p *FaultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := p.fault(r)
	switch f {
	case CutBefore, Delay, FlipRequest, CutRequest, Repeat, Answer409, Answer412, Answer429, Answer500, Answer503:
		p.done(f)
	}
	switch f {
	case CutBefore:
		panic(http.ErrAbortHandler)
	case Delay:
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
		}
	case FlipRequest:
		r.Body = &flipped{ReadCloser: r.Body, at: r.ContentLength / 2}
	case CutRequest:
		r.Body = cutAt(r.Body, r.ContentLength/2)
	case Repeat:
		p.repeat(r)
	}
	if a, ok := refusals[f]; ok {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(a.status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>by a fault</Message></Error>", a.code)
		return
	}
	p.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), faultKey{}, f)))
}

// repeat asks the server once and forgets its answer.
func (p *FaultProxy) repeat(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	first := r.Clone(r.Context())
	first.Body = io.NopCloser(bytes.NewReader(body))
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.next.ServeHTTP(httptest.NewRecorder(), first)
}

// answer does what is to be done when the server has answered.
func (p *FaultProxy) answer(r *http.Response) error {
	f, _ := r.Request.Context().Value(faultKey{}).(Fault)
	empty := r.ContentLength == 0 || r.Request.Method == http.MethodHead
	switch {
	case f == CutAfter:
		p.done(f)
		return errCut
	case f == DropChecksums:
		return p.dropChecksums(r)
	case empty:
	case f == FlipAnswer:
		p.done(f)
		r.Body = &flipped{ReadCloser: r.Body, at: max(r.ContentLength, 0) / 2}
	case f == CutAnswer:
		p.done(f)
		r.Body = cutAt(r.Body, max(r.ContentLength, 0)/2)
	case f == Truncate:
		p.done(f)
		return rewrite(r, func(b []byte) []byte { return b[:len(b)/2] })
	}
	return nil
}

// dropChecksums takes our checksums out of what the store says of an object.
func (p *FaultProxy) dropChecksums(r *http.Response) error {
	p.done(DropChecksums)
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") {
			r.Header.Del(name)
		}
	}
	if r.Request.Method != http.MethodPost {
		return nil
	}
	return rewrite(r, func(b []byte) []byte {
		const open, end = "<ChecksumCRC64NVME>", "</ChecksumCRC64NVME>"
		before, rest, found := bytes.Cut(b, []byte(open))
		_, after, ended := bytes.Cut(rest, []byte(end))
		if !found || !ended {
			return b
		}
		return slices.Concat(before, after)
	})
}

// rewrite replaces the body of an answer, which says its new length.
func rewrite(r *http.Response, f func([]byte) []byte) error {
	b, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return err
	}
	b = f(b)
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
	r.Header.Set("Content-Length", fmt.Sprint(len(b)))
	return nil
}

// flipped changes one byte of a stream.
type flipped struct {
	io.ReadCloser
	at, pos int64
}

func (f *flipped) Read(b []byte) (int, error) {
	n, err := f.ReadCloser.Read(b)
	if i := f.at - f.pos; 0 <= i && i < int64(n) {
		b[i] ^= 1
	}
	f.pos += int64(n)
	return n, err
}

// cutAt ends a stream after n bytes as a broken connection does.
func cutAt(r io.ReadCloser, n int64) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(r, n), broken{}), r}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errCut }
