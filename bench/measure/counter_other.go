//go:build !linux

package measure

// counter counts nothing on this system.
type counter struct{}

func openCounter() *counter   { return new(counter) }
func (*counter) read() uint64 { return 0 }
func (*counter) close()       {}
