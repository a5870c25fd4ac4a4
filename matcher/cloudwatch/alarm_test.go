package cloudwatch

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/matcher"
)

func alarm(change func(*Alarm)) *Alarm {
	a := &Alarm{
		Statistic: "Sum", Period: 5 * time.Minute, EvaluationPeriods: 1, Limit: 1,
		Comparison: "GreaterThanOrEqualToThreshold",
	}
	change(a)
	return a
}

func TestAlarmThreshold(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Alarm)
		count  int    // 0: an error
		err    string // of it; compat: ErrNeedsCompat
	}{
		{"at least 1", func(*Alarm) {}, 1, ""},
		{"at least 3", func(a *Alarm) { a.Limit = 3 }, 3, ""},
		{"at least 2.5", func(a *Alarm) { a.Limit = 2.5 }, 3, ""},
		{"more than 0", func(a *Alarm) { a.Comparison, a.Limit = "GreaterThanThreshold", 0 }, 1, ""},
		{"more than 3", func(a *Alarm) { a.Comparison, a.Limit = "GreaterThanThreshold", 3 }, 4, ""},
		{"more than 2.5", func(a *Alarm) { a.Comparison, a.Limit = "GreaterThanThreshold", 2.5 }, 3, ""},
		{"two a match", func(a *Alarm) { a.Limit, a.PerMatch = 5, 2 }, 3, ""},
		{"1 of 3", func(a *Alarm) { a.EvaluationPeriods, a.DatapointsToAlarm = 3, 1 }, 1, ""},
		{"ignore", func(a *Alarm) { a.TreatMissingData = "ignore" }, 1, ""},
		{"3 of 3", func(a *Alarm) { a.EvaluationPeriods = 3 }, 0, "compat: 3 of 3 periods"},
		{"2 of 3", func(a *Alarm) { a.EvaluationPeriods, a.DatapointsToAlarm = 3, 2 }, 0, "compat: 2 of 3 periods"},
		{"less", func(a *Alarm) { a.Comparison = "LessThanThreshold" }, 0, "compat: LessThanThreshold"},
		{"breaching", func(a *Alarm) { a.TreatMissingData = "breaching" }, 0, "compat: periods without matches"},
		{"default", func(a *Alarm) { a.Default = new(1.0) }, 0, "each minute without matches adds 1 to the period"},
		{"default NaN", func(a *Alarm) { a.Default, a.Period = new(math.NaN()), time.Minute }, 0, "adds NaN"},
		{"default that breaches", func(a *Alarm) { a.Default, a.Period = new(1.0), time.Minute }, 0, "compat: periods without matches"},
		{"default 0", func(a *Alarm) { a.Default, a.TreatMissingData = new(0.0), "breaching" }, 1, ""},
		{"always", func(a *Alarm) { a.Limit = 0 }, 0, "fires without any match"},
		{"huge", func(a *Alarm) { a.Limit = 1e300 }, 0, "at most 1000000"},
		{"nan", func(a *Alarm) { a.Limit = math.NaN() }, 0, "threshold NaN"},
		{"average", func(a *Alarm) { a.Statistic = "Average" }, 0, `statistic "Average": only Sum`},
		{"anomaly", func(a *Alarm) { a.Comparison = "LessThanLowerThreshold" }, 0, `comparison operator "LessThanLowerThreshold"`},
		{"period", func(a *Alarm) { a.Period = 0 }, 0, "period 0s"},
		{"long", func(a *Alarm) { a.Period = 1e6 * time.Hour }, 0, "period 1000000h"},
		{"periods", func(a *Alarm) { a.EvaluationPeriods = 0 }, 0, "evaluation periods 0"},
		{"datapoints", func(a *Alarm) { a.DatapointsToAlarm = 2 }, 0, "datapoints to alarm 2 of 1"},
		{"missing", func(a *Alarm) { a.TreatMissingData = "x" }, 0, `treat missing data "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := alarm(tt.change).Threshold()
			if tt.count > 0 {
				want := &matcher.Threshold{Count: tt.count, Window: 5 * time.Minute}
				if err != nil || cmp.Diff(want, got) != "" {
					t.Fatalf("%+v, %v", got, err)
				}
				return
			}
			want, compat := strings.CutPrefix(tt.err, "compat")
			if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ErrNeedsCompat) != compat {
				t.Fatalf("%v, want %s", err, tt.err)
			}
		})
	}
}

func TestAlarmCompat(t *testing.T) {
	c, err := alarm(func(a *Alarm) { a.EvaluationPeriods, a.DatapointsToAlarm, a.Comparison = 3, 2, "LessThanThreshold" }).Compat()
	want := &Compat{
		Period: 5 * time.Minute, EvaluationPeriods: 3, DatapointsToAlarm: 2, Relation: matcher.LT,
		Limit: 1, PerMatch: 1, Missing: "missing",
	}
	if err != nil || cmp.Diff(want, c) != "" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestDefaultValue holds what a default value, which is reported in place of
// nothing, makes of periods without matches.
func TestDefaultValue(t *testing.T) {
	for _, tt := range []struct {
		comparison   string
		limit, value float64
		want         string
	}{
		{"GreaterThanOrEqualToThreshold", 1, 0, "notBreaching"},
		{"GreaterThanOrEqualToThreshold", 1, 1, "breaching"},
		{"GreaterThanThreshold", 1, 1, "notBreaching"},
		{"GreaterThanThreshold", 1, 2, "breaching"},
		{"LessThanThreshold", 1, 0, "breaching"},
		{"LessThanThreshold", 1, 1, "notBreaching"},
		{"LessThanOrEqualToThreshold", 1, 1, "breaching"},
		{"LessThanOrEqualToThreshold", 1, 2, "notBreaching"},
	} {
		c, err := alarm(func(a *Alarm) {
			a.Comparison, a.Limit, a.Default, a.Period, a.TreatMissingData = tt.comparison, tt.limit, &tt.value, time.Minute, "ignore"
		}).Compat()
		if err != nil || c.Missing != tt.want {
			t.Errorf("%s %g at %g: %+v, %v, want %s", tt.comparison, tt.limit, tt.value, c, err, tt.want)
		}
	}
}

func TestAlarmWarnings(t *testing.T) {
	tests := []struct {
		change func(*Alarm)
		want   string
	}{
		{func(*Alarm) {}, ""},
		{func(a *Alarm) { a.Dimensions = []Dimension{{"TrailName", "my-trail"}} }, "TrailName=my-trail, which the metric filter never emits"},
		{func(a *Alarm) { a.Dimensions, a.Emits = []Dimension{{"User", "x"}}, []string{"User"} }, ""},
		{func(a *Alarm) { a.Emits = []string{"User"} }, "the alarm names none"},
		{func(a *Alarm) { a.Dimensions, a.Emits = []Dimension{{"User", "x"}}, []string{"User", "Account"} }, "names 1 of them"},
		{func(a *Alarm) { a.AlarmActions = []string{"arn:aws:sns:us-east-1:123456789012"} }, "no topic name"},
		{func(a *Alarm) { a.OKActions = []string{"arn:aws:sns:us-east-1:123456789012:topic"} }, ""},
		{func(a *Alarm) { a.EvaluationPeriods, a.DatapointsToAlarm = 3, 1 }, "resolves sooner"},
		{func(a *Alarm) {
			a.EvaluationPeriods, a.DatapointsToAlarm, a.Comparison = 3, 1, "LessThanThreshold"
		}, ""},
		{func(a *Alarm) { a.Default = new(0.0) }, ""},
		{func(a *Alarm) { a.Default, a.TreatMissingData = new(0.0), "breaching" }, "a period without matches reports 0, the filter's default value, and so is notBreaching; breaching is"},
	}
	for _, tt := range tests {
		got := strings.Join(alarm(tt.change).Warnings(), "\n")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
