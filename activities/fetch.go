package activities

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"lightfast/internal/budget"
	"lightfast/manifest"
	"lightfast/objectstore"
)

// fetch writes content that does not lie as it is in an object of its own to
// file, and fails unless it is what its hash says. What it takes to decompress
// is leased.
func fetch(ctx context.Context, store objectstore.Store, b *budget.Budget, res manifest.Resource, file io.Writer) error {
	if res.Key == "" {
		return fetchInline(res, file)
	}
	stored, err := store.Get(ctx, res.Key, 0, -1)
	if err != nil {
		return orMissing(err)
	}
	defer stored.Close()
	src := &source{r: stored}
	var body *decompressor
	switch res.Encoding {
	case manifest.Zstd:
		if body, err = decompress(ctx, b, src, res.Size); err != nil {
			return err
		}
		defer body.Close()
	default:
		return &fileProblem{why: fmt.Sprintf("encoding %q is not known to this version", res.Encoding)}
	}
	h := sha256.New()
	to := &sink{w: file}
	n, err := io.CopyBuffer(io.MultiWriter(to, h), io.LimitReader(body, res.Size+1), body.buf)
	switch {
	case to.err != nil:
		return targetProblem(to.err)
	case src.err != nil:
		return src.err
	case err != nil: // of the decoder
		return &fileProblem{why: "its content in the repository is damaged: " + err.Error(), damaged: true}
	case n != res.Size || manifest.Hash(h.Sum(nil)) != *res.SHA256:
		return errDamagedContent
	}
	return nil
}

var errDamagedContent = &fileProblem{why: "its content in the repository is damaged", damaged: true}

// orMissing tells content that the repository does not have.
func orMissing(err error) error {
	if errors.Is(err, objectstore.NotFound) {
		return &fileProblem{why: "its content is missing in the repository", damaged: true}
	}
	return err
}

// fetchInline: its page was proven, but not that the two fields agree.
func fetchInline(res manifest.Resource, file io.Writer) error {
	if manifest.Hash(sha256.Sum256(res.Inline)) != *res.SHA256 {
		return errDamagedContent
	}
	_, err := file.Write(res.Inline)
	return wrapTarget(err)
}

// source and sink keep errors of the store and of the target apart from those
// of what is between them.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}
