package dir

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"sync"

	"lightfast/objectstore"
)

// largeFile is synced by its own Put before it joins the others: its data
// dominates, and they should not wait for it.
const largeFile = 8 << 20

// Put implements objectstore.Store.
func (s *Store) Put(ctx context.Context, key string, body io.ReaderAt, size int64, sum objectstore.SHA256, _ objectstore.PutOptions) (objectstore.Info, error) {
	info, err := s.put(ctx, key, body, size, sum)
	if errors.Is(err, fs.ErrExist) {
		err = objectstore.Exists
		if there, e := s.Stat(ctx, key); e != nil {
			err = fmt.Errorf("%w: the name belongs to something that is no file", objectstore.Invalid)
		} else {
			info = there
		}
	}
	return info, fail("put", key, err)
}

func (s *Store) put(ctx context.Context, key string, body io.ReaderAt, size int64, sum objectstore.SHA256) (objectstore.Info, error) {
	var none objectstore.Info
	if err := ctx.Err(); err != nil {
		return none, err
	}
	d, name, err := s.folder(key, true)
	if err != nil {
		return none, err
	}
	defer d.Close()
	if _, err := d.Lstat(name); err == nil {
		// Whoever put it may have died before its name was on the disk.
		if err := s.group.commit(ctx, &change{dir: d}); err != nil {
			return none, err
		}
		return none, fs.ErrExist
	}
	t, err := s.temp(d)
	if err != nil {
		return none, err
	}
	defer d.discard(t)
	if err := s.write(ctx, t, 0, body, 0, size); err != nil {
		if e, ok := errors.AsType[*sourceError](err); ok {
			e.key = key
		}
		return none, err
	}
	h := sha256.New()
	if err := readBack(ctx, h, t, 0, size); err != nil {
		return none, err
	}
	if got := objectstore.SHA256(h.Sum(nil)); got != sum {
		return none, fmt.Errorf("%w: read back %x", objectstore.Checksum, got)
	}
	if size > largeFile {
		if err := t.Sync(); err != nil {
			return none, err
		}
	}
	if err := s.group.commit(ctx, &change{dir: d, temp: t, name: name, synced: size > largeFile}); err != nil {
		return none, err
	}
	st, err := t.Stat()
	if err != nil {
		return none, err
	}
	info := infoOf(key, st)
	info.SHA256 = &sum
	return info, nil
}

// buffers spare a quarter megabyte of garbage per small file.
var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// write copies body[from:from+size] to off of w.
func (s *Store) write(ctx context.Context, w io.WriterAt, off int64, body io.ReaderAt, from, size int64) error {
	buf := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buf)
	for done := int64(0); done < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(size-done, int64(len(buf)))]
		if n, err := body.ReadAt(b, from+done); n < len(b) {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return &sourceError{err: err}
		}
		if err := s.line.Up.Wait(ctx, len(b)); err != nil {
			return err
		}
		if _, err := w.WriteAt(b, off+done); err != nil {
			return err
		}
		done += int64(len(b))
	}
	return nil
}

// readBack feeds r[off:off+size] to h.
func readBack(ctx context.Context, h hash.Hash, r io.ReaderAt, off, size int64) error {
	buf := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buf)
	for done := int64(0); done < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(size-done, int64(len(buf)))]
		if n, err := r.ReadAt(b, off+done); n < len(b) {
			return fmt.Errorf("read back: %w", err)
		}
		h.Write(b)
		done += int64(len(b))
	}
	return nil
}
