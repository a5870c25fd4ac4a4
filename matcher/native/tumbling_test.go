package native

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/matcher"
)

func TestCompatCloudWatch(t *testing.T) {
	parse := func(threshold string) (*matcher.Threshold, error) {
		rules, _, err := Parse("r.yaml", []byte("rules: [{id: r, title: R, severity: low, match: {eventName: E}, threshold: {"+threshold+"}}]"))
		if err != nil {
			return nil, err
		}
		if _, err := matcher.Compile(rules, matcher.Options{}); err != nil {
			return nil, err
		}
		return rules[0].Threshold, nil
	}
	for text, want := range map[string]*matcher.Tumbling{
		"count: 3, window: 5m, compat: cloudwatch":                                               {Periods: 1, Points: 1},
		"count: 3, window: 5m, compat: cloudwatch, periods: 3":                                   {Periods: 3, Points: 3},
		`count: 3, window: 5m, compat: cloudwatch, periods: 3, datapoints: 2, compare: "<"`:      {Periods: 3, Points: 2, Under: true},
		`count: 3, window: 5m, compat: cloudwatch, compare: ">=", missing: breaching`:            {Periods: 1, Points: 1, Missing: matcher.Breaching},
		"count: 3, window: 5m, compat: cloudwatch, missing: notBreaching, group_by: [awsRegion]": {Periods: 1, Points: 1, Missing: matcher.NotBreaching},
		"count: 3, window: 5m": nil,
	} {
		got, err := parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if d := cmp.Diff(want, got.Tumbling); d != "" || got.Count != 3 || got.Window != 5*time.Minute {
			t.Errorf("%s (-want +got):\n%s", text, d)
		}
	}
	for text, want := range map[string]string{
		"count: 3, window: 5m, periods: 3":                                       "belongs to compat",
		"count: 3, window: 5m, compat: azure":                                    "must be cloudwatch",
		"count: 3, window: 5m, compat: cloudwatch, compare: \">\"":               "at least n+1",
		"count: 3, window: 5m, compat: cloudwatch, datapoints: 2":                "2 of 1",
		"count: 3, window: 5m, compat: cloudwatch, missing: breachin":            "breaching",
		"absent_for: 5m, compat: cloudwatch":                                     "beside compat",
		"count: 3, window: 1d, compat: cloudwatch, periods: 60":                  "31 days",
		"count: 70000, window: 1d, compat: cloudwatch":                           "65536",
		"distinct: {field: awsRegion, count: 3}, window: 1d, compat: cloudwatch": "beside compat",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "r.yaml:1:") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestFutileAlarms: whether a threshold can be met, and ever end.
func TestFutileAlarms(t *testing.T) {
	for text, want := range map[string]string{
		`count: 1, window: 5m, compat: cloudwatch, compare: "<"`:                        "r.yaml:1:99: the threshold is never met",
		`count: 1, window: 5m, compat: cloudwatch, compare: "<", missing: notBreaching`: "r.yaml:1:99: the threshold is never met",
		`count: 1, window: 5m, compat: cloudwatch, compare: "<", missing: breaching`:    "",
		`count: 2, window: 5m, compat: cloudwatch, compare: "<"`:                        "",
		`count: 1, window: 5m, compat: cloudwatch, missing: breaching`:                  "r.yaml:1:99: the threshold is always met",
		`count: 2, window: 5m, compat: cloudwatch, missing: breaching`:                  "",
		`count: 1, window: 5m, compat: cloudwatch`:                                      "",
	} {
		s, err := Loader{}.Parse("r.yaml", []byte("rules: [{id: r, title: R, severity: low, match: {eventName: E}, threshold: {"+text+"}}]"))
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for _, w := range s.Warnings {
			got += w.String()
		}
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
