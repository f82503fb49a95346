// Package protocol is what a client and photokit-helper say to each other:
// requests on the helper's standard input, answers on its descriptor 3, one
// request at a time. Both directions carry frames: a kind, a length of four
// bytes (big-endian) and the content, which is JSON or raw data. The first
// frame is the helper's [Hello], which names the version. The end of its input
// ends the helper.
package protocol

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

const (
	// Version is that of frames and messages together: client and helper are
	// built and shipped as a pair, so another one is an error, not a dialect.
	Version = 1

	// MaxFrame bounds a frame's content, and so what a reader may be made to
	// hold.
	MaxFrame = 256 << 10

	// MaxAssets bounds the ids in one request.
	MaxAssets = 1000
)

// Kind of a frame.
type Kind byte

const (
	Message Kind = 'M' // JSON
	Data    Kind = 'D' // bytes of the resource that is being pushed
)

// Op is what a request asks for, and what an answer answers.
type Op string

const (
	Hello     Op = "hello"     // unasked, once
	Authorize Op = "authorize" // may show the system's question, and wait for a person
	Shows     Op = "shows"     // how many of Assets are there
	Resources Op = "resources" // of Asset
	Fetch     Op = "fetch"     // a resource into File, or pushed if that is ""
	Cancel    Op = "cancel"    // the fetch of that ID, which answers all the same
	Progress  Op = "progress"  // of a fetch: an answer before the last
)

// Request is a message to the helper.
type Request struct {
	Op       Op        `json:"op"`
	ID       int64     `json:"id"` // not 0; answers repeat it
	Asset    string    `json:"asset,omitempty"`
	Assets   []string  `json:"assets,omitempty"`
	Resource *Resource `json:"resource,omitempty"`
	File     string    `json:"file,omitempty"`
}

// Answer is a message of the helper.
type Answer struct {
	Op        Op         `json:"op"`
	ID        int64      `json:"id,omitempty"`
	Version   int        `json:"version,omitempty"`  // Hello
	Status    int        `json:"status,omitempty"`   // Hello, Authorize: PHAuthorizationStatus
	Problems  []Problem  `json:"problems,omitempty"` // Hello
	Count     int        `json:"count,omitempty"`    // Shows
	Resources []Resource `json:"resources,omitempty"`
	Fraction  float64    `json:"fraction,omitempty"` // Progress: 0 to 1, as the framework tells it
	Size      int64      `json:"size,omitempty"`     // Fetch: bytes written or pushed
	Error     Chain      `json:"error,omitempty"`    // none is success
}

// Problem is a difference between the framework found and the one expected.
type Problem struct {
	Missing bool   `json:"missing,omitempty"` // nothing works without it
	Text    string `json:"text"`
}

// Resource is one of an asset's, as the framework describes it. Index is its
// place in the list; it counts only together with Type and Name, for the
// asset may be edited at any time.
type Resource struct {
	Index int    `json:"index"`
	Type  int    `json:"type"` // PHAssetResourceType
	Name  string `json:"name"`
	UTI   string `json:"uti,omitempty"`
	Size  int64  `json:"size"`            // -1: not told
	Local bool   `json:"local,omitempty"` // told to be on this disk
}

// HelperDomain is that of the errors that the helper finds itself.
const HelperDomain = "photokit-helper"

// Codes of HelperDomain.
const (
	NoSuchAsset = 404
	Changed     = 409 // the resource is not the one that was listed
	NotStarted  = 500 // the framework gave no request id
	NoError     = 501 // it gave an error that is no NSError
)

// Chain is an NSError and what lies beneath it, the outermost first.
type Chain []NSError

// NSError is the part of Apple's error that can be told.
type NSError struct {
	Domain string `json:"domain"`
	Code   int64  `json:"code"`
	Text   string `json:"text,omitempty"`
}

// Fault is the chain of one error that the helper found itself.
func Fault(code int64, text string) Chain { return Chain{{HelperDomain, code, text}} }

// Writer writes frames. Its methods may be called from many goroutines.
type Writer struct {
	mu sync.Mutex // keeps frames whole
	w  io.Writer
}

func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Message writes v as a frame.
func (w *Writer) Message(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.frame(Message, b)
}

// Data writes b as as many frames as it needs, and keeps nothing of it. It
// blocks as long as the other side does not read.
func (w *Writer) Data(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), MaxFrame)
		if err := w.frame(Data, b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (w *Writer) frame(k Kind, b []byte) error {
	if len(b) > MaxFrame {
		return fmt.Errorf("message of %d bytes, at most %d may be sent", len(b), MaxFrame)
	}
	var head [5]byte
	head[0] = byte(k)
	binary.BigEndian.PutUint32(head[1:], uint32(len(b)))
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.w.Write(b)
	return err
}

// Reader reads frames into one buffer of at most MaxFrame bytes.
type Reader struct {
	r   io.Reader
	buf []byte
}

func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next returns the content of the next frame, which is valid until the next
// call. io.EOF is an end between frames, io.ErrUnexpectedEOF one inside.
func (r *Reader) Next() (Kind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return 0, nil, err
	}
	k, n := Kind(head[0]), binary.BigEndian.Uint32(head[1:])
	if k != Message && k != Data || n > MaxFrame {
		return 0, nil, fmt.Errorf("no frame: kind %#x, %d bytes", head[0], n)
	}
	if uint32(cap(r.buf)) < n {
		r.buf = make([]byte, n)
	}
	b := r.buf[:n]
	if _, err := io.ReadFull(r.r, b); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return k, b, nil
}

// Message reads a frame that must be a message into v.
func (r *Reader) Message(v any) error {
	k, b, err := r.Next()
	if err != nil {
		return err
	}
	if k != Message {
		return fmt.Errorf("frame of kind %#x, want a message", byte(k))
	}
	return json.Unmarshal(b, v)
}
