package dir

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"lightfast/internal/ratelimit"
	"lightfast/objectstore"
)

// Get implements objectstore.Store.
func (s *Store) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	f, err := s.open(ctx, key)
	if err != nil {
		return nil, fail("get", key, err)
	}
	st, err := f.Stat()
	if err == nil && (off < 0 || off > st.Size()) {
		err = fmt.Errorf("%w: offset %d of %d bytes", objectstore.Invalid, off, st.Size())
	}
	if err != nil {
		f.Close()
		return nil, fail("get", key, err)
	}
	if n < 0 {
		n = st.Size() - off
	}
	return &reader{ctx: ctx, key: key, f: f, r: io.NewSectionReader(f, off, n), limit: s.line.Down}, nil
}

func (s *Store) open(ctx context.Context, key string) (*os.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, name, err := s.folder(key, false)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if _, err := d.regular(name); err != nil {
		return nil, err
	}
	// Without O_NONBLOCK a pipe that has just taken the name would hang here.
	return d.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
}

type reader struct {
	ctx context.Context
	key string
	f   *os.File
	r   *io.SectionReader

	limit *ratelimit.Limiter
}

func (r *reader) Read(b []byte) (int, error) {
	n, err := r.r.Read(r.limit.Piece(b))
	if err != nil && err != io.EOF {
		return n, fail("get", r.key, err)
	}
	if limitErr := r.limit.Wait(r.ctx, n); limitErr != nil { // ctx has ended
		return 0, limitErr
	}
	return n, err
}

func (r *reader) Close() error { return r.f.Close() }

// Stat implements objectstore.Store. It knows no checksum: reading the file
// is the only honest way to one.
func (s *Store) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	info, err := s.stat(ctx, key)
	return info, fail("stat", key, err)
}

func (s *Store) stat(ctx context.Context, key string) (objectstore.Info, error) {
	if err := ctx.Err(); err != nil {
		return objectstore.Info{}, err
	}
	d, name, err := s.folder(key, false)
	if err != nil {
		return objectstore.Info{}, err
	}
	defer d.Close()
	st, err := d.regular(name)
	if err != nil {
		return objectstore.Info{}, err
	}
	return infoOf(key, st), nil
}

func infoOf(key string, st fs.FileInfo) objectstore.Info {
	return objectstore.Info{
		Key:      key,
		Size:     st.Size(),
		ETag:     strconv.FormatInt(st.ModTime().UnixNano(), 36) + "-" + strconv.FormatInt(st.Size(), 36),
		Modified: st.ModTime(),
	}
}
