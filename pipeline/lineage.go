package pipeline

import "math"

// lineage follows how far the partitions have come, for those that go on from
// others. It is not undone when a commit is aborted: applied again, a partition
// begins at what its parents reached in the end, which is before all it brings.
type lineage struct {
	times map[string]int64 // newest time of each partition, as far as this run knows
	gone  []string         // closed in the open interval
}

func newLineage() *lineage { return &lineage{times: make(map[string]int64)} }

// raise notes a partition's time.
func (l *lineage) raise(name string, t int64) {
	if known, ok := l.times[name]; !ok || t > known {
		l.times[name] = t
	}
}

// floor is where a partition begins that goes on from others: the least of
// their times, or given if that is later. One whose time is not known counts
// as math.MinInt64.
func (l *lineage) floor(given int64, from []string) int64 {
	if len(from) == 0 {
		return given
	}
	least := int64(math.MaxInt64)
	for _, name := range from {
		t, ok := l.times[name]
		if !ok {
			t = math.MinInt64
		}
		least = min(least, t)
	}
	return max(given, least)
}

// closed notes that nothing goes on from a partition after this interval.
func (l *lineage) closed(name string) { l.gone = append(l.gone, name) }

// committed forgets what was closed.
func (l *lineage) committed() {
	for _, name := range l.gone {
		delete(l.times, name)
	}
	l.gone = l.gone[:0]
}
