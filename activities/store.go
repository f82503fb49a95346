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
	"runtime/debug"
	"slices"
	"time"

	"github.com/minio/crc64nvme"
	"go.temporal.io/sdk/activity"

	"lightfast/catalog"
	"lightfast/internal/budget"
	"lightfast/internal/exit"
	"lightfast/internal/window"
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
	// HandedOver: what is left of the asset is now another lane's: large has
	// the small ones that failed or stood still, cloud what is only there.
	HandedOver Outcome = "handed over"
	// Later: iCloud did not give something; the asset is still to do, after
	// others had their turn.
	Later Outcome = "later"
	// StoreAway: the store does not answer; the asset is still to do.
	StoreAway Outcome = "store away"
	// Stopped: the run was canceled before the asset began.
	Stopped Outcome = "stopped"
)

// inlineMost is the largest resource that lies in its page: an object and a
// request each would cost more than the bytes.
const inlineMost = 16 << 10

// mostTries is how often an asset is tried that fails for another reason than
// a store which is away: it changes while it is read, the store refuses its
// checksum, or nobody knows.
const mostTries = 4

// smallMost is how long an asset may take in lane small, whose workflow task
// stays open meanwhile; Temporal bears half an hour.
const smallMost = 20 * time.Minute

// StoreAsset stores every resource of one asset that can be read now, and
// writes the asset's row. Lane small runs it as a local activity, lane large
// as a regular one with heartbeats and retries.
//
// What is only in iCloud is left to lane cloud, which has the asset when all
// else of it is stored.
func (a *Activities) StoreAsset(ctx context.Context, in ItemInput) (Outcome, error) {
	return a.once(ctx, in, a.storeAsset)
}

// worker does what an item asks for, and returns what it has read and what
// became of the item: OutcomeDone, HandedOver or Later.
type worker func(context.Context, *openRun, ItemInput) (size int64, out Outcome, err error)

// once does what an item of a plan asks for, unless it is done.
func (a *Activities) once(ctx context.Context, in ItemInput, f worker) (Outcome, error) {
	if in.Lane != Small {
		// By the clock, not by the part: on a slow line one takes minutes.
		defer heartbeat(ctx)()
	}
	r, err := a.run(ctx, in.Epoch)
	if in.Lane == Small && isAway(err) {
		return StoreAway, nil
	} else if err != nil {
		return "", toTemporal(err)
	}
	over, err := r.alone(ctx, in.Item)
	if err != nil {
		return "", err
	}
	defer over()
	state, err := a.Catalog.ItemState(ctx, in.Epoch, in.Item)
	if err != nil {
		return "", toTemporal(err)
	}
	if state != catalog.ToDo { // done by an attempt that nobody heard of
		return OutcomeDone, nil
	}
	return a.work(ctx, r, in, f)
}

// work runs one item, and tells its lane what became of it.
func (a *Activities) work(ctx context.Context, r *openRun, in ItemInput, f worker) (Outcome, error) {
	ctx, cancel := r.untilStopped(ctx)
	defer cancel()
	if in.Lane == Small && r.isStopped() {
		return Stopped, nil
	}
	end := a.Progress.begin(in.Name)
	within := ctx
	if in.Lane == Small { // on a line that has become slow it is not small any more
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, smallMost)
		defer cancel()
	}
	size, out, err := f(within, r, in)
	end(err == nil && out == OutcomeDone, size)
	switch {
	case err == nil:
		return out, nil
	case in.Lane == Small && r.isStopped():
		return Stopped, nil
	case ctx.Err() != nil:
		return "", err
	}
	return a.failed(ctx, r, in, err)
}

// failed decides what becomes of an asset that could not be stored now.
func (a *Activities) failed(ctx context.Context, r *openRun, in ItemInput, err error) (Outcome, error) {
	switch err = a.patience(r, err); {
	case exit.CodeOf(err) == exit.Destination:
		return "", toTemporal(err)
	case in.Lane == Small && isAway(err) && !r.answers(ctx):
		return StoreAway, nil
	case in.Lane == Small:
		// Also of a store that answers but does not take this one: lane
		// large waits between its tries, and gives up in the end.
		a.Log.Warn("asset handed over", "asset", in.Name, "err", err)
		return HandedOver, toTemporal(a.Catalog.HandOver(ctx, in.Epoch, in.Item, Large))
	}
	if !isAway(err) {
		r.failedOnce(in.Item)
	}
	return "", toTemporal(err)
}

