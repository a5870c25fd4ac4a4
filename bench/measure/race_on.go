//go:build race

package measure

// RaceDetector says whether this program is built with the race detector,
// under which neither times nor allocations mean anything.
const RaceDetector = true
