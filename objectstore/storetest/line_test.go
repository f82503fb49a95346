package storetest_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"go.uber.org/goleak"

	"lightfast/objectstore"
	"lightfast/objectstore/s3"
	"lightfast/objectstore/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that says again what it hears, until its test ends.
func echo(t *testing.T) (endpoint string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer c.Close(); io.Copy(c, c) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return "http://" + l.Addr().String()
}

func line(t *testing.T, endpoint string, shape storetest.Shape) *storetest.Line {
	t.Helper()
	l, err := storetest.NewLine(endpoint, shape)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func connect(t *testing.T, l *storetest.Line) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(l.Endpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// say sends content, ends it, and returns what comes back.
func say(c *net.TCPConn, content []byte) (back []byte, err error) {
	var sending sync.WaitGroup
	sending.Go(func() { c.Write(content); c.CloseWrite() })
	back, err = io.ReadAll(c)
	sending.Wait()
	return back, err
}

// await returns when ok does, and fails when the test is over before.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("it did not happen")
		}
	}
}

func TestLineBringsWhatIsSent(t *testing.T) {
	for _, tt := range []struct {
		name  string
		shape storetest.Shape
		size  int
		least time.Duration // by what it must take, machines being slow or not
	}{
		{"as it is", storetest.Shape{}, 8 << 20, 0},
		{"far away", storetest.Shape{Delay: 25 * time.Millisecond}, 8 << 20, 50 * time.Millisecond},
		{"narrow", storetest.Shape{Rate: 1 << 20}, 1 << 20, 450 * time.Millisecond},
		{"both", storetest.Shape{Delay: 25 * time.Millisecond, Rate: 1 << 20}, 1 << 20, 500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := line(t, echo(t), tt.shape)
			content := storetest.Bytes(1, tt.size)
			began := time.Now()
			back, err := say(connect(t, l), content)
			if err != nil || !bytes.Equal(back, content) {
				t.Fatalf("%d bytes came back, %v, want those %d that were sent", len(back), err, len(content))
			}
			if d := time.Since(began); d < tt.least {
				t.Errorf("it took %v, want %v or more", d, tt.least)
			}
			if up, down := l.Moved(); up != int64(tt.size) || down != int64(tt.size) {
				t.Errorf("Moved() = %d, %d, want %d both ways", up, down, tt.size)
			}
		})
	}
}

func TestLineIsSharedInTurn(t *testing.T) {
	l := line(t, echo(t), storetest.Shape{Rate: 1 << 20})
	var large sync.WaitGroup
	over := make(chan struct{})
	c := connect(t, l)
	large.Go(func() { say(c, make([]byte, 4<<20)); close(over) })
	await(t, func() bool { up, _ := l.Moved(); return up > 0 })
	if _, err := say(connect(t, l), make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-over:
		t.Error("the small one waited for the large one to end")
	default:
	}
	c.Close() // which ends the large one
	large.Wait()
}

func TestNarrowLineHoldsLittle(t *testing.T) {
	l := line(t, echo(t), storetest.Shape{Rate: 256 << 10})
	c := connect(t, l)
	if err := c.SetWriteBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	var written int64
	for written < 512<<10 {
		n, err := c.Write(make([]byte, 4<<10))
		if err != nil {
			t.Fatal(err)
		}
		written += int64(n)
		if up, _ := l.Moved(); written-up > 192<<10 {
			t.Fatalf("%d bytes could be written, and %d of them have passed", written, up)
		}
	}
}

func TestLineToNobodyIsCut(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c := connect(t, line(t, gone.URL, storetest.Shape{}))
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("Read() = %d, nil, want an end", n)
	}
}

func TestTallyCountsWhatIsBrought(t *testing.T) {
	sink, err := storetest.NewSink()
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	tally, err := storetest.NewTally(sink.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer tally.Close()
	s, err := s3.New(t.Context(), s3.Options{Endpoint: tally.Endpoint, Bucket: "photos", Credentials: credentials.NewStaticV4(sink.AccessKey, sink.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	body := storetest.Bytes(1, 100_000)
	for _, key := range []string{"a", "b"} {
		if _, err := s.Put(t.Context(), key, bytes.NewReader(body), int64(len(body)), sha256.Sum256(body), objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := tally.Count(), (storetest.Count{Puts: 2, Bytes: 200_000}); got != want {
		t.Errorf("Count() = %+v, want %+v", got, want)
	}
	// One that ends before it is whole.
	c, err := net.Dial("tcp", strings.TrimPrefix(tally.Endpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "PUT /photos/c HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this")
	await(t, func() bool { return tally.Count().Puts == 3 })
	c.Close()
	await(t, func() bool { return tally.Count().Cut == 1 })
}
