package alerting

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/cloudwatch"
	"github.com/trailtide/trailtide/matcher/convert"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/sinks"
)

// alarmSettings are an alarm on the metric of a filter, as the AWS CLI tells
// them. Periods are of a minute, evaluated are 3.
type alarmSettings struct {
	comparison string
	limit      int
	points     int
	missing    string
	report     bool // the filter has the default value 0
}

// rules converts the alarm to YAML and loads that.
func (a alarmSettings) rules(t *testing.T) *matcher.Ruleset {
	t.Helper()
	report := ""
	if a.report {
		report = `, "defaultValue": 0`
	}
	filters := `{"metricFilters": [{"filterName": "denied", "filterPattern": "{ $.errorCode = AccessDenied }",
		"metricTransformations": [{"metricName": "Denied", "metricNamespace": "Trail", "metricValue": "1"` + report + `}]}]}`
	alarms := fmt.Sprintf(`{"MetricAlarms": [{"AlarmName": "Denied", "MetricName": "Denied", "Namespace": "Trail", "Statistic": "Sum", "Period": 60,
		"EvaluationPeriods": 3, "DatapointsToAlarm": %d, "Threshold": %d, "ComparisonOperator": %q, "TreatMissingData": %q}]}`,
		a.points, a.limit, a.comparison, a.missing)
	r, err := convert.Convert([]convert.Input{{Name: "filters.json", Data: []byte(filters)}, {Name: "alarms.json", Data: []byte(alarms)}}, convert.Options{})
	if err != nil || len(r.Refused) > 0 {
		t.Fatal(err, r.Refused)
	}
	set, err := native.Loader{Languages: map[string]native.Language{"cloudwatch": cloudwatch.Language(nil)}}.Parse("out.yaml", []byte(r.YAML()))
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Rules) != 1 || set.Rules[0].Threshold.Tumbling == nil {
		t.Fatalf("no rule with periods:\n%s", r.YAML())
	}
	rs, err := matcher.Compile(set.Rules, matcher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// states reads the alarm by hand: sums has the matches of each minute. It
// answers at the ends of which minutes the alarm goes on and off.
func (a alarmSettings) states(sums []int) (out []string) {
	breaches := func(sum int) bool {
		switch a.comparison {
		case "GreaterThanThreshold":
			return sum > a.limit
		case "GreaterThanOrEqualToThreshold":
			return sum >= a.limit
		case "LessThanThreshold":
			return sum < a.limit
		}
		return sum <= a.limit
	}
	on, begun := false, false
	for end := 1; end <= len(sums); end++ {
		begun = begun || sums[end-1] > 0
		if !begun {
			continue // CloudWatch has no metric before the first datapoint
		}
		var line string // the last three datapoints, oldest first: x breaches, . does not, - is missing
		for minute := end - 3; minute < end; minute++ {
			switch {
			case minute < 0 || sums[minute] == 0 && !a.report:
				line += "-"
			case minute >= 0 && breaches(sums[minute]):
				line += "x"
			default:
				line += "."
			}
		}
		if a.report && end < 3 { // what was before the first event is 0 like all that is quiet
			line = line[3-end:]
			for range 3 - end {
				line = map[bool]string{true: "x", false: "."}[breaches(0)] + line
			}
		}
		was := on
		if on = a.judge(line, on); on != was {
			out = append(out, fmt.Sprintf("%d %t", end, on))
		}
	}
	return out
}

func (a alarmSettings) judge(line string, on bool) bool {
	n := map[rune]int{}
	for _, r := range line {
		n[r]++
	}
	switch a.missing {
	case "breaching":
		return n['x']+n['-'] >= a.points
	case "ignore":
		return n['x'] >= a.points || on && n['x']+n['-'] >= a.points
	case "notBreaching":
		return n['x'] >= a.points
	}
	// Too few, but the oldest that breaches is as old as points, and nothing sound came after it.
	early := map[int][]string{2: {"-x-", ".x-", "x--"}, 3: {"x--", "x-x", "xx-"}}
	for _, l := range early[a.points] {
		if line == l {
			return true
		}
	}
	return n['x'] >= a.points
}

// TestConvertedAlarms feeds matches by the minute to alarms that were converted,
// with aborts and restarts in between, and compares what is told with a reading by hand.
func TestConvertedAlarms(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	raised := 0
	for _, comparison := range []string{"GreaterThanThreshold", "GreaterThanOrEqualToThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"} {
		for _, missing := range []string{"missing", "notBreaching", "breaching", "ignore"} {
			for _, points := range []int{1, 2, 3} {
				for _, report := range []bool{false, true} {
					a := alarmSettings{comparison, 2, points, missing, report}
					if points == 1 && comparison[0] == 'G' && (missing != "breaching" || report) {
						continue // a sliding window stands for these
					}
					t.Run(fmt.Sprintf("%s %s %d of 3 default %t", comparison, missing, points, report), func(t *testing.T) {
						raised += a.run(t, rng)
					})
				}
			}
		}
	}
	if raised < 100 {
		t.Errorf("only %d alarms", raised)
	}
}

func (a alarmSettings) run(t *testing.T, rng *rand.Rand) int {
	t.Helper()
	b := newBench(t, "rules: []")
	b.rules = a.rules(t)
	const minutes = 40
	sums := make([]int, minutes)
	minute := func(m int) {
		b.next = 10 * m
		for i := range sums[m] {
			b.see(m*60+i*15, `,"errorCode":"AccessDenied"`)
		}
		b.see(m*60+59, `,"errorCode":"Other"`)
		b.clock(m*60 + 60 + 60) // its end, and the lateness
		b.stage.now = t0.Add(time.Duration(m+1) * time.Minute)
	}
	for m := range sums {
		sums[m] = max(0, rng.IntN(6)-2)
		minute(m)
		switch m % 7 {
		case 3:
			b.restart(b.rules)
		case 5: // all of the minute is taken back, and done again
			b.flushAnd(func() error { return b.stage.Txn().Abort(t.Context()) })
			b.stage.RolledBack()
			b.begin()
			minute(m)
			fallthrough
		default:
			b.commit()
		}
	}
	var got []string
	var open string
	for _, told := range b.told() {
		firing := told.Status == sinks.Firing
		if firing {
			open = told.AlertID
			if !told.Time.Equal(told.DetectedAt) {
				t.Errorf("%v: fired at the end of a period, and told as %v", told.DetectedAt, told.Time)
			}
		} else if told.Status != sinks.Resolved || told.AlertID != open {
			t.Errorf("%v: %s %s, open is %s", told.DetectedAt, told.AlertID, told.Status, open)
		}
		got = append(got, fmt.Sprintf("%d %t", told.DetectedAt.Sub(t0)/time.Minute, firing))
	}
	if d := cmp.Diff(a.states(sums), got); d != "" {
		t.Errorf("matches a minute %v (-want +got):\n%s", sums, d)
	}
	return len(got)
}
