package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/minio/crc64nvme"
	"go.temporal.io/sdk/activity"

	"lightfast/catalog"
	"lightfast/internal/exit"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/photos"
)

// ItemInput names one item of a plan.
type ItemInput struct {
	Epoch catalog.Epoch `json:"epoch"`
	Item  int64         `json:"item"`
	Name  string        `json:"name"`
	Lane  string        `json:"lane"`
}

// Outcome of an activity for one item, as its lane acts on it. Everything
// that counts is in the catalog.
type Outcome string

const (
	OutcomeDone Outcome = "done"
	// HandedOver: a small asset that failed or stood still is now lane large's.
	HandedOver Outcome = "handed over"
	// StoreAway: the store does not answer; the asset is still to do.
	StoreAway Outcome = "store away"
)

// inlineMost is the largest resource that lies in its page: an object and a
// request each would cost more than the bytes.
const inlineMost = 16 << 10

// changedTries is how often a file that keeps changing is read.
const changedTries = 4

// StoreAsset stores every resource of one asset that can be read now, and
// writes the asset's row. Lane small runs it as a local activity, lane large
// as a regular one with heartbeats and retries.
func (a *Activities) StoreAsset(ctx context.Context, in ItemInput) (Outcome, error) {
	r, err := a.run(ctx, in.Epoch)
	if err != nil {
		return "", toTemporal(err)
	}
	state, err := a.Catalog.ItemState(ctx, in.Epoch, in.Item)
	if err != nil {
		return "", toTemporal(err)
	}
	if state != catalog.ToDo { // done by an attempt that nobody heard of
		return OutcomeDone, nil
	}
	end := a.Progress.begin(in.Name)
	size, err := a.storeAsset(ctx, r, in)
	end(err == nil, size)
	if err == nil || ctx.Err() != nil {
		return OutcomeDone, err
	}
	return a.failed(ctx, r, in, err)
}

// failed decides what becomes of an asset that could not be stored now.
func (a *Activities) failed(ctx context.Context, r *openRun, in ItemInput, err error) (Outcome, error) {
	away := objectstore.ClassOf(err) == objectstore.Unavailable || objectstore.ClassOf(err) == objectstore.Throttled
	switch err = destination(r.doc.Dest, err); {
	case exit.CodeOf(err) == exit.Destination:
		return "", toTemporal(err)
	case in.Lane == Small && away:
		return StoreAway, nil
	case in.Lane == Small:
		a.Log.Warn("asset handed over", "asset", in.Name, "err", err)
		return HandedOver, toTemporal(a.Catalog.HandOver(ctx, in.Epoch, in.Item, Large))
	case away && a.Now().Sub(activity.GetInfo(ctx).ScheduledTime) > r.doc.GiveUp:
		return "", toTemporal(&exit.Error{Code: exit.Destination, What: "destination " + r.doc.Dest, Err: err,
			Do: "run the same command again when it is back: it goes on where it stopped"})
	}
	return "", toTemporal(err)
}

// storing is one asset on its way.
type storing struct {
	*openRun
	a     *Activities
	item  int64
	name  string
	asset photos.Asset
	try   int32

	out      catalog.Outcome
	blobs    []catalog.Blob
	fresh    map[int]manifest.Resource
	unread   map[int]photos.Reason
	problems []Problem
}

// Problem is something that a person should know of one resource.
type Problem struct {
	Asset    string `json:"asset"`
	Resource string `json:"resource,omitempty"`
	Problem  string `json:"problem"`
}

func (a *Activities) storeAsset(ctx context.Context, r *openRun, in ItemInput) (size int64, err error) {
	doc, line, err := a.Catalog.Docs(ctx, in.Item)
	if err != nil {
		return 0, err
	}
	old, err := manifest.DecodeAsset(line)
	if err != nil {
		return 0, err
	}
	s := &storing{openRun: r, a: a, item: in.Item, name: in.Name, try: activity.GetInfo(ctx).Attempt,
		fresh: map[int]manifest.Resource{}, unread: map[int]photos.Reason{}}
	if err := json.Unmarshal(doc, &s.asset); err != nil {
		return 0, fmt.Errorf("asset %s in the catalog: %w", in.Name, err)
	}
	match := newMatcher(old)
	for i, res := range s.asset.Resources {
		before := match.take(res)
		if !res.Present() {
			continue
		}
		size += max(res.Size, 0)
		if known, err := s.reuse(ctx, i, before, res); err != nil {
			return 0, err
		} else if known {
			continue
		}
		if err := s.read(ctx, i, res); err != nil {
			return 0, err
		}
	}
	return size, s.record(ctx, old)
}

