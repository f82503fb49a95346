package activities

import (
	"bytes"
	"encoding/json"
	"slices"
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
	asset  photos.Asset    // but for its metadata
	meta   json.RawMessage // of it
	old    manifest.Asset
	fresh  map[int]manifest.Resource
	unread map[int]photos.Reason
	now    time.Time
}

func (r row) build() manifest.Asset {
	out := manifest.Asset{ID: string(r.asset.ID), Orphan: r.asset.Orphan, Added: r.asset.Added, Metadata: r.meta}
	m := pair(r.old, r.asset.Resources)
	for i, res := range r.asset.Resources {
		old := m.of[i]
		fresh, read := r.fresh[i]
		switch {
		case read && worse(fresh, old):
			// A file cut down to nothing is damage: the page keeps both, beside
			// each other and under one name, which is how pair knows them.
			was := *old
			was.Name, was.NameRaw, was.Path, was.PathRaw = fresh.Name, fresh.NameRaw, fresh.Path, fresh.PathRaw
			out.Resources = append(out.Resources, fresh, r.keep(was, damage(fresh)))
		case read:
			out.Resources = append(out.Resources, fresh)
		case old == nil:
			out.Resources = append(out.Resources, r.absent(i, res))
		case res.Present() && r.unread[i] == "" && unchanged(old, res):
			out.Resources = append(out.Resources, renew(*old, res))
		case res.Present() && r.unread[i] == "":
			out.Resources = append(out.Resources, *old) // as it was, until it is read
		case res.Reason == photos.ICloudOnly && brought(*old) && sameInCloud(*old, res):
			res.Reason = "" // that it is there is how it came to us
			out.Resources = append(out.Resources, renew(*old, res))
		default:
			out.Resources = append(out.Resources, r.keep(*old, string(r.reason(i, res))))
		}
		for _, spare := range m.spare[i] {
			if !read || worse(fresh, &spare) {
				out.Resources = append(out.Resources, spare)
			}
		}
	}
	return out
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

// worse reports whether what was read must not take the place of what is
// stored: a file shrunk to nothing, or one that is not what the library says
// of it where the stored one was.
func worse(fresh manifest.Resource, old *manifest.Resource) bool {
	if old == nil || *fresh.SHA256 == *old.SHA256 {
		return false
	}
	good := old.Warning == "" || old.Since != ""
	return fresh.Size == 0 || fresh.Warning != "" && good && fresh.Fingerprint == old.Fingerprint
}

func damage(fresh manifest.Resource) string {
	if fresh.Warning != "" {
		return fresh.Warning
	}
	return string(photos.SizeMismatch)
}

// renew describes what is stored of res as the library shows it now.
func renew(old manifest.Resource, res photos.Resource) manifest.Resource {
	m := describe(res)
	m.SHA256, m.Size, m.Key, m.Encoding, m.StoredSize, m.Inline = old.SHA256, old.Size, old.Key, old.Encoding, old.StoredSize, old.Inline
	m.Extra = old.Extra
	if m.Warning == "" && old.Warning == string(photos.FingerprintMismatch) {
		m.Warning = old.Warning // the bytes are the same, and so is what they fail
	}
	return m
}

// describe says of a resource all but where its content is.
func describe(r photos.Resource) manifest.Resource {
	return manifest.Resource{
		Role: string(r.Role), Name: r.Name, NameRaw: r.NameRaw, Path: r.Path, PathRaw: r.PathRaw, UTI: r.UTI,
		Size: r.Size, Fingerprint: r.Fingerprint, ModTime: r.ModTime, Reason: string(r.Reason), Warning: string(r.Warning),
	}
}

// pairs says what is stored of each resource of an asset: of holds one or
// nil, spare what was kept beside it because a later reading was worse.
type pairs struct {
	of    []*manifest.Resource
	spare [][]manifest.Resource
}

// pair finds what is stored of resources under their names of today: of the
// same role, the same path first, then the same name, then what is left in
// order, because paths and names change. Nothing is given to two. What is
// stored beyond that, of a file that its library lists no more, is let go.
func pair(a manifest.Asset, resources []photos.Resource) pairs {
	p := pairs{make([]*manifest.Resource, len(resources)), make([][]manifest.Resource, len(resources))}
	left := slices.DeleteFunc(slices.Clone(a.Resources), func(o manifest.Resource) bool { return !o.Stored() })
	for _, same := range []func(manifest.Resource, photos.Resource) bool{
		samePath,
		func(o manifest.Resource, r photos.Resource) bool { return o.Name == r.Name },
		func(manifest.Resource, photos.Resource) bool { return true },
	} {
		for i, r := range resources {
			if p.of[i] != nil {
				continue
			}
			at := slices.IndexFunc(left, func(o manifest.Resource) bool { return o.Role == string(r.Role) && same(o, r) })
			if at < 0 {
				continue
			}
			found := left[at]
			p.of[i] = &found
			left = slices.Delete(left, at, at+1)
			// A page has a spare behind the one that it stands in for.
			for at < len(left) && left[at].Since != "" && beside(left[at], found) {
				p.spare[i] = append(p.spare[i], left[at])
				left = slices.Delete(left, at, at+1)
			}
		}
	}
	return p
}

func samePath(o manifest.Resource, r photos.Resource) bool {
	return r.Path != "" && o.Path == r.Path && bytes.Equal(o.PathRaw, r.PathRaw)
}

// beside reports whether two stored contents are those of one file.
func beside(a, b manifest.Resource) bool {
	return a.Path != "" && a.Role == b.Role && a.Path == b.Path && bytes.Equal(a.PathRaw, b.PathRaw) && a.Name == b.Name
}

// unchanged reports whether old is surely the content of r, by path, size,
// time and Apple's fingerprint, so that it need not be read again.
func unchanged(old *manifest.Resource, r photos.Resource) bool {
	return old != nil && old.Since == "" && samePath(*old, r) && old.Size == r.Size &&
		old.ModTime == r.ModTime && r.ModTime != 0 && old.Fingerprint == r.Fingerprint
}

// brought reports whether a stored content came from iCloud, without a file
// in the library.
func brought(old manifest.Resource) bool { return old.ModTime == 0 && old.Since == "" }

// sameInCloud reports whether old is the content of r, as far as the library
// tells of what it does not have.
func sameInCloud(old manifest.Resource, r photos.Resource) bool {
	if r.Fingerprint != "" && old.Fingerprint != "" {
		return r.Fingerprint == old.Fingerprint
	}
	return r.Size < 0 || r.Size == old.Size
}

// figures sums a row for the catalog.
func figures(a manifest.Asset) catalog.Figures {
	var f catalog.Figures
	for _, r := range a.Resources {
		if r.Stored() {
			f.Stored(r.Role, r.Size, r.Since != "")
		} else {
			f.Absent(r.Role, r.Reason)
		}
	}
	return f
}
