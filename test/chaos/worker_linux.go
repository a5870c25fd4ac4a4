package chaos

import "syscall"

// dieTogether has the kernel kill the child when this process dies, however.
func dieTogether() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