// reuse takes over what is stored already, if the repository still has it.
func (s *storing) reuse(ctx context.Context, i int, old *manifest.Resource, res photos.Resource) (bool, error) {
	if !unchanged(old, res) {
		return false, nil
	}
	if old.Key != "" {
		if _, ok, err := s.a.Catalog.Blob(ctx, s.repo, *old.SHA256); err != nil || !ok {
			return false, err
		}
	}
	s.fresh[i] = *old
	return true, nil
}

// read stores one resource. A library that cannot give it is noted and is no
// error; whatever else fails is.
func (s *storing) read(ctx context.Context, i int, res photos.Resource) error {
	m, err := s.store1(ctx, res)
	switch {
	case err == nil:
		s.fresh[i] = m
	case ctx.Err() != nil || objectstore.ClassOf(err) != "":
		return err
	case errors.Is(err, photos.ErrChanged) && s.try < changedTries:
		return err
	case errors.Is(err, fs.ErrNotExist):
		s.cannot(i, res, "it left the library during the run")
	case errors.Is(err, photos.ErrChanged):
		s.cannot(i, res, "it changes faster than it can be read")
	case isSourceFailure(err):
		s.cannot(i, res, err.Error())
	default:
		return err
	}
	return nil
}

func (s *storing) cannot(i int, res photos.Resource, why string) {
	s.unread[i] = photos.Unavailable
	s.problems = append(s.problems, Problem{Asset: s.name, Resource: res.Name, Problem: why})
	s.a.Log.Warn("resource cannot be read", "asset", s.asset.ID, "role", res.Role, "err", why)
}

// isSourceFailure tells an error of reading a file from one of the catalog or
// of our own: only the former is the asset's fault.
func isSourceFailure(err error) bool {
	_, path := errors.AsType[*fs.PathError](err)
	return path || errors.Is(err, io.ErrUnexpectedEOF)
}

func (s *storing) record(ctx context.Context, old manifest.Asset) error {
	r, err := row{asset: s.asset, old: old, fresh: s.fresh, unread: s.unread, now: s.doc.ScannedAt}.build()
	if err != nil {
		return err
	}
	line, err := manifest.EncodeAsset(r)
	if err != nil {
		return err
	}
	s.out.State = catalog.Done
	if len(s.problems) > 0 {
		s.out.State = catalog.Failed
		if s.out.Error, err = json.Marshal(s.problems); err != nil {
			return err
		}
	}
	return s.a.Catalog.StoreAsset(ctx, s.epoch, s.repo, s.item, line, figures(r), s.blobs, s.out)
}

// content is what was read of a resource.
type content struct {
	sum         [32]byte
	crc         uint64
	size        int64
	fingerprint string
}

func (s *storing) store1(ctx context.Context, res photos.Resource) (manifest.Resource, error) {
	r, err := s.source.Open(ctx, res)
	if err != nil {
		return manifest.Resource{}, err
	}
	defer r.Close()
	if r.Size() <= smallAsset {
		return s.storeSmall(ctx, res, r)
	}
	return s.storeLarge(ctx, res, r)
}

// storeSmall reads a resource once into a leased buffer, hashes it there, and
// sends that buffer in one request.
func (s *storing) storeSmall(ctx context.Context, res photos.Resource, r photos.Reader) (manifest.Resource, error) {
	lease, err := s.a.Budget.Acquire(ctx, max(r.Size(), 1), true)
	if err != nil {
		return manifest.Resource{}, err
	}
	defer lease.Release()
	buf := lease.Buffer()[:r.Size()]
	if _, err := io.ReadFull(r, buf); err != nil {
		return manifest.Resource{}, fmt.Errorf("read %s: %w", res.Name, err)
	}
	if err := r.Unchanged(); err != nil {
		return manifest.Resource{}, err
	}
	c := content{sum: sha256.Sum256(buf), size: r.Size()}
	if res.Fingerprint != "" {
		f := photos.NewFingerprint()
		f.Write(buf)
		c.fingerprint = f.String()
	}
	m := stored(res, c)
	if inlined(res, c.size) {
		m.Inline, m.Key, m.StoredSize = append([]byte{}, buf...), "", 0
		s.out.Fresh++
		return m, nil
	}
	if known, err := s.known(ctx, &m); known || err != nil {
		return m, err
	}
	info, err := s.openRun.store.Put(ctx, m.Key, bytes.NewReader(buf), c.size, c.sum, putOptions(res))
	if errors.Is(err, objectstore.Exists) {
		c.crc = crc64nvme.Checksum(buf)
		return m, s.accept(ctx, m, info, c)
	}
	if err != nil {
		return m, err
	}
	s.sent(c.size)
	s.stored(m)
	return m, nil
}

