package protocol_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lightfast/photos/photokit/protocol"
)

func TestMessagesSurviveThePipe(t *testing.T) {
	var pipe bytes.Buffer
	w, r := protocol.NewWriter(&pipe), protocol.NewReader(iotest.OneByteReader(&pipe))
	requests := []protocol.Request{
		{Op: protocol.Shows, ID: 1, Assets: []string{"A", "B"}},
		{Op: protocol.Fetch, ID: 1 << 40, Asset: "é\x00\"", Resource: &protocol.Resource{Index: 2, Type: 9, Name: "IMG_0001.MOV", Size: -1}, File: "/x"},
	}
	for _, q := range requests {
		if err := w.Message(q); err != nil {
			t.Fatal(err)
		}
		var got protocol.Request
		if err := r.Message(&got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(q, got); diff != "" {
			t.Errorf("request (-sent +read):\n%s", diff)
		}
	}
	a := protocol.Answer{Op: protocol.Fetch, ID: 7, Size: 1 << 41, Fraction: 0.5, Problems: []protocol.Problem{{Missing: true, Text: "x"}},
		Error: protocol.Chain{{Domain: "PHPhotosErrorDomain", Code: -1}, {Domain: "CKErrorDomain", Code: 9, Text: "not signed in"}}}
	if err := w.Message(a); err != nil {
		t.Fatal(err)
	}
	var got protocol.Answer
	if err := r.Message(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, got); diff != "" {
		t.Errorf("answer (-sent +read):\n%s", diff)
	}
	if err := r.Message(&got); err != io.EOF {
		t.Errorf("at the end: %v, want io.EOF", err)
	}
}

func TestDataIsCutIntoFrames(t *testing.T) {
	for _, n := range []int{0, 1, protocol.MaxFrame, protocol.MaxFrame + 1, 3*protocol.MaxFrame - 1} {
		sent := bytes.Repeat([]byte("abcdefg"), n/7+1)[:n]
		var pipe, got bytes.Buffer
		if err := protocol.NewWriter(&pipe).Data(sent); err != nil {
			t.Fatal(err)
		}
		for r := protocol.NewReader(&pipe); ; {
			k, b, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil || k != protocol.Data || len(b) > protocol.MaxFrame {
				t.Fatalf("frame of kind %q with %d bytes, %v", byte(k), len(b), err)
			}
			got.Write(b)
		}
		if !bytes.Equal(sent, got.Bytes()) {
			t.Errorf("%d bytes sent are not the %d that came", n, got.Len())
		}
	}
}

func TestWriterRefusesWhatNoReaderTakes(t *testing.T) {
	w := protocol.NewWriter(io.Discard)
	if err := w.Message(protocol.Request{Asset: strings.Repeat("x", protocol.MaxFrame)}); err == nil {
		t.Error("a message larger than a frame was sent")
	}
	ids := make([]string, protocol.MaxAssets)
	for i := range ids {
		ids[i] = "D79B8D77-BFFC-460B-9312-034F2877D35B"
	}
	if err := w.Message(protocol.Request{Op: protocol.Shows, Assets: ids}); err != nil {
		t.Errorf("as many assets as may be asked for: %v", err)
	}
	if err := protocol.NewWriter(errorWriter{}).Data([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Data into a closed pipe: %v", err)
	}
}

type errorWriter struct{}

func (errorWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestReaderNamesWhatIsNoFrame(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want error // nil: any
	}{
		{"", io.EOF},
		{"M\x00", io.ErrUnexpectedEOF},
		{"M\x00\x00\x00\x05{\"", io.ErrUnexpectedEOF},
		{"X\x00\x00\x00\x00", nil},
		{"D\xff\xff\xff\xff", nil},
		{"D\x00\x04\x00\x01", nil}, // one more than MaxFrame
		{"D\x00\x00\x00\x01x", nil},
		{"M\x00\x00\x00\x01{", nil},
	} {
		err := protocol.NewReader(strings.NewReader(tt.in)).Message(new(protocol.Answer))
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("Message of %q: %v, want %v", tt.in, err, tt.want)
		}
	}
}

// FuzzReader: whatever comes, each frame read is one that the writer would
// write, byte for byte, and no more is held than one frame.
func FuzzReader(f *testing.F) {
	var pipe bytes.Buffer
	w := protocol.NewWriter(&pipe)
	w.Message(protocol.Answer{Op: protocol.Hello, Version: 1, Status: 3})
	w.Data([]byte("content"))
	f.Add(pipe.Bytes())
	f.Add([]byte("M\x00\x00\x00\x02{}D\x00\x00\x00\x00"))
	f.Add([]byte("D\xff\xff\xff\xffx"))
	f.Add([]byte("M\x00\x03\xff\xff{"))
	f.Fuzz(func(t *testing.T, in []byte) {
		rest := in
		for r := protocol.NewReader(bytes.NewReader(in)); ; {
			k, b, err := r.Next()
			if err != nil {
				if len(rest) == 0 && err != io.EOF {
					t.Errorf("after all frames: %v, want io.EOF", err)
				}
				return
			}
			if len(b) > protocol.MaxFrame {
				t.Fatalf("frame of %d bytes", len(b))
			}
			head := binary.BigEndian.AppendUint32([]byte{byte(k)}, uint32(len(b)))
			if !bytes.HasPrefix(rest, append(head, b...)) {
				t.Fatalf("frame %q %q is not what stands at %q", byte(k), b, rest)
			}
			rest = rest[5+len(b):]
			var a protocol.Answer
			if k == protocol.Message && json.Unmarshal(b, &a) == nil { // what was understood can be said again
				var pipe bytes.Buffer
				if err := protocol.NewWriter(&pipe).Message(a); err != nil {
					continue // longer than a frame, once escaped
				}
				var again protocol.Answer
				if err := protocol.NewReader(&pipe).Message(&again); err != nil {
					t.Fatalf("answer %+v: %v", a, err)
				}
				if diff := cmp.Diff(a, again, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("answer %s (-read +again):\n%s", b, diff)
				}
			}
		}
	})
}
