//go:build unix && !linux

package chaos

import "syscall"

// dieTogether can do nothing here: brokers outlive a process that is killed.
func dieTogether() *syscall.SysProcAttr { return nil }
