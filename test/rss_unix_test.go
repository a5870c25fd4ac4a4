//go:build unix

package e2e

import (
	"os"
	"runtime"
	"syscall"
)

// peakRSS is the greatest resident memory of an ended process, in bytes. On
// Linux a child is also charged with what its parent held when it was started,
// so that this process must stay small.
func peakRSS(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return bytesOf(usage)
}

func ownPeakRSS() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return bytesOf(&usage)
}

func bytesOf(usage *syscall.Rusage) int64 {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(usage.Maxrss) //nolint:unconvert // an int32 on some systems
	}
	return int64(usage.Maxrss) << 10 //nolint:unconvert // an int32 on some systems
}
