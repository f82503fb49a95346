package activities

import (
	"context"
	"crypto/sha256"
	"errors"
	"path"
	"strings"

	"lightfast/catalog"
	"lightfast/internal/safename"
	"lightfast/internal/xmp"
	"lightfast/manifest"
	"lightfast/photos"
)

// sidecarExt is added to the whole name: IMG_0001.HEIC.xmp tells the original
// from the edited IMG_0001.jpeg, IMG_0001.xmp would not.
const sidecarExt = ".xmp"

// primary reports whether a file is what a person takes for the asset, so
// that what is said of the asset is said of it.
func primary(role string) bool {
	switch photos.Role(role) {
	case photos.RoleOriginal, photos.RoleEdited, photos.RolePreview:
		return true
	}
	return false
}

// sidecarOf returns what is written beside a file, false if there is nothing
// to say. The bytes are no part of the plan: they are made again from the
// metadata, which is smaller.
func sidecarOf(m photos.Metadata, f restoreFile) (manifest.Resource, bool) {
	about := xmp.File{Name: f.Name}
	if f.Role == string(photos.RoleOriginal) { // what Photos renders is upright
		about.Orientation = m.Orientation
	}
	body := xmp.Sidecar(m, about)
	sum := manifest.Hash(sha256.Sum256(body))
	return manifest.Resource{Role: string(photos.RoleSidecar), Name: f.Name + sidecarExt, Size: int64(len(body)), SHA256: &sum, Inline: body}, body != nil
}

// placeSidecars gives each name of a primary file its sidecar.
func (p placer) placeSidecars(it *restoreItem, m photos.Metadata) error {
	for i := range it.Files {
		f := &it.Files[i]
		if !primary(f.Role) {
			continue
		}
		if _, ok := sidecarOf(m, *f); !ok {
			continue
		}
		for _, at := range f.Paths {
			folder, name := path.Split(string(at) + sidecarExt)
			whole, err := p.take(sidecarSpace, folder+safename.Fit(name), it.ID)
			if err != nil {
				return err
			}
			f.Sidecars = append(f.Sidecars, []byte(whole))
			it.Metadata = &m
		}
	}
	return nil
}

// reserve takes the names of all files of the snapshot that a sidecar could
// want, before the first one asks: files keep their names, whichever page they
// are on, and have the same ones with sidecars and without.
func (p *restorePlan) reserve(ctx context.Context, e catalog.Epoch) error {
	wanted := newSelector(p.in.Selection)
	for _, ref := range p.head.Pages {
		assets, err := wholePage(ctx, p.store, ref)
		if _, bad := damageOf(err); err != nil && !bad { // make tells of the bad
			return err
		}
		if err := p.catalog.PlanItems(ctx, e, func(names catalog.Planner) error {
			pl := p.placer(names)
			pl.space = trialSpace
			for _, asset := range assets {
				it, _, err := p.item(pl, wanted, asset)
				if err == nil {
					err = pl.reserve(it)
				}
				if err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func (p placer) reserve(it restoreItem) error {
	for _, f := range it.Files {
		for _, at := range f.Paths {
			if !strings.EqualFold(path.Ext(string(at)), sidecarExt) {
				continue
			}
			if _, err := p.take(sidecarSpace, string(at), "the snapshot"); err != nil {
				return err
			}
		}
	}
	return nil
}

// sidecar writes the sidecar of the i-th name of a file that is in its place.
// whole and the returned name have the same content.
func (w *writer) sidecar(ctx context.Context, it restoreItem, f restoreFile, i int, whole string) (string, error) {
	res, ok := sidecarOf(*it.Metadata, f)
	if !ok {
		return whole, nil
	}
	name := string(f.Sidecars[i])
	_, err := w.name(ctx, res, name, whole)
	if problem, ok := errors.AsType[*fileProblem](err); ok {
		w.problem(it.ID, res.Name, problem)
		return whole, nil
	} else if err != nil {
		return whole, err
	}
	w.notes.Sidecars++
	return name, nil
}
