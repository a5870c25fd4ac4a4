package cloudwatch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/matcher"
)

func TestCompatThreshold(t *testing.T) {
	for _, tt := range []struct {
		comparison string
		limit      float64
		perMatch   float64
		count      int
		under      bool
	}{
		{"GreaterThanOrEqualToThreshold", 3, 1, 3, false},
		{"GreaterThanOrEqualToThreshold", 2.5, 1, 3, false},
		{"GreaterThanThreshold", 3, 1, 4, false},
		{"GreaterThanThreshold", 0, 1, 1, false},
		{"GreaterThanThreshold", 2.5, 1, 3, false},
		{"LessThanThreshold", 3, 1, 3, true},
		{"LessThanThreshold", 2.5, 1, 3, true},
		{"LessThanOrEqualToThreshold", 3, 1, 4, true},
		{"LessThanOrEqualToThreshold", 0, 1, 1, true},
		{"GreaterThanOrEqualToThreshold", 10, 5, 2, false},
		{"GreaterThanOrEqualToThreshold", -1, 1, 0, false},
	} {
		a := &Alarm{
			Statistic: "Sum", Period: time.Minute, EvaluationPeriods: 3, DatapointsToAlarm: 2,
			Comparison: tt.comparison, Limit: tt.limit, PerMatch: tt.perMatch, TreatMissingData: "breaching",
		}
		c, err := a.Compat()
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Threshold()
		if err != nil {
			t.Fatal(err)
		}
		want := &matcher.Threshold{
			Count: tt.count, Window: time.Minute,
			Tumbling: &matcher.Tumbling{Under: tt.under, Periods: 3, Points: 2, Missing: matcher.Breaching},
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(matcher.Rule{})); d != "" {
			t.Errorf("%s %g (-want +got):\n%s", tt.comparison, tt.limit, d)
		}
	}
	if _, err := (&Compat{Limit: 1e300, PerMatch: 1}).Threshold(); err == nil {
		t.Error("what cannot be counted is accepted")
	}
}
