package applelibrary

import (
	"io/fs"
	"syscall"
)

// changeTime moves with every write, also where somebody sets the time of
// modification back.
func changeTime(info fs.FileInfo) syscall.Timespec { return info.Sys().(*syscall.Stat_t).Ctim }
