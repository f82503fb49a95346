package applelibrary

import (
	"os"
	"path"

	"lightfast/photos"
)

// previewScopes are where Photos keeps what it can make again.
var previewScopes = map[bool][]string{
	false: {"resources/derivatives", "scopes/syndication/resources/derivatives", "scopes/momentshared/resources/derivatives"},
	true:  {"scopes/cloudsharing/resources/derivatives", "resources/cloudsharing/resources/derivatives"},
}

// preview is the largest picture that Photos made of an asset whose original
// is not there. Names are asked for, because the folders may hold several
// files for every asset of the library; few assets need one.
func (s *pass) preview(a *assetRow) (res photos.Resource, ok bool) {
	look := func(folder, name string) {
		at := s.folder(folder)
		if at == nil {
			return
		}
		info, err := at.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() <= res.Size {
			return
		}
		res = photos.Resource{Role: photos.RolePreview, Size: info.Size(), ModTime: info.ModTime().UnixNano()}
		setPath(&res, path.Join(folder, name))
		setName(&res, a.name(), name)
		ok = true
	}
	for _, scope := range previewScopes[a.shared()] {
		look(path.Join(scope, "masters", a.letter()), a.uuid+"_4_5005_c.jpeg")
		for i := range a.resources {
			r := &a.resources[i]
			if r.recipe&1 == 0 {
				continue
			}
			exts := []string{".jpeg", ".heic"}
			if r.recipe>>16 == 2 {
				exts = []string{".mov", ".mp4"}
			}
			for _, ext := range exts {
				look(path.Join(scope, a.letter()), renderName(a.uuid, r)+ext)
			}
		}
	}
	return res, ok
}

// folder opens a folder of the bundle once for the whole pass. It is nil
// where there is none.
func (s *pass) folder(name string) *os.Root {
	at, ok := s.folders[name]
	if !ok {
		at, _ = s.root.OpenRoot(name)
		s.folders[name] = at
	}
	return at
}

func (s *pass) closeFolders() {
	for _, at := range s.folders {
		if at != nil {
			at.Close()
		}
	}
}
