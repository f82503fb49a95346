package wire

import (
	"context"
	"errors"
	"log/slog"
	"runtime"

	"lightfast/internal/exit"
	"lightfast/photos"
	"lightfast/photos/photokit"
)

// Authorize returns what macOS says of our right to read Photos. If nobody has
// decided yet it calls asking, has macOS ask the user, and waits for the
// answer. Anything but full access is an error, of code Source.
func Authorize(ctx context.Context, log *slog.Logger, asking func()) (status string, err error) {
	helper, err := FindHelper()
	switch {
	case err == nil && helper == "" && runtime.GOOS != "darwin":
		return "", &exit.Error{Code: exit.Usage, What: "usage", Err: errors.New("the permission to read Photos is asked for on a Mac; this is " + runtime.GOOS),
			Do: "run it at the screen of the Mac that has the library"}
	case err == nil && helper == "":
		err = errors.New("it does not lie beside this program")
		fallthrough
	case err != nil:
		return "", &exit.Error{Code: exit.Source, What: helperName, Err: err, Do: "install Lightfast again: both belong in one folder"}
	}
	c := photokit.New(photokit.Options{Helper: helper, Log: log})
	defer c.Close()
	info, err := c.Info(ctx)
	if err != nil {
		return "", noPhotos(err)
	}
	if info.Status == photokit.NotDetermined {
		asking()
	}
	s, err := c.Authorize(ctx)
	switch {
	case err != nil:
		return "", noPhotos(err)
	case s == photokit.NotDetermined:
		return "", &exit.Error{Code: exit.Source, What: "Photos", Err: errors.New("macOS has not asked, or nobody has answered"),
			Do: "open Lightfast.app at the screen of this Mac; over ssh it cannot ask"}
	case s.Err() != nil:
		return "", noPhotos(s.Err())
	}
	return s.String(), nil
}

// noPhotos is the end of a command that needs Photos.
func noPhotos(err error) error {
	e, ok := errors.AsType[*photos.FetchError](err)
	if !ok {
		return err
	}
	return &exit.Error{Code: exit.Source, What: "Photos", Err: err, Do: e.Fix}
}
