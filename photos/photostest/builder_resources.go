package photostest

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"lightfast/photos"
)

// addResources writes the files of a and their rows.
func (b *builder) addResources(a *asset) error {
	kind := int64(0)
	if a.Video {
		kind = 1
	}
	stem := path.Join("originals", a.dir, a.uuid)
	if err := b.resource(a, resource{role: photos.RoleOriginal, path: stem + a.ext, kind: kind, subtype: 1, size: a.Size}); err != nil {
		return err
	}
	if a.Live {
		if err := b.resource(a, resource{role: photos.RoleLive, path: stem + "_3.mov", kind: 3, subtype: 18}); err != nil {
			return err
		}
	}
	if a.RAW {
		if err := b.resource(a, resource{role: photos.RoleRAW, path: stem + "_4.cr2", kind: 4, subtype: 17}); err != nil {
			return err
		}
	}
	if !a.Edited {
		return nil
	}
	stem = path.Join("resources/renders", a.uuid[:1], a.uuid)
	edited := resource{role: photos.RoleEdited, path: stem + "_1_201_a.jpeg", kind: 0, subtype: 2, version: 2, recipe: 65938}
	if a.Video {
		edited.path, edited.kind, edited.recipe = stem+"_2_0_a.mov", 1, 131072
	}
	if err := b.resource(a, edited); err != nil {
		return err
	}
	if a.Live {
		if err := b.resource(a, resource{role: photos.RoleEditedLive, path: stem + "_2_100_a.mov", kind: 3, subtype: 19, version: 2, recipe: 131272}); err != nil {
			return err
		}
	}
	_, _, err := b.writeFile(stem+".plist", 0)
	return err
}

// resource is a file of an asset on its way into the library.
type resource struct {
	role                           photos.Role
	path                           string
	kind, subtype, version, recipe int64
	size                           int64
}

func (b *builder) resource(a *asset, r resource) error {
	reason := a.Absent[r.role]
	if reason == photos.RenderNeverMade {
		return nil
	}
	store, remote, local := 0, 0, 1
	var key any = r.storeKey()
	fingerprint := ""
	switch reason {
	case "", photos.Lost:
		size, f, err := b.writeFile(r.path, r.size)
		if err != nil {
			return err
		}
		r.size, fingerprint = size, f
		if reason == photos.Lost {
			b.lost = append(b.lost, filepath.Join(b.dir, filepath.FromSlash(r.path)))
		}
	default:
		local, key = -1, nil
		r.size = cmp.Or(r.size, 1000)
		if reason == photos.ICloudOnly && b.spec.Cloud {
			var err error
			if fingerprint, err = b.writeCloud(a, &r); err != nil {
				return err
			}
		}
		remote = flag(reason == photos.ICloudOnly)
		if reason == photos.SharedNotDownloaded {
			store, r.size, r.recipe, r.subtype = 2, 0, 65741, 3
		}
	}
	switch r.role {
	case photos.RoleOriginal:
		a.size, a.hash = r.size, fingerprint
	case photos.RoleEdited:
		a.adjusted = fingerprint
	}
	uti := map[string]string{".jpeg": "1", ".cr2": "11", ".mov": "23"}[path.Ext(r.path)]
	return b.insert("ZINTERNALRESOURCE", row{
		"Z_ENT": 46, "Z_OPT": 1, "ZASSET": a.pk, "ZRESOURCETYPE": r.kind, "ZDATASTORECLASSID": store, "ZDATASTORESUBTYPE": r.subtype, "ZVERSION": r.version,
		"ZRECIPEID": r.recipe, "ZLOCALAVAILABILITY": local, "ZREMOTEAVAILABILITY": remote, "ZCLOUDLOCALSTATE": 3 * remote, "ZDATALENGTH": r.size,
		"ZFINGERPRINT": text(fingerprint), "ZCOMPACTUTI": uti, "ZDATASTOREKEYDATA": key,
	})
}

// storeKey is what Photos keeps of a file that is in its place.
func (r resource) storeKey() []byte {
	key := []byte{3, byte(r.kind<<4 + r.version<<2), 0, 0, 0x80, map[string]byte{".jpeg": 0, ".cr2": 5, ".mov": 0x0B}[path.Ext(r.path)]}
	if r.recipe != 0 {
		binary.LittleEndian.PutUint16(key[2:], uint16(r.recipe&0xFFFF>>1<<5|r.recipe>>16<<1))
	}
	return key
}

// writeFile writes a file of that size, small if 0, and returns its size and
// fingerprint.
func (b *builder) writeFile(name string, size int64) (int64, string, error) {
	return b.write(filepath.Join(b.dir, filepath.FromSlash(name)), name, size)
}

// write makes at p the file that the library calls name.
func (b *builder) write(p, name string, size int64) (int64, string, error) {
	if folder := filepath.Dir(p); !b.made[folder] {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return 0, "", err
		}
		b.made[folder] = true
	}
	if b.spec.Hollow {
		size = cmp.Or(size, 1000)
		b.holes.Go(func() error { return writeHole(p, size) })
		return size, "", nil
	}
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return 0, "", err
	}
	fingerprint := photos.NewFingerprint()
	b.out.Reset(io.MultiWriter(f, fingerprint))
	sparse := b.spec.Sparse && size > 1<<20 && strings.EqualFold(path.Ext(name), ".mov")
	written := size
	if sparse {
		written = 1 << 16
	}
	n, err := writeMedia(b.out, path.Ext(name), written, b.noise(name))
	if err == nil {
		err = b.out.Flush()
	}
	if err == nil && sparse {
		n, err = size, f.Truncate(size)
	}
	if err := errors.Join(err, f.Close()); err != nil || sparse {
		return n, "", err
	}
	return n, fingerprint.String(), nil
}

// writeCloud writes r beside the library, and returns its fingerprint.
func (b *builder) writeCloud(a *asset, r *resource) (fingerprint string, err error) {
	e := CloudEntry{UUID: photos.AssetID(a.uuid), Role: r.role, Path: r.path, Name: a.Name,
		File: path.Join(a.uuid, string(r.role)+path.Ext(r.path))}
	p := filepath.Join(CloudOf(b.dir), filepath.FromSlash(e.File))
	if r.size, fingerprint, err = b.write(p, r.path, r.size); err != nil {
		return "", err
	}
	e.Size, e.Fingerprint = r.size, fingerprint
	f, err := os.Open(p)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	e.SHA256 = hex.EncodeToString(h.Sum(nil))
	b.cloud = append(b.cloud, e)
	return fingerprint, nil
}

func writeHole(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}
