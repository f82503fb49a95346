package photokit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"

	"lightfast/photos"
	"lightfast/photos/photokit/protocol"
)

// Fetch implements photos.Fetcher: the framework writes the file itself, so
// that no byte passes through a pipe and a copy may cost no room.
func (c *Client) Fetch(ctx context.Context, id photos.AssetID, r photos.Resource, path string, moved func()) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "fetch", Path: path, Err: fs.ErrExist}
	}
	err = c.fetch(ctx, id, r, func(ctx context.Context, h *helper, w wanted) error {
		remove(path) // what the attempt before has left
		l := c.limits(w, 0)
		l.file, l.moved = path, moved
		err := h.guarded(ctx, l, func(q *request) error {
			a, err := h.answer(q, protocol.Request{Op: protocol.Fetch, Asset: string(id), Resource: &w.Resource, File: path}, nil)
			if err == nil && len(a.Error) > 0 {
				err = failure(a.Error)
			}
			return err
		})
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		switch {
		case err != nil:
			return w.unfit("no file", err)
		case !info.Mode().IsRegular():
			return w.unfit("no regular file but "+info.Mode().String(), nil)
		}
		return w.check(info.Size())
	})
	if err != nil {
		remove(path)
	}
	return err
}

// remove deletes what a failed attempt has written: no helper writes to it any
// more. What cannot be removed is found by the next attempt.
func remove(path string) { _ = os.Remove(path) }

// Push implements photos.Fetcher. A helper that is replaced half way is asked
// for the same bytes again; those that w has already are compared, not
// written.
func (c *Client) Push(ctx context.Context, id photos.AssetID, r photos.Resource, w io.Writer) error {
	to := &pushed{w: w, sum: sha256.New()}
	return c.fetch(ctx, id, r, func(ctx context.Context, h *helper, want wanted) error {
		to.begin(want)
		err := h.guarded(ctx, c.limits(want, c.o.Grace), func(q *request) error {
			a, err := h.answer(q, protocol.Request{Op: protocol.Fetch, Asset: string(id), Resource: &want.Resource}, func(b []byte) {
				if !q.over.Load() && to.take(b) != nil {
					q.over.Store(true)
				}
			})
			if to.err != nil {
				return to.err
			}
			if err == nil && len(a.Error) > 0 {
				err = failure(a.Error)
			}
			return err
		})
		if err != nil {
			return err
		}
		return to.finish()
	})
}

// pushed is what a writer has got of a resource, over all attempts.
type pushed struct {
	w    io.Writer
	n    int64
	sum  hash.Hash // of those n bytes
	want wanted

	again int64     // bytes of this attempt that the writer has already
	same  hash.Hash // of those, until they are all that the writer has
	err   error     // of this attempt
}

func (p *pushed) begin(w wanted) { p.want, p.again, p.same, p.err = w, 0, sha256.New(), nil }

func (p *pushed) take(b []byte) error {
	if old := min(p.n-p.again, int64(len(b))); old > 0 {
		p.same.Write(b[:old])
		p.again += old
		b = b[old:]
		if p.again == p.n && string(p.same.Sum(nil)) != string(p.sum.Sum(nil)) {
			p.err = p.want.final("other bytes than at the attempt before", nil)
			return p.err
		}
	}
	if len(b) == 0 {
		return nil
	}
	if p.want.size > 0 && p.n+int64(len(b)) > p.want.size {
		p.err = p.want.unfit("more than "+humanize.Comma(p.want.size)+" bytes", nil)
		return p.err
	}
	n, err := p.w.Write(b)
	p.sum.Write(b[:n])
	p.n, p.again = p.n+int64(n), p.again+int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	p.err = err
	return err
}

func (p *pushed) finish() error {
	if p.again < p.n {
		return p.want.unfit(humanize.Comma(p.again)+" bytes, after "+humanize.Comma(p.n)+" at an attempt before", nil)
	}
	return p.want.check(p.n)
}

// fetch finds the resource and calls get, in helper after helper. An asset that
// is edited meanwhile has other resources: they are looked at once more.
func (c *Client) fetch(ctx context.Context, id photos.AssetID, r photos.Resource, get func(context.Context, *helper, wanted) error) error {
	return c.try(ctx, func(ctx context.Context, h *helper) error {
		if err := h.permitted(); err != nil {
			return err
		}
		for again := false; ; again = true {
			a, err := h.ask(ctx, protocol.Request{Op: protocol.Resources, Asset: string(id)}, c.o.QuietLocal)
			if err != nil {
				return err
			}
			w, err := choose(r, a.Resources)
			if err != nil {
				return err
			}
			err = get(ctx, h, w)
			if n, ok := errors.AsType[*nsError](err); again || !ok || !n.is(protocol.HelperDomain, protocol.Changed) {
				return err
			}
		}
	})
}

func (c *Client) limits(w wanted, grace time.Duration) limits {
	l := limits{quiet: c.o.Quiet, grace: grace}
	if w.Local {
		l.quiet = c.o.QuietLocal
	}
	if w.size > 0 {
		l.total = c.o.Least + time.Duration(float64(w.size)/float64(c.o.Slowest)*float64(time.Second))
	}
	return l
}

// wanted is a resource of the framework, and what it must be.
type wanted struct {
	protocol.Resource
	role photos.Role
	size int64 // -1: nobody knows
}

func (w wanted) check(n int64) error {
	switch {
	case w.size > 0 && n != w.size:
		return w.unfit(fmt.Sprintf("%s bytes instead of %s", humanize.Comma(n), humanize.Comma(w.size)), nil)
	case n == 0:
		return w.unfit("nothing", nil)
	}
	return nil
}

// unfit is a success of the framework that is none. A second helper may do
// better, a third will not.
func (w wanted) unfit(came string, err error) error {
	return &restart{most: 2, last: w.final(came, err)}
}

func (w wanted) final(came string, err error) *photos.FetchError {
	return &photos.FetchError{Class: photos.FetchSkip, Unfit: true, Err: err,
		Text: fmt.Sprintf("Photos gave %s as the %s (%s)", came, w.role, w.Name)}
}