// patience is destination for a run at work, which ends when the store has
// not answered for as long as the user waits.
func (a *Activities) patience(r *openRun, err error) error {
	if isAway(err) && r.silent(a.Now()) > r.doc.GiveUp {
		return givenUp(r.doc.Dest, err)
	}
	return destination(r.doc.Dest, err)
}

// isAway tells a store that may answer later from everything else.
func isAway(err error) bool {
	return errors.Is(err, objectstore.Unavailable) || errors.Is(err, objectstore.Throttled)
}

// answers asks the store for something that is there.
func (r *openRun) answers(ctx context.Context) bool {
	_, err := r.store.Stat(ctx, manifest.ConfigKey)
	return err == nil
}

func givenUp(dest string, err error) error {
	return &exit.Error{Code: exit.Destination, What: "destination " + dest, Err: err,
		Do: "run the same command again when it is back: it goes on where it stopped"}
}

// storing is one asset on its way.
type storing struct {
	*openRun
	a     *Activities
	item  int64
	name  string
	asset photos.Asset
	try   int // of those that fail for another reason than a store which is away

	out      catalog.Outcome
	blobs    []catalog.Blob
	fresh    map[int]manifest.Resource
	unread   map[int]photos.Reason
	problems []Problem

	toFetch    []int // of asset.Resources, what is still to be brought from iCloud
	fetching   bool  // what is read now comes from there
	notBrought []Problem
}

// Problem is something that a person should know of one resource.
type Problem struct {
	Asset    string `json:"asset"`
	Resource string `json:"resource,omitempty"`
	Problem  string `json:"problem"`

	Class  string `json:"class,omitempty"`  // icloud_… of what did not come from there
	Action string `json:"action,omitempty"` // what to do
}

func (a *Activities) storeAsset(ctx context.Context, r *openRun, in ItemInput) (size int64, out Outcome, err error) {
	doc, line, err := a.Catalog.Docs(ctx, in.Item)
	if err != nil {
		return 0, "", err
	}
	old, err := manifest.DecodeAsset(line)
	if err != nil {
		return 0, "", err
	}
	var scanned scanDoc
	if err := json.Unmarshal(doc, &scanned); err != nil {
		return 0, "", fmt.Errorf("asset %s in the catalog: %w", in.Name, err)
	}
	s := &storing{openRun: r, a: a, item: in.Item, name: in.Name, try: r.failures(in.Item) + 1,
		asset: photos.Asset{ID: photos.AssetID(old.ID), Orphan: old.Orphan, Added: old.Added, Resources: scanned.Resources, MediaToken: scanned.MediaToken},
		fresh: map[int]manifest.Resource{}, unread: map[int]photos.Reason{}, toFetch: scanned.Fetch, notBrought: scanned.NotBrought}
	m := pair(old, s.asset.Resources)
	for i, res := range s.asset.Resources {
		if !res.Present() {
			continue
		}
		if known, err := s.reuse(ctx, i, m.of[i], res); err != nil {
			return 0, "", err
		} else if known {
			continue
		}
		size += max(res.Size, 0)
		if err := s.read(ctx, i, res); err != nil {
			return 0, "", errors.Join(err, s.recordPartial(ctx))
		}
	}
	if len(s.toFetch) == 0 || !r.canFetch() {
		return size, OutcomeDone, s.record(ctx, old)
	}
	if in.Lane != Cloud {
		return size, HandedOver, s.recordOpen(ctx, old)
	}
	for len(s.toFetch) > 0 && r.canFetch() {
		res := s.asset.Resources[s.toFetch[0]]
		if err := s.fetch(ctx, s.toFetch[0], res); errors.Is(err, errLater) {
			return size, Later, s.recordOpen(ctx, old)
		} else if err != nil {
			return 0, "", errors.Join(err, s.recordOpen(ctx, old))
		}
		size += max(res.Size, 0)
		s.toFetch = s.toFetch[1:]
	}
	return size, OutcomeDone, s.record(ctx, old)
}