// stored describes a resource whose content is c, kept as a plain blob.
func stored(res photos.Resource, c content) manifest.Resource {
	m := describe(res)
	sum := manifest.Hash(c.sum)
	m.SHA256, m.Size, m.Key = &sum, c.size, manifest.BlobKey(sum, manifest.Extension(res.Name))
	if res.Fingerprint != "" && c.fingerprint != res.Fingerprint && m.Warning == "" {
		m.Warning = string(photos.FingerprintMismatch)
	}
	return m
}

// inlined: recipes and sidecars, which nobody views in a bucket.
func inlined(res photos.Resource, size int64) bool {
	return size <= inlineMost && (res.Role == photos.RoleAdjustment || res.Role == photos.RoleSidecar)
}

// known looks a content up in the catalog. Whatever its extension was when it
// was stored first, that is the key.
func (s *storing) known(ctx context.Context, m *manifest.Resource) (bool, error) {
	b, ok, err := s.a.Catalog.Blob(ctx, s.repo, *m.SHA256)
	if err != nil || !ok {
		return false, err
	}
	m.Key, m.Encoding = b.Key, b.Encoding
	s.out.Known++
	return true, nil
}

func (s *storing) stored(m manifest.Resource) {
	s.out.Fresh++
	s.out.Bytes += m.Size
	s.blobs = append(s.blobs, blobOf(m))
}

func (s *storing) sent(n int64) {
	s.out.Sent += n
	s.a.Progress.sent(n)
}

// accept takes an object that was there before us as ours if its content is.
func (s *storing) accept(ctx context.Context, m manifest.Resource, info objectstore.Info, c content) error {
	same, err := sameContent(ctx, s.openRun.store, info, c)
	if err != nil {
		return err
	}
	if !same {
		return &exit.Error{Code: exit.Destination, What: "object " + m.Key, Err: errors.New("its content is not what its name says"),
			Do: "move it away and run the same command again"}
	}
	s.out.Known++
	s.blobs = append(s.blobs, blobOf(m))
	return nil
}

// sameContent compares an object with what we hold: by the checksum that the
// store keeps, else by reading it.
func sameContent(ctx context.Context, store objectstore.Store, info objectstore.Info, c content) (bool, error) {
	switch {
	case info.Size != c.size:
		return false, nil
	case info.SHA256 != nil:
		return *info.SHA256 == c.sum, nil
	case info.CRC64 != nil && c.crc != 0:
		return *info.CRC64 == c.crc, nil
	}
	body, err := store.Get(ctx, info.Key, 0, -1)
	if err != nil {
		return false, err
	}
	defer body.Close()
	h := sha256.New()
	if _, err := io.Copy(h, body); err != nil {
		return false, err
	}
	return [32]byte(h.Sum(nil)) == c.sum, nil
}

// putOptions show a blob in a bucket browser as what it is.
func putOptions(res photos.Resource) objectstore.PutOptions {
	return objectstore.PutOptions{ContentType: contentType(res.Name), Filename: res.Name}
}

// AwaitStore returns when the destination answers again, and gives up after
// the time that the user set.
func (a *Activities) AwaitStore(ctx context.Context, e catalog.Epoch) error {
	r, err := a.run(ctx, e)
	if err != nil {
		return toTemporal(err)
	}
	defer heartbeat(ctx)()
	defer a.Progress.wait("destination " + r.doc.Dest)()
	since := activity.GetInfo(ctx).ScheduledTime
	for {
		_, err := r.store.Stat(ctx, manifest.ConfigKey)
		if err == nil {
			return nil
		}
		if err := destination(r.doc.Dest, err); exit.CodeOf(err) == exit.Destination {
			return toTemporal(err)
		}
		if a.Now().Sub(since) > r.doc.GiveUp {
			return toTemporal(&exit.Error{Code: exit.Destination, What: "destination " + r.doc.Dest, Err: err,
				Do: "run the same command again when it is back: it goes on where it stopped"})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
