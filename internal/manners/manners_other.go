//go:build !darwin || !cgo

package manners

// KeepAwake does nothing here.
func (System) KeepAwake(string) (release func()) { return func() {} }

// Pressure asks for nothing here.
func (System) Pressure() (most int, why string) { return 0, "" }

// Notify tells nobody here.
func (System) Notify(title, text string) {}