// recordPartial keeps what the store has acknowledged of an asset that failed
// in one of its later resources.
func (s *storing) recordPartial(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // what is done stays done, cancelled or not
	return s.a.Catalog.AddPartial(ctx, s.epoch, s.repo, s.item, s.blobs, catalog.Outcome{Sent: s.out.Sent, Fresh: s.out.Fresh, Known: s.out.Known, Bytes: s.out.Bytes})
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
	s.fresh[i] = renew(*old, res)
	return true, nil
}

// read stores one resource. A library that cannot give it is noted and is no
// error; whatever else fails is.
func (s *storing) read(ctx context.Context, i int, res photos.Resource) error {
	m, err := s.tryStore(ctx, res)
	class := objectstore.ClassOf(err)
	switch {
	case err == nil:
		s.fresh[i] = m
	case ctx.Err() != nil || isAway(err) || exit.CodeOf(destination(s.doc.Dest, err)) == exit.Destination:
		return err
	case class == "" && errors.Is(err, fs.ErrNotExist):
		s.cannot(i, res, "it left the library during the run")
	case class == "" && isSourceFailure(err):
		s.cannot(i, res, err.Error())
	case s.try < mostTries:
		return err
	case errors.Is(err, photos.ErrChanged):
		s.cannot(i, res, "it changes faster than it can be read")
	default:
		s.cannot(i, res, err.Error())
	}
	return nil
}

// tryStore turns a panic into the failure of one resource: a strange picture
// must not end the run.
func (s *storing) tryStore(ctx context.Context, res photos.Resource) (m manifest.Resource, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.a.Log.Error("panic", "asset", s.asset.ID, "role", res.Role, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.store1(ctx, res)
}

func (s *storing) cannot(i int, res photos.Resource, why string) {
	s.unread[i] = photos.Unavailable
	s.problems = append(s.problems, Problem{Asset: s.name, Resource: res.Name, Problem: why})
	s.a.Log.Warn("resource cannot be read", "asset", s.asset.ID, "role", res.Role, "err", why)
}

// isSourceFailure tells an error of reading a file from one of the catalog or
// of our own: only the former is the asset's fault.
func isSourceFailure(err error) bool {
	if errors.Is(err, fs.ErrClosed) { // by the end of this process's work
		return false
	}
	_, path := errors.AsType[*fs.PathError](err)
	return path || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, fs.ErrInvalid)
}

// record writes the asset's row. What iCloud did not give is no failure of the
// asset but a hole in it.
func (s *storing) record(ctx context.Context, old manifest.Asset) (err error) {
	s.out.State = catalog.Done
	if len(s.problems) > 0 {
		s.out.State = catalog.Failed
	}
	if all := slices.Concat(s.problems, s.notBrought); len(all) > 0 {
		if s.out.Error, err = json.Marshal(all); err != nil {
			return err
		}
	}
	return s.write(ctx, old, scanDoc{MediaToken: s.asset.MediaToken})
}

// recordOpen writes what is stored of an asset so far, which lane cloud has
// still to do: what was brought once is not asked for again.
func (s *storing) recordOpen(ctx context.Context, old manifest.Asset) error {
	ctx = context.WithoutCancel(ctx)
	s.out.State, s.out.Lane, s.out.Left = catalog.ToDo, Cloud, 0
	for _, i := range s.toFetch {
		s.out.Left += max(s.asset.Resources[i].Size, 0)
	}
	return s.write(ctx, old, scanDoc{MediaToken: s.asset.MediaToken, Resources: s.asset.Resources, Fetch: s.toFetch, NotBrought: s.notBrought})
}

