package sqlite

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// wal is what counts of a write-ahead log: everything up to its last commit
// (sqlite.org/fileformat2.html, section 4). Its zero value is one without a
// commit.
type wal struct {
	pageSize int64
	frames   int64
	pages    int64 // of the database after the last commit
}

const (
	walHeader   = 32
	frameHeader = 24
	walMagic    = 0x377f0682 // its lowest bit says how checksums read numbers
	walVersion  = 3007000
)

// readWAL finds the last commit, as SQLite does when it recovers: a frame
// counts while its salts are those of the header and its checksum, which goes
// on from the one before, is right.
func readWAL(ctx context.Context, f io.Reader) (w wal, err error) {
	r := bufio.NewReaderSize(f, 1<<20)
	var h [walHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return w, notEOF(err)
	}
	magic, pageSize := binary.BigEndian.Uint32(h[:]), int64(binary.BigEndian.Uint32(h[8:]))
	if magic&^1 != walMagic || pageSize < 512 || pageSize > 65536 || pageSize&(pageSize-1) != 0 {
		return w, nil
	}
	sum := checksum{order: binary.LittleEndian}
	if magic&1 != 0 {
		sum.order = binary.BigEndian
	}
	if sum.add(h[:24]); !sum.is(h[24:]) {
		return w, nil
	}
	if v := binary.BigEndian.Uint32(h[4:]); v != walVersion {
		return w, fmt.Errorf("write-ahead log of an unknown version (%d)", v)
	}
	w.pageSize = pageSize
	frame := make([]byte, frameHeader+pageSize)
	for n := int64(1); ; n++ {
		if _, err := io.ReadFull(r, frame); err != nil {
			return w, notEOF(err)
		}
		sum.add(frame[:8])
		sum.add(frame[frameHeader:])
		if string(frame[8:16]) != string(h[16:24]) || binary.BigEndian.Uint32(frame) == 0 || !sum.is(frame[16:]) {
			return w, nil
		}
		if pages := int64(binary.BigEndian.Uint32(frame[4:])); pages != 0 {
			w.frames, w.pages = n, pages
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return w, ctx.Err()
		}
	}
}

// fold writes the pages of the log into the database that it belongs to, as a
// checkpoint does: byte for byte the same, and without looking into them, so
// that it works on a damaged database too.
func (w wal) fold(ctx context.Context, log io.Reader, db *os.File) error {
	if w.frames == 0 {
		return nil
	}
	r := bufio.NewReaderSize(log, 1<<20)
	if _, err := r.Discard(walHeader); err != nil {
		return err
	}
	frame := make([]byte, frameHeader+w.pageSize)
	for n := range w.frames {
		if _, err := io.ReadFull(r, frame); err != nil {
			return err
		}
		page := int64(binary.BigEndian.Uint32(frame))
		if _, err := db.WriteAt(frame[frameHeader:], (page-1)*w.pageSize); err != nil {
			return err
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return db.Truncate(w.pages * w.pageSize)
}

// checksum is the running one of a log.
type checksum struct {
	order  binary.ByteOrder
	s0, s1 uint32
}

func (c *checksum) add(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		c.s0 += c.order.Uint32(b) + c.s1
		c.s1 += c.order.Uint32(b[4:]) + c.s0
	}
}

func (c *checksum) is(stored []byte) bool {
	return c.s0 == binary.BigEndian.Uint32(stored) && c.s1 == binary.BigEndian.Uint32(stored[4:])
}

// notEOF: a log may end anywhere.
func notEOF(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
