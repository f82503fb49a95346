package activities

import (
	"errors"
	"syscall"
)

// isFull reports whether a file system had no room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
