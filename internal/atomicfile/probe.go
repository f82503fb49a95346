package atomicfile

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Names says what a file system does with names.
type Names struct {
	Folds bool // does not tell cases or Unicode forms apart
	Plain bool // refuses some characters that Windows refuses
	Text  bool // refuses what is no UTF-8
}

// Names tries out what the file system does with names, in the work folder.
func (t *Tree) Names() (n Names, err error) {
	for _, pair := range [][2]string{{"a", "A"}, {"\u00e9", "e\u0301"}} {
		found := false
		if err := t.try(pair[0], func() {
			var st unix.Stat_t
			found = unix.Fstatat(fd(t.work), pair[1], &st, unix.AT_SYMLINK_NOFOLLOW) == nil
		}); err != nil {
			return n, err
		}
		n.Folds = n.Folds || found
	}
	n.Plain = t.try(":?", func() {}) != nil
	n.Text = t.try("\xff", func() {}) != nil
	return n, nil
}

// try calls while with a file of that name there.
func (t *Tree) try(name string, while func()) error {
	f, err := openAt(t.work, name, unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return named(name, err)
	}
	while()
	return errors.Join(f.Close(), unix.Unlinkat(fd(t.work), name, 0))
}
