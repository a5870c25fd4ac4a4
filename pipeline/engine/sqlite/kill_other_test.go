//go:build !unix

package sqlite

// helperNamed: there are no signals to test with.
func helperNamed(string) func(path string) error { return nil }
