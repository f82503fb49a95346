package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"
	"slices"

	"lightfast/catalog"
	"lightfast/internal/exit"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/photos"
)

// StoreAsset stores every resource of one asset that can be read now, and
// writes the asset's row. Lane small runs it as a local activity, lane large
// as a regular one with heartbeats and retries.
//
// What is only in iCloud is left to lane cloud, which has the asset when all
// else of it is stored.
func (a *Activities) StoreAsset(ctx context.Context, in ItemInput) (Outcome, error) {
	return a.once(ctx, in, a.Catalog.PlannedAsset, a.storeAsset)
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

func (a *Activities) storeAsset(ctx context.Context, r *openRun, in ItemInput, p catalog.Planned) (size int64, out Outcome, err error) {
	old, err := manifest.DecodeAsset(p.Row)
	if err != nil {
		return 0, "", err
	}
	var scanned scanDoc
	if err := json.Unmarshal(p.Doc, &scanned); err != nil {
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