func (s *storing) write(ctx context.Context, old manifest.Asset, scanned scanDoc) error {
	r := row{asset: s.asset, meta: old.Metadata, old: old, fresh: s.fresh, unread: s.unread, now: s.doc.ScannedAt}.build()
	line, err := manifest.EncodeAsset(r)
	if err != nil {
		return err
	}
	doc, err := json.Marshal(scanned)
	if err != nil {
		return err
	}
	return s.a.Catalog.StoreAsset(ctx, s.epoch, s.repo, s.item, doc, line, figures(r), s.blobs, s.out)
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
	return s.storeFrom(ctx, res, r)
}

func (s *storing) storeFrom(ctx context.Context, res photos.Resource, r photos.Reader) (manifest.Resource, error) {
	how, err := s.how(res, r)
	if err != nil {
		return manifest.Resource{}, err
	}
	n := max(r.Size(), 1)
	buffer, beside := n, int64(0)
	if how != asIs {
		buffer, beside = n+packedMost(n), encoderMemory
	}
	if n <= smallAsset && buffer+beside <= s.a.Budget.Max() {
		leave, err := s.window.Enter(ctx, window.Small)
		if err != nil {
			return manifest.Resource{}, err
		}
		sent := s.out.Sent
		defer func() { leave(s.out.Sent - sent) }()
		lease, err := s.a.Budget.AcquireBeside(ctx, buffer, beside, true)
		if err != nil {
			return manifest.Resource{}, err
		}
		defer lease.Release()
		return s.storeSmall(ctx, res, r, how, lease)
	}
	return s.storeLarge(ctx, res, r, how)
}

// how looks at a file for how it may be stored.
func (s *storing) how(res photos.Resource, r photos.Reader) (compression, error) {
	return mayCompress(res, r.Size(), s.doc.Compress, func() ([]byte, error) {
		b := make([]byte, min(headLength, r.Size()))
		_, err := readAt(r, b, 0)
		return b, err
	})
}

