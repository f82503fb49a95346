package activities

import (
	"path"
	"slices"
	"time"

	"lightfast/internal/safename"
	"lightfast/manifest"
	"lightfast/photos"
)

// Selection says which files of a snapshot are wanted: all of them if empty.
// Of one list any will do, of several lists each must.
type Selection struct {
	Assets []string `json:"assets,omitempty"` // id, UUID or original file name
	Albums []string `json:"albums,omitempty"` // "Folder/Album" or the title alone
	Since  string   `json:"since,omitempty"`  // YYYY-MM-DD, in the zone of each picture
	Roles  []string `json:"roles,omitempty"`
}

// selector applies a Selection, and knows in the end what it never found.
type selector struct {
	Selection
	found map[string]bool
}

func newSelector(s Selection) *selector { return &selector{s, map[string]bool{}} }

// asset reports whether an asset is wanted.
func (s *selector) asset(a manifest.Asset, m photos.Metadata) bool {
	if s.Since != "" && dateOf(a, m) < s.Since {
		return false
	}
	named := s.any("asset", s.Assets, func(want string) bool {
		return want == a.ID || want == m.UUID && want != "" || safename.Fold(want) == safename.Fold(m.OriginalFilename)
	})
	inAlbum := s.any("album", s.Albums, func(want string) bool {
		return slices.ContainsFunc(m.Albums, func(have string) bool {
			return safename.Fold(want) == safename.Fold(have) || safename.Fold(want) == safename.Fold(path.Base(have))
		})
	})
	return named && inAlbum
}

// resource reports whether a resource of a wanted asset is.
func (s *selector) resource(r manifest.Resource) bool {
	return s.any("role", s.Roles, func(want string) bool { return want == r.Role })
}

func (s *selector) any(kind string, wanted []string, is func(string) bool) bool {
	ok := len(wanted) == 0
	for _, want := range wanted {
		if is(want) {
			s.found[kind+" "+want], ok = true, true
		}
	}
	return ok
}

// missed returns what was asked for by name and is not there.
func (s *selector) missed() (problems []Problem) {
	for _, asked := range []struct {
		kind string
		list []string
	}{{"asset", s.Assets}, {"album", s.Albums}, {"role", s.Roles}} {
		for _, want := range asked.list {
			if !s.found[asked.kind+" "+want] {
				problems = append(problems, Problem{Asset: want, Problem: "no such " + asked.kind + " in what was asked for of the snapshot"})
			}
		}
	}
	return problems
}

// dateOf is the day when an asset was taken, at that place, else when it was
// added to its library, else when its file was changed; "" if nobody knows.
func dateOf(a manifest.Asset, m photos.Metadata) string {
	if t, err := time.Parse(time.RFC3339, m.Date); err == nil {
		return t.Format(time.DateOnly)
	}
	if a.Added != 0 {
		return time.UnixMilli(a.Added).UTC().Format(time.DateOnly)
	}
	if t, err := time.Parse(time.RFC3339, m.Modified); err == nil {
		return t.UTC().Format(time.DateOnly)
	}
	return ""
}
