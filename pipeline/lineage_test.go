package pipeline

import (
	"math"
	"testing"
)

func TestLineage(t *testing.T) {
	l := newLineage()
	l.raise("a", 100)
	l.raise("a", 90)
	l.raise("b", 50)
	for _, tt := range []struct {
		given int64
		from  []string
		want  int64
	}{
		{math.MinInt64, nil, math.MinInt64},
		{7, nil, 7},
		{math.MinInt64, []string{"a"}, 100},
		{math.MinInt64, []string{"a", "b"}, 50},
		{70, []string{"a", "b"}, 70},
		{math.MinInt64, []string{"a", "unknown"}, math.MinInt64},
	} {
		if got := l.floor(tt.given, tt.from); got != tt.want {
			t.Errorf("from %v, given %d: %d, want %d", tt.from, tt.given, got, tt.want)
		}
	}
	l.closed("b")
	if got := l.floor(math.MinInt64, []string{"b"}); got != 50 {
		t.Errorf("closed and not committed: %d, want 50", got)
	}
	l.committed()
	if got := l.floor(math.MinInt64, []string{"b"}); got != math.MinInt64 {
		t.Errorf("closed and committed: %d", got)
	}
}