// storeSmall reads a resource once into a leased buffer, hashes it there, and
// sends that buffer, or what is made of it in the rest of the lease, in one
// request.
func (s *storing) storeSmall(ctx context.Context, res photos.Resource, r photos.Reader, how compression, lease *budget.Lease) (manifest.Resource, error) {
	buf, room := lease.Buffer()[:r.Size()], lease.Buffer()[r.Size():]
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
	if err := s.fit(res, c); err != nil {
		return manifest.Resource{}, err
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
	body, sum := buf, c.sum
	packed, err := packSmall(buf, room, how)
	if err != nil {
		return m, err
	}
	if packed != nil {
		m, body, sum = compressed(m, int64(len(packed))), packed, sha256.Sum256(packed)
	}
	size := int64(len(body))
	info, err := s.openRun.store.Put(ctx, m.Key, bytes.NewReader(body), size, sum, putOptions(m))
	if errors.Is(err, objectstore.Exists) {
		c.crc = crc64nvme.Checksum(buf)
		lease.Release() // to read what is there may take another
		return m, s.accept(ctx, &m, info, c)
	}
	if err != nil {
		return m, err
	}
	s.sent(size)
	s.stored(m)
	return m, nil
}

// packSmall returns the compressed form of content if it is to be stored so,
// else nil.
func packSmall(content, room []byte, how compression) ([]byte, error) {
	if how == asIs {
		return nil, nil
	}
	if how == ifSamples {
		if pays, err := samplesPay(bytes.NewReader(content), int64(len(content)), room); err != nil || !pays {
			return nil, err
		}
	}
	packed, fits, err := pack(content, room)
	if err != nil || !fits {
		return nil, err
	}
	return packed, nil
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

// compressed is m kept in an object of storedSize bytes that holds its content
// compressed.
func compressed(m manifest.Resource, storedSize int64) manifest.Resource {
	m.Key, m.Encoding, m.StoredSize = m.Key+manifest.ZstdSuffix, manifest.Zstd, storedSize
	return m
}

// inlined: recipes and sidecars, which nobody views in a bucket.
func inlined(res photos.Resource, size int64) bool {
	return size <= inlineMost && (res.Role == photos.RoleAdjustment || res.Role == photos.RoleSidecar)
}

// known looks a content up in the catalog. Whatever its extension was when it
// was stored first, and whether it was compressed, that is the object.
func (s *storing) known(ctx context.Context, m *manifest.Resource) (bool, error) {
	b, ok, err := s.a.Catalog.Blob(ctx, s.repo, *m.SHA256)
	if err != nil || !ok {
		return false, err
	}
	m.Key, m.Encoding, m.StoredSize = b.Key, b.Encoding, 0
	if b.Encoding != "" {
		m.StoredSize = b.StoredSize
	}
	s.out.Known++
	return true, nil
}

func (s *storing) stored(m manifest.Resource) {
	b := blobOf(m)
	s.answered()
	s.out.Fresh++
	s.out.Bytes += b.StoredSize
	s.blobs = append(s.blobs, b)
}

func (s *storing) sent(n int64) {
	s.out.Sent += n
	s.a.Progress.sent(n)
}

// accept takes an object that was there before us as ours if its content is.
// A compressed one may have another length than ours: m gets it.
func (s *storing) accept(ctx context.Context, m *manifest.Resource, info objectstore.Info, c content) error {
	same, err := false, error(nil)
	if m.Encoding == "" {
		same, err = sameContent(ctx, s.openRun.store, info, c)
	} else {
		same, err = s.samePacked(ctx, *m, info)
	}
	if err != nil {
		return err
	}
	if !same {
		return &exit.Error{Code: exit.Destination, What: "object " + m.Key, Err: errors.New("its content is not what its name says"),
			Do: "move it away and run the same command again"}
	}
	if m.Encoding != "" {
		m.StoredSize = info.Size
	}
	s.out.Known++
	s.blobs = append(s.blobs, blobOf(*m))
	return nil
}

// samePacked reports whether a compressed object holds the content of m: by
// the size that the store keeps beside it, else by reading it. Its bytes may
// be another compressor's.
func (s *storing) samePacked(ctx context.Context, m manifest.Resource, info objectstore.Info) (bool, error) {
	if info.ContentSize != 0 {
		return info.ContentSize == m.Size, nil
	}
	err := fetch(ctx, s.openRun.store, s.a.Budget, m, io.Discard)
	if problem, ok := errors.AsType[*fileProblem](err); ok && problem.damaged {
		return false, nil
	}
	return err == nil, err
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
	// What differs may have been spoilt on its way here: the answer "no" ends
	// a run, so it is not given on one reading.
	for range 3 {
		sum, err := sumOf(ctx, store, info.Key)
		if err != nil || sum == c.sum {
			return err == nil, err
		}
	}
	return false, nil
}

// sumOf reads an object.
func sumOf(ctx context.Context, store objectstore.Store, key string) (sum [32]byte, err error) {
	body, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return sum, err
	}
	defer body.Close()
	h := sha256.New()
	_, err = io.Copy(h, body)
	return [32]byte(h.Sum(nil)), err
}

// putOptions show a blob in a bucket browser as what it is.
func putOptions(m manifest.Resource) objectstore.PutOptions {
	if m.Encoding != "" {
		return objectstore.PutOptions{ContentType: "application/zstd", Filename: m.Name + manifest.ZstdSuffix, ContentSize: m.Size}
	}
	return objectstore.PutOptions{ContentType: contentType(m.Name), Filename: m.Name}
}

// AwaitStore returns when the destination answers again, and gives up after
// the time that the user set.
func (a *Activities) AwaitStore(ctx context.Context, e catalog.Epoch) error {
	defer heartbeat(ctx)()
	_, doc, err := a.runRow(ctx, e)
	if err != nil {
		return toTemporal(err)
	}
	defer a.Progress.wait(waitStore + doc.Dest)()
	since := activity.GetInfo(ctx).ScheduledTime
	for {
		r, err := a.run(ctx, e)
		if err == nil {
			_, err = r.store.Stat(ctx, manifest.ConfigKey)
		}
		if err == nil {
			r.answered()
			return nil
		}
		if !isAway(err) {
			return ofStep(ctx, destination(doc.Dest, err))
		}
		if a.Now().Sub(since) > doc.GiveUp {
			return toTemporal(givenUp(doc.Dest, err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
