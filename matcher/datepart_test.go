package matcher

import "testing"

func TestCompareDatePart(t *testing.T) {
	tests := []struct {
		part    DatePart
		rel     Relation
		operand int
		text    string
		want    bool
	}{
		{Minute, EQ, 30, "2026-03-02T10:30:59Z", true},
		{Hour, EQ, 10, "2026-03-02T10:30:59Z", true},
		{Hour, EQ, 10, "2026-03-02T10:30:59.123Z", true},
		{Hour, EQ, 8, "2026-03-02T10:30:59+02:00", true},
		{Hour, EQ, 10, "2026-03-02T10:30:59+02:00", false},
		{Hour, EQ, 10, "2026-03-02 10:30:59", true},
		{Hour, EQ, 10, "2026-03-02T10:30:59", true},
		{Hour, EQ, 22, "Mar 2, 2026 10:30:59 PM", true},
		{Hour, GE, 10, "2026-03-02T10:30:59Z", true},
		{Hour, LT, 10, "2026-03-02T10:30:59Z", false},
		{Day, EQ, 2, "2026-03-02", true},
		{Day, EQ, 1, "2026-03-02T00:30:00+01:00", true},
		{Week, EQ, 53, "2027-01-01T00:00:00Z", true},
		{Month, EQ, 3, "2026-03-02", true},
		{Year, EQ, 2026, "2026-03-02", true},
		{Year, NE, 2026, "2026-03-02", false},
		{Year, EQ, 2026, "2026-13-02", false},
		{Year, EQ, 2026, "2026", false},
		{Year, EQ, 0, "not a date, really", false},
	}
	m := mustCompile(t, Options{}, rule("none", field("x", is("y")))).NewMatcher()
	for _, tt := range tests {
		if got := m.holds([]Op{CompareDatePart(tt.part, tt.rel, tt.operand)}, []byte(tt.text)); got != tt.want {
			t.Errorf("%s %v %d of %q: %t", datePartNames[tt.part], tt.rel, tt.operand, tt.text, got)
		}
	}
}
