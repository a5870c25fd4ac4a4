//go:build !unix

package measure

import "time"

var started = time.Now()

// CPU returns the wall clock time since the start, where the system does not
// tell CPU time in a portable way: an idle machine is needed then.
func CPU() time.Duration { return time.Since(started) }
