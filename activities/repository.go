package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"

	"lightfast/catalog"
	"lightfast/internal/exit"
	"lightfast/manifest"
	"lightfast/objectstore"
	"lightfast/photos"
)

// firstContact is how long a destination may be out of reach at the start.
const firstContact = 30 * time.Second

// openRepository opens the repository of a run, or makes it.
func (a *Activities) openRepository(ctx context.Context, r *openRun, in BackupInput) (err error) {
	if r.store, err = a.reachStore(ctx, in.Dest, in.Limits); err != nil {
		return err
	}
	c, err := ReadConfig(ctx, r.store)
	if errors.Is(err, objectstore.NotFound) {
		c, err = a.createRepository(ctx, r, in)
	}
	if err != nil {
		return RepositoryEnd(in.Dest, err)
	}
	r.doc.Repository = c.Repository
	r.repo, err = a.Catalog.Repository(ctx, c.Repository, in.Dest)
	r.doc.RepoID = r.repo
	return err
}

// waitStore begins what a run waits for that its store keeps waiting.
const waitStore = "destination "

// reachStore opens the destination for the run of this workflow, at its
// limits, trying for a while: a NAS may be waking.
func (a *Activities) reachStore(ctx context.Context, dest string, limits Limits) (objectstore.Store, error) {
	if err := a.beginLimits(ctx, limits); err != nil {
		return nil, err
	}
	line, err := a.line(ctx, activity.GetInfo(ctx).WorkflowExecution.ID)
	if err != nil {
		return nil, err
	}
	defer a.Progress.wait(waitStore + dest)()
	until := time.Now().Add(firstContact)
	for {
		s, err := a.OpenStore(ctx, dest, line)
		if err == nil {
			if _, err = s.Stat(ctx, manifest.ConfigKey); errors.Is(err, objectstore.NotFound) {
				err = nil
			}
		}
		switch {
		case err == nil:
			return s, nil
		case !isAway(err):
			return nil, RepositoryEnd(dest, err)
		case time.Now().After(until):
			return nil, &exit.Error{Code: exit.Destination, What: "destination " + dest, Err: err,
				Do: "check that it is there and run the same command again"}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// createRepository writes the config. A library that has a repository
// elsewhere gets a second one only when asked: a mistyped prefix must not
// send everything anew.
func (a *Activities) createRepository(ctx context.Context, r *openRun, in BackupInput) (manifest.Config, error) {
	elsewhere, err := a.Catalog.Elsewhere(ctx, r.doc.Library.ID)
	if err != nil {
		return manifest.Config{}, err
	}
	if len(elsewhere) > 0 && !in.Init {
		return manifest.Config{}, &exit.Error{Code: exit.NoRepo, What: "no repository at " + in.Dest,
			Err: fmt.Errorf("%s is backed up to %s", r.doc.Library.Name, strings.Join(elsewhere, ", ")),
			Do:  "check the address, or add --init to begin another repository there"}
	}
	c := manifest.Config{Format: manifest.Format, Repository: uuid.NewString(), Hash: "sha256", Created: a.Now().UTC().Truncate(time.Second)}
	body, err := manifest.EncodeConfig(c)
	if err != nil {
		return c, err
	}
	_, err = putBytes(ctx, r.store, manifest.ConfigKey, body, "application/json")
	if errors.Is(err, objectstore.Exists) { // another host was faster
		return ReadConfig(ctx, r.store)
	}
	return c, err
}

// RepositoryEnd gives a failure at the repository its exit code.
func RepositoryEnd(dest string, err error) error {
	if e, ok := errors.AsType[*manifest.TooNewError](err); ok {
		return &exit.Error{Code: exit.Format, What: "repository " + dest, Err: e, Do: "use a newer lightfast"}
	}
	if e, ok := errors.AsType[*manifest.DamagedError](err); ok {
		return &exit.Error{Code: exit.Format, What: "repository " + dest, Err: e, Do: "`lightfast verify` tells what else is damaged"}
	}
	return destination(dest, err)
}

// ReadConfig reads the object that makes a destination a repository.
func ReadConfig(ctx context.Context, s objectstore.Store) (manifest.Config, error) {
	body, err := getBytes(ctx, s, manifest.ConfigKey, manifest.MaxConfig)
	if err != nil {
		return manifest.Config{}, err
	}
	return manifest.DecodeConfig(body)
}

// ReadHead reads a head by its key.
func ReadHead(ctx context.Context, s objectstore.Store, key string) (manifest.Head, error) {
	body, err := getBytes(ctx, s, key, manifest.MaxHead)
	if err != nil {
		return manifest.Head{}, err
	}
	return manifest.DecodeHead(body)
}

// getBytes reads an object that no hash in its name proves. What is spoilt on
// its way must not pass for damage, nor for what it says: it is read again.
// What stays other than the store says is damaged there, for the caller to see.
func getBytes(ctx context.Context, s objectstore.Store, key string, most int64) ([]byte, error) {
	for try := 1; ; try++ {
		b, sum, err := getOnce(ctx, s, key, most)
		if err != nil || sum == nil || *sum == sha256Of(b) || try == 3 {
			return b, err
		}
	}
}

func getOnce(ctx context.Context, s objectstore.Store, key string, most int64) ([]byte, *objectstore.SHA256, error) {
	body, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, most+1)) // bounded by the caller
	if err == nil && int64(len(b)) > most {
		err = &manifest.DamagedError{What: key, Err: fmt.Errorf("larger than %d bytes", most)}
	}
	if s, ok := body.(objectstore.Summed); ok {
		return b, s.SHA256(), err
	}
	return b, nil, err
}

func putBytes(ctx context.Context, s objectstore.Store, key string, body []byte, contentType string) (objectstore.Info, error) {
	sum := sha256Of(body)
	return s.Put(ctx, key, bytes.NewReader(body), int64(len(body)), sum, objectstore.PutOptions{ContentType: contentType})
}

// putSame is putBytes for a key whose content follows from the plan: one that
// is there with the same bytes is what an earlier attempt sent.
func putSame(ctx context.Context, s objectstore.Store, key string, body []byte, contentType string) error {
	info, err := putBytes(ctx, s, key, body, contentType)
	if errors.Is(err, objectstore.Exists) {
		same, errSame := sameContent(ctx, s, info, content{sum: sha256Of(body), size: int64(len(body))})
		if errSame != nil {
			return errSame
		}
		if same {
			return nil
		}
	}
	return err
}

// learnParent makes a catalog that is behind learn the newest snapshot of a
// library from the repository: after the state directory was lost or rolled
// back, what is stored must neither be sent again nor be forgotten. It returns
// the head of that snapshot, without an ID if there is none.
func (a *Activities) learnParent(ctx context.Context, r *openRun, lib catalog.Library) (manifest.Head, error) {
	head, ok, err := a.newestHead(ctx, r.store, r.doc.Library.ID)
	if err == nil && ok && head.ID > lib.Snapshot { // ids begin with the time
		err = a.learn(ctx, r, head)
	}
	return head, RepositoryEnd(r.doc.Dest, err)
}

func (a *Activities) learn(ctx context.Context, r *openRun, head manifest.Head) error {
	a.Log.Info("learning a snapshot that this host does not know", "snapshot", head.ID)
	run, err := a.Catalog.StartRun(ctx, catalog.Run{Library: r.lib, Workflow: "learn/" + head.ID, Doc: []byte("{}")})
	if err != nil {
		return err
	}
	scan, err := a.Catalog.NewScan(ctx, run, r.repo, r.lib)
	if err != nil {
		return err
	}
	defer scan.Close()
	for _, ref := range head.Pages {
		err := a.learnPage(ctx, r, scan, ref)
		if _, damaged := errors.AsType[*manifest.DamagedError](err); damaged || errors.Is(err, objectstore.NotFound) {
			// What it lists is read again: that must not wait for a repair.
			a.Log.Warn("a page is damaged", "page", ref.SHA256, "err", err)
		} else if err != nil {
			return err
		}
	}
	if err := scan.Flush(ctx); err != nil {
		return err
	}
	r.doc.Parent = head.ID
	return a.Catalog.FinishBackup(ctx, run, r.lib, head.ID, []byte("{}"))
}

func (a *Activities) learnPage(ctx context.Context, r *openRun, scan *catalog.Scan, ref manifest.PageRef) error {
	for asset, err := range ReadPage(ctx, r.store, ref) {
		if err != nil {
			return err
		}
		line, err := manifest.EncodeAsset(asset)
		if err != nil {
			return err
		}
		var blobs []catalog.Blob
		for _, res := range asset.Resources {
			if res.Stored() && res.Key != "" {
				blobs = append(blobs, blobOf(res))
			}
		}
		// What the source showed then is not in a page: an empty document
		// makes the next scan compare and keep.
		found := catalog.Scanned{Added: asset.Added, Orphan: asset.Orphan,
			Doc: []byte("{}"), Digest: []byte{}, Row: line, Figures: figures(asset), State: catalog.Done, Blobs: blobs}
		if err := scan.Put(ctx, asset.ID, func(catalog.Known) (catalog.Scanned, error) { return found, nil }); err != nil {
			return err
		}
	}
	return a.Catalog.AddPage(ctx, r.repo, ref.SHA256, ref.StoredSize)
}

func blobOf(res manifest.Resource) catalog.Blob {
	b := catalog.Blob{Hash: *res.SHA256, Size: res.Size, Key: res.Key, Encoding: res.Encoding, StoredSize: res.StoredSize}
	if b.StoredSize == 0 {
		b.StoredSize = res.Size
	}
	return b
}

// newestHead returns the newest complete head of a library that can be read.
func (a *Activities) newestHead(ctx context.Context, s objectstore.Store, library string) (h manifest.Head, ok bool, err error) {
	var keys []string
	for info, err := range s.List(ctx, manifest.SnapshotPrefix+manifest.LibraryKey(library)+"/") {
		if err != nil {
			return h, false, err
		}
		if _, _, ok := manifest.ParseHeadKey(info.Key); ok {
			keys = append(keys, info.Key)
		}
	}
	for _, key := range slices.Backward(keys) { // ids begin with the time
		h, err = ReadHead(ctx, s, key)
		if _, damaged := errors.AsType[*manifest.DamagedError](err); !damaged {
			return h, err == nil, err
		}
		a.Log.Warn("a head is damaged; an older one stands in for it", "key", key, "err", err)
	}
	return manifest.Head{}, false, nil
}

// hole reports whether an absence for reason makes the backup incomplete:
// what the user accepts does not.
func (d runDoc) hole(reason string) bool {
	return !slices.Contains(d.Accept, reason) && photos.Reason(reason).Hole()
}

func decodeUploads(docs [][]byte) ([]objectstore.Upload, error) {
	var keep []objectstore.Upload
	for _, doc := range docs {
		var u uploadDoc
		if err := json.Unmarshal(doc, &u); err != nil {
			return nil, err
		}
		if u.Upload.ID != "" {
			keep = append(keep, u.Upload)
		}
	}
	return keep, nil
}
