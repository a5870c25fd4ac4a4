//go:build !unix

package e2e

import "os"

func peakRSS(*os.ProcessState) int64 { return 0 }

func ownPeakRSS() int64 { return 0 }
