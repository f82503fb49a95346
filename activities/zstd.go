package activities

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"lightfast/internal/budget"
)

// zstdWindow is the largest that a writer of the format may use: what a
// decoder needs in memory follows from it, whatever a frame asks for.
const zstdWindow = 8 << 20

// What compressors take beside their buffers, on Go's heap. TestMemoryOf…
// hold them against what is allocated.
const (
	encoderMemory = 5 << 20    // one of encoders
	decoderMemory = 1536 << 10 // beside its window
)

// encoders all have the same settings, and one thread each: the same content
// always becomes the same bytes, so that a part can be made again after a kill.
// What nobody uses the collector takes. A window of 1 MiB is 2 % behind one of
// 8 MiB on databases (docs/decisions.md), and takes 7 MiB less.
var encoders = sync.Pool{New: func() any {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		panic(err) // options that do not fit each other
	}
	return enc
}}

// compress writes to w the one frame that holds the size bytes which from
// writes. It holds encoderMemory. How from cuts its writes does not matter.
func compress(w io.Writer, size int64, from func(io.Writer) error) error {
	enc := encoders.Get().(*zstd.Encoder)
	enc.ResetContentSize(w, size)
	// Without ReadFrom, which ends the last block in another way.
	if err := from(struct{ io.Writer }{enc}); err != nil {
		return err // enc may be in the middle of a block: the collector takes it
	}
	if err := enc.Close(); err != nil {
		return err
	}
	enc.Reset(nil)
	encoders.Put(enc)
	return nil
}

// pack compresses content into room, and reports whether it fits.
func pack(content, room []byte) (packed []byte, ok bool, err error) {
	to := &bounded{b: room[:0:len(room)]}
	err = compress(to, int64(len(content)), func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	if errors.Is(err, errNoGain) {
		return nil, false, nil
	}
	return to.b, err == nil, err
}

// errNoGain means that content does not become smaller by enough.
var errNoGain = errors.New("compression does not pay")

// bounded takes what fits its buffer.
type bounded struct{ b []byte }

func (b *bounded) Write(p []byte) (int, error) {
	if len(p) > cap(b.b)-len(b.b) {
		return 0, errNoGain
	}
	b.b = append(b.b, p...)
	return len(p), nil
}

// decompressor is the content of one compressed blob, with the lease of what
// decoding it takes.
type decompressor struct {
	*zstd.Decoder
	buf   []byte // for whoever copies
	lease *budget.Lease
}

// decompress begins to read the blob r, whose content has size bytes. The
// caller closes.
func decompress(ctx context.Context, b *budget.Budget, r io.Reader, size int64) (*decompressor, error) {
	buf := bufio.NewReaderSize(r, 4<<10)
	head, err := buf.Peek(zstd.HeaderMaxSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	window := windowOf(head, size)
	lease, err := b.AcquireBeside(ctx, readBuffer, int64(window)+decoderMemory, true)
	if errors.Is(err, budget.ErrTooLarge) {
		return nil, &fileProblem{why: fmt.Sprintf("to decompress it takes a --memory of %d MiB", 2*(window+readBuffer+decoderMemory)>>20+1)}
	} else if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(buf, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		lease.Release()
		return nil, err
	}
	return &decompressor{dec, lease.Buffer(), lease}, nil
}

func (d *decompressor) Close() {
	d.Decoder.Close()
	d.lease.Release()
}

// windowOf returns the window that a blob needs: what its first frame says, if
// that has the whole content, else the most that there is. A further frame
// may ask for more, and what is no frame for anything.
func windowOf(head []byte, size int64) uint64 {
	var h zstd.Header
	if err := h.Decode(head); err != nil || !h.HasFCS || size < 0 || h.FrameContentSize != uint64(size) {
		return zstdWindow
	}
	window := h.WindowSize
	if h.SingleSegment {
		window = h.FrameContentSize
	}
	return min(max(window, zstd.MinWindowSize), zstdWindow)
}
