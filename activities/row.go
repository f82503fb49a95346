package activities

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lightfast/catalog"
	"lightfast/manifest"
	"lightfast/photos"
)

// row joins an asset as the library has it now with what is stored of it. It
// is what goes into a page.
//
// Nothing stored is forgotten: a resource that is absent or unreadable now
// keeps the content that old has, with the present reason as its warning and
// the moment since when. fresh holds what was just read, by the index of the
// resource; unread says why a present one could not be.
type row struct {
	asset  photos.Asset
	old    manifest.Asset
	fresh  map[int]manifest.Resource
	unread map[int]photos.Reason
	now    time.Time
}

func (r row) build() (manifest.Asset, error) {
	meta, err := json.Marshal(r.asset.Metadata)
	if err != nil {
		return manifest.Asset{}, fmt.Errorf("metadata of %s: %w", r.asset.ID, err)
	}
	out := manifest.Asset{ID: string(r.asset.ID), Orphan: r.asset.Orphan, Added: r.asset.Added, Metadata: meta}
	match := newMatcher(r.old)
	for i, res := range r.asset.Resources {
		old := match.take(res)
		fresh, read := r.fresh[i]
		switch {
		case read && shrunk(fresh, old):
			// A file cut down to nothing is damage; the page keeps both.
			out.Resources = append(out.Resources, fresh, r.keep(*old, string(photos.SizeMismatch)))
		case read:
			out.Resources = append(out.Resources, fresh)
		case old == nil:
			out.Resources = append(out.Resources, r.absent(i, res))
		case res.Present() && r.unread[i] == "":
			out.Resources = append(out.Resources, *old) // as it was, until it is read
		default:
			out.Resources = append(out.Resources, r.keep(*old, string(r.reason(i, res))))
		}
	}
	return out, nil
}

func (r row) reason(i int, res photos.Resource) photos.Reason {
	if why := r.unread[i]; why != "" {
		return why
	}
	if res.Present() {
		return photos.Unavailable
	}
	return res.Reason
}

func (r row) absent(i int, res photos.Resource) manifest.Resource {
	m := describe(res)
	m.Reason, m.Warning, m.ModTime = string(r.reason(i, res)), "", 0
	return m
}

func (r row) keep(old manifest.Resource, why string) manifest.Resource {
	if old.Since == "" {
		old.Since = r.now.UTC().Format(time.RFC3339)
	}
	old.Warning = why
	return old
}

func shrunk(fresh manifest.Resource, old *manifest.Resource) bool {
	return old != nil && fresh.Size == 0 && old.Size > 0
}

// describe says of a resource all but where its content is.
func describe(r photos.Resource) manifest.Resource {
	return manifest.Resource{
		Role: string(r.Role), Name: r.Name, NameRaw: r.NameRaw, Path: r.Path, PathRaw: r.PathRaw, UTI: r.UTI,
		Size: r.Size, Fingerprint: r.Fingerprint, ModTime: r.ModTime, Reason: string(r.Reason), Warning: string(r.Warning),
	}
}

// matcher finds what is stored of a resource under its name of today.
type matcher struct {
	stored []manifest.Resource
}

func newMatcher(a manifest.Asset) *matcher {
	m := &matcher{}
	for _, r := range a.Resources {
		if r.Stored() {
			m.stored = append(m.stored, r)
		}
	}
	return m
}

// take returns the stored resource of the same role and path, else of the
// same role and name, else the next one of that role: paths of absent files
// are not always known. What is taken is not offered again.
func (m *matcher) take(r photos.Resource) *manifest.Resource {
	for _, same := range []func(manifest.Resource) bool{
		func(o manifest.Resource) bool { return o.Path == r.Path && r.Path != "" },
		func(o manifest.Resource) bool { return o.Name == r.Name },
		func(manifest.Resource) bool { return r.Path == "" || !r.Present() },
	} {
		i := slices.IndexFunc(m.stored, func(o manifest.Resource) bool { return o.Role == string(r.Role) && same(o) })
		if i >= 0 {
			found := m.stored[i]
			m.stored = slices.Delete(m.stored, i, i+1)
			return &found
		}
	}
	return nil
}

// unchanged reports whether old is surely the content of r, by size, time and
// Apple's fingerprint, so that it need not be read again.
func unchanged(old *manifest.Resource, r photos.Resource) bool {
	return old != nil && old.Since == "" && old.Size == r.Size && old.ModTime == r.ModTime && r.ModTime != 0 && old.Fingerprint == r.Fingerprint
}

// figures sums a row for the catalog.
func figures(a manifest.Asset) catalog.Figures {
	f := catalog.Figures{Resources: len(a.Resources)}
	var absent []string
	for _, r := range a.Resources {
		switch {
		case !r.Stored():
			absent = append(absent, r.Reason)
			continue
		case r.Since != "":
			f.Kept++
		}
		f.Stored++
		f.Bytes += r.Size
	}
	f.Absent = strings.Join(absent, ",")
	return f
}
