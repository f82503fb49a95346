package activities

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"io/fs"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"lightfast/internal/atomicfile"
	"lightfast/manifest"
	"lightfast/objectstore"
)

const (
	rangedLeast    = 16 << 20 // what is smaller begins anew
	rangeSize      = 8 << 20
	rangesInFlight = 3 // of one file
)

// downloadDoc is what the catalog keeps of a large file on its way.
type downloadDoc struct {
	File  atomicfile.ID `json:"file"`
	ETag  string        `json:"etag"`
	Range int64         `json:"range"`
	Have  []byte        `json:"have"` // a bit for each range that is durable in the file
}

// download is a large file on its way into the target. Ranges of the object
// are written into a file without a name, several at a time and in any order;
// what is durable there is recorded, and a killed process goes on with what is
// missing. The file is trusted with nothing: it is read again and hashed as
// a whole, behind the ranges as they come.
type download struct {
	*writer
	res     manifest.Resource
	f       *atomicfile.File
	doc     downloadDoc
	resumed bool // some of it was there

	sum    hash.Hash
	hashed int   // ranges, from the first one on
	shown  int64 // bytes, in the progress of the run
}

// download returns a file that has the content of res.
func (w *writer) download(ctx context.Context, res manifest.Resource) (*atomicfile.File, error) {
	info, err := w.store.Stat(ctx, res.Key)
	if err != nil {
		return nil, orMissing(err)
	}
	if info.Size != res.Size {
		return nil, errDamagedContent
	}
	for {
		d, err := w.begin(ctx, res, info)
		if err != nil {
			return nil, err
		}
		err = d.run(ctx)
		_, problem := errors.AsType[*fileProblem](err)
		switch {
		case err == nil:
			return d.f, nil
		case !problem:
			return nil, errors.Join(err, d.f.Close())
		}
		d.f.Discard()
		d.show(-d.shown)
		if err != errDamagedContent || !d.resumed {
			return nil, err
		}
		w.Log.Warn("what an earlier attempt left of a file is damaged; it begins anew", "file", res.Name)
	}
}

// begin takes up what an earlier attempt has recorded, if its file is still
// the one and the object too, or begins anew.
func (w *writer) begin(ctx context.Context, res manifest.Resource, info objectstore.Info) (*download, error) {
	d := &download{writer: w, res: res, sum: sha256.New()}
	doc, err := w.Catalog.Download(ctx, w.in.Epoch, w.in.Item, res.Key)
	if err != nil {
		return nil, err
	}
	if doc != nil && json.Unmarshal(doc, &d.doc) == nil { // a record that makes no sense costs reading
		d.f, err = w.target.Reopen(d.doc.File)
		switch {
		case errors.Is(err, atomicfile.ErrBusy):
			return nil, err
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, targetProblem(err)
		case err == nil && d.doc.fits(res, info):
			d.resumed = true
			return d, nil
		case err == nil:
			d.f.Discard()
		}
	}
	if d.f, err = w.target.Create(); err != nil {
		return nil, targetProblem(err)
	}
	d.doc = downloadDoc{ETag: info.ETag, Range: rangeSize, Have: make([]byte, (ranges(res.Size, rangeSize)+7)/8)}
	if d.doc.File, err = d.f.Reserve(res.Size); err != nil {
		d.f.Discard()
		return nil, targetProblem(err)
	}
	return d, nil
}

func ranges(size, each int64) int { return int((size + each - 1) / each) }

func (d downloadDoc) fits(res manifest.Resource, info objectstore.Info) bool {
	return d.ETag == info.ETag && d.File.Size == res.Size && d.Range > 0 && len(d.Have) == (ranges(res.Size, d.Range)+7)/8
}

func (d downloadDoc) has(n int) bool { return d.Have[n/8]&(1<<(n%8)) != 0 }

func (d *download) count() int { return ranges(d.res.Size, d.doc.Range) }

func (d *download) lengthOf(n int) int64 {
	return min(d.doc.Range, d.res.Size-int64(n)*d.doc.Range)
}

