package engine_test

import "testing"

// BenchmarkFirstWorkflow is the time from the start of a process to the end of its first workflow, of one activity.
func BenchmarkFirstWorkflow(b *testing.B) {
	first := func(b *testing.B, dir string) {
		p := start(b, "first", dir)
		p.says("done", new(string))
		b.StopTimer()
		p.kill()
		b.StartTimer()
	}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			first(b, b.TempDir())
		}
	})
	b.Run("existing", func(b *testing.B) {
		dir := b.TempDir()
		for b.Loop() {
			first(b, dir)
		}
	})
}
