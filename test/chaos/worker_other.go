//go:build unix && !linux

package chaos

import "syscall"

// dieTogether can do nothing here: workers outlive a test that is killed.
func dieTogether() *syscall.SysProcAttr { return nil }
