// Package exit holds the exit codes that the command promises, and the error
// that carries one together with a line that a person can act on.
package exit

import (
	"context"
	"errors"
)

// Code is the exit status of the command. The numbers are a published
// contract; `lightfast --help` prints them.
type Code int

const (
	OK          Code = 0
	Failed      Code = 1   // error, nothing committed
	Usage       Code = 2   // wrong usage
	Incomplete  Code = 3   // done, with holes, each listed
	Source      Code = 4   // source missing, unreadable, not permitted or suspicious
	Destination Code = 5   // destination unreachable, denied or full
	Damaged     Code = 6   // verify found damage
	InUse       Code = 7   // used by another identity, or by a process that does not answer
	Canceled    Code = 8   // canceled, resumable
	NoRepo      Code = 10  // repository does not exist, or --init is needed
	Format      Code = 11  // repository format too new or damaged
	Key         Code = 12  // wrong key or passphrase
	Interrupted Code = 130 // Ctrl-C
)

// Table describes every code, in order, for --help.
var Table = []struct {
	Code Code
	Text string
}{
	{OK, "done"},
	{Failed, "error, nothing committed"},
	{Usage, "wrong usage"},
	{Incomplete, "done but incomplete: a snapshot with holes, or a restore that could not write something"},
	{Source, "source missing, unreadable, not permitted, limited or suspicious"},
	{Destination, "destination unreachable, denied or full"},
	{Damaged, "damage found"},
	{InUse, "in use by another identity, or by a process that does not answer"},
	{Canceled, "canceled, resumable"},
	{NoRepo, "repository does not exist (or --init is needed)"},
	{Format, "repository format too new or damaged"},
	{Key, "wrong key or passphrase"},
	{Interrupted, "interrupted, resumable"},
}

// Error is a failure that we understand; main prints "What: Err; Do".
type Error struct {
	Code     Code
	What, Do string // one line each, no final full stop; Do may be empty
	Err      error  // why; may be nil
}

func (e *Error) Error() string {
	s := e.What
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Do != "" {
		s += "; " + e.Do
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the exit code of err; an error without a code is Failed.
func CodeOf(err error) Code {
	switch e, ok := errors.AsType[*Error](err); {
	case err == nil:
		return OK
	case ok:
		return e.Code
	case errors.Is(err, context.Canceled):
		return Interrupted
	}
	return Failed
}