// run reads what is missing, and fails unless the whole is what its hash says.
func (d *download) run(ctx context.Context) error {
	lease, err := d.Budget.Acquire(ctx, (rangesInFlight+1)*copyBuffer, false)
	if err != nil {
		return err
	}
	defer lease.Release()
	var missing []int
	for n := range d.count() {
		if d.doc.has(n) {
			d.show(d.lengthOf(n))
		} else {
			missing = append(missing, n)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Without a buffer: what is written and not durable is a range for each reader.
	written, followed := make(chan int), make(chan error, 1)
	go func() {
		err := d.follow(ctx, written, lease.Buffer()[rangesInFlight*copyBuffer:])
		if err != nil {
			cancel()
		}
		for range written { // nobody must wait for us
		}
		followed <- err
	}()
	err = d.fetch(ctx, missing, lease.Buffer(), written)
	close(written)
	if failed := <-followed; failed != nil { // then err is only that it was canceled
		return failed
	}
	if err = cmp.Or(err, ctx.Err()); err != nil {
		return err
	}
	if manifest.Hash(d.sum.Sum(nil)) != *d.res.SHA256 {
		return errDamagedContent
	}
	return nil
}

// fetch reads missing ranges into the file. Those that are whole when another
// one fails are told, too.
func (d *download) fetch(ctx context.Context, missing []int, bufs []byte, written chan<- int) error {
	run, err := d.Catalog.Run(ctx, d.in.Epoch)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for i := range rangesInFlight {
		buf := bufs[i*copyBuffer : (i+1)*copyBuffer]
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(missing) {
					return nil
				}
				if err := d.whilePaused(gctx, run.Workflow); err != nil {
					return err
				}
				if err := d.fetchRange(gctx, missing[i], buf); err != nil {
					return err
				}
				written <- missing[i]
			}
		})
	}
	return g.Wait()
}

func (d *download) fetchRange(ctx context.Context, n int, buf []byte) error {
	off := int64(n) * d.doc.Range
	return d.pour(ctx, d.res, off, off+d.lengthOf(n), buf, func(b []byte, at int64) error {
		_, err := d.f.WriteAt(b, at)
		return err
	})
}

// follow records ranges as they are written and, between that, hashes what is
// there without a gap from the beginning. It ends when written is closed and
// nothing is left to do.
func (d *download) follow(ctx context.Context, written <-chan int, buf []byte) (err error) {
	for open := true; open || d.hashable(ctx); {
		var done []int
		if done, open = takeAll(written, !d.hashable(ctx)); done != nil {
			err = d.record(ctx, done)
		} else if d.hashable(ctx) {
			err = d.hashRange(buf)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// takeAll takes whatever is in c now, and waits for the first if asked to.
func takeAll(c <-chan int, wait bool) (ns []int, open bool) {
	for {
		var n int
		if wait {
			n, open = <-c
		} else {
			select {
			case n, open = <-c:
			default:
				return ns, true
			}
		}
		if !open {
			return ns, false
		}
		ns, wait = append(ns, n), false
	}
}

// record makes ranges durable, then known: also those of a run that is being
// canceled.
func (d *download) record(ctx context.Context, done []int) error {
	if err := d.f.Sync(); err != nil {
		return targetProblem(err)
	}
	for _, n := range done {
		d.doc.Have[n/8] |= 1 << (n % 8)
		d.show(d.lengthOf(n))
	}
	doc, err := json.Marshal(d.doc)
	if err != nil {
		return err
	}
	return d.Catalog.SetDownload(context.WithoutCancel(ctx), d.in.Epoch, d.in.Item, d.res.Key, doc)
}

func (d *download) hashable(ctx context.Context) bool {
	return ctx.Err() == nil && d.hashed < d.count() && d.doc.has(d.hashed)
}

func (d *download) hashRange(buf []byte) error {
	r := io.NewSectionReader(d.f, int64(d.hashed)*d.doc.Range, d.lengthOf(d.hashed))
	for {
		n, err := r.Read(buf)
		d.sum.Write(buf[:n])
		if err == io.EOF {
			d.hashed++
			return nil
		} else if err != nil {
			return targetProblem(err)
		}
	}
}

// show counts bytes in the progress of the run; those of a file that begins
// anew are taken back.
func (d *download) show(n int64) {
	d.shown += n
	d.Progress.part(d.in.Name, n)
}
