package convert

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/cloudwatch"
	"github.com/trailtide/trailtide/matcher/eventbridge"
	"github.com/trailtide/trailtide/matcher/lucene"
	"github.com/trailtide/trailtide/matcher/native"
)

var update = flag.Bool("update", false, "rewrite the wanted results")

func languages() map[string]native.Language {
	return map[string]native.Language{
		"cloudwatch": cloudwatch.Language(nil), "lucene": lucene.Parser{}.Language(nil),
		"eventbridge": eventbridge.Language(eventbridge.Options{}, nil),
	}
}

func (r *Result) dump() string {
	var b strings.Builder
	b.WriteString(r.YAML())
	for _, c := range r.Rules {
		for _, w := range c.Warnings {
			fmt.Fprintf(&b, "warning: %s: %s: %s\n", c.Source, c.ID, w)
		}
	}
	for _, reason := range r.Refused {
		fmt.Fprintf(&b, "refused: %s\n", reason)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return strings.ReplaceAll(b.String(), "testdata"+string(filepath.Separator), "")
}

// TestGolden holds what each kind of input comes to, and that the rules load.
func TestGolden(t *testing.T) {
	tests := map[string][]string{
		"cli": {"filters.json", "alarms.json"}, "terraform": {"alarms.tf"}, "cloudformation": {"template.yaml"},
		"eventbridge": {"rule.json"}, "markdown": {"table.md"}, "csv": {"table.csv"},
	}
	for name, files := range tests {
		t.Run(name, func(t *testing.T) {
			for i := range files {
				files[i] = filepath.Join("testdata", files[i])
			}
			r, err := Files(files, Options{Languages: languages()})
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".want")
			if *update {
				if err := os.WriteFile(golden, []byte(r.dump()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), r.dump()); diff != "" {
				t.Error(diff)
			}
			loads(t, r)
		})
	}
}

// loads checks that all rules together are one good rule file.
func loads(t *testing.T, r *Result) []*matcher.Rule {
	t.Helper()
	set, err := native.Loader{Languages: languages()}.Parse("out.yaml", []byte(r.YAML()))
	if err != nil || len(set.Rules) != len(r.Rules) {
		t.Fatalf("%d rules of %d load: %v\n%s", len(set.Rules), len(r.Rules), err, r.YAML())
	}
	for i, rule := range set.Rules {
		if rule.ID != r.Rules[i].ID {
			t.Errorf("rule %s is written as %s", r.Rules[i].ID, rule.ID)
		}
	}
	return set.Rules
}

// TestPublishedTable reads the Coralogix table as it is printed, prose around it.
func TestPublishedTable(t *testing.T) {
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		t.Skip("TRAILTIDE_TESTDATA is not set: no table to read")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "..", "seeds", "002*.txt"))
	if err != nil || len(paths) != 1 {
		t.Skip("the table is not beside the test data")
	}
	if kind, err := Detect(paths[0]); err != nil || kind != Table {
		t.Fatalf("detected as %q, %v", kind, err)
	}
	r, err := Files(paths, Options{Languages: languages()})
	if err != nil || len(r.Rules) != 19 || len(r.Refused) > 0 {
		t.Fatalf("%d rules, %v, %v", len(r.Rules), r.Refused, err)
	}
	loads(t, r)
	for i, want := range map[int]string{
		1:  `lucene: eventSource:"s3.amazonaws.com" AND (eventName:PutBucketAcl OR`,
		2:  `lucene: recipientAccountName:("xxx" OR "yyy") AND errorCode:"accessdenied"`,
		3:  `lucene: _exists_:sourceIPAddress_geoip NOT sourceIPAddress_geoip.country_name.keyword:/india|united states/`,
		12: `lucene: eventName.keyword:(CreateTrail|UpdateTrail|DeleteTrail|StartLogging|StopLogging)`,
	} {
		if !strings.Contains(r.Rules[i].YAML, want) {
			t.Errorf("row %d:\n%s\nwant %s", i+1, r.Rules[i].YAML, want)
		}
	}
	if id := r.Rules[0].ID; id != "cloudtrail-alert-for-usage-of-root-account" {
		t.Errorf("id %s", id)
	}
	if all := strings.Join(r.Rules[2].Warnings, "\n"); !strings.Contains(all, "the column of the query is empty") || !strings.Contains(all, "typographic") {
		t.Errorf("row 3: %s", all)
	}
}

// TestPublishedPatterns converts the published patterns with their alarm settings.
func TestPublishedPatterns(t *testing.T) {
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		t.Skip("TRAILTIDE_TESTDATA is not set: no patterns to read")
	}
	data, err := os.ReadFile(filepath.Join(dir, "cloudwatch", "cis-metric-filters.json"))
	if err != nil {
		t.Fatal(err)
	}
	var published []struct {
		Name, Pattern, Statistic, Comparison string
		Period                               int `json:"alarm_period_seconds"`
		Threshold                            int `json:"alarm_threshold"`
	}
	if err := decodeJSON(data, &published); err != nil {
		t.Fatal(err)
	}
	var template strings.Builder
	template.WriteString("Resources:\n")
	for i, p := range published {
		fmt.Fprintf(&template, "  F%02d: {Type: 'AWS::Logs::MetricFilter', Properties: {FilterName: %s, FilterPattern: %q, MetricTransformations: [{MetricName: %s, MetricNamespace: N, MetricValue: '1'}]}}\n",
			i, p.Name, p.Pattern, p.Name)
		fmt.Fprintf(&template, "  A%02d: {Type: 'AWS::CloudWatch::Alarm', Properties: {AlarmName: %s, MetricName: %s, Namespace: N, Statistic: Sum, Period: %d, EvaluationPeriods: 1, Threshold: %d, ComparisonOperator: GreaterThanOrEqualToThreshold}}\n",
			i, p.Name, p.Name, p.Period, p.Threshold)
	}
	r, err := Convert([]Input{{"t.yaml", []byte(template.String())}}, Options{})
	if err != nil || len(r.Rules) != 16 {
		t.Fatalf("%d rules, %v, %v", len(r.Rules), r.Refused, err)
	}
	for i, rule := range loads(t, r) {
		want := &matcher.Threshold{Count: published[i].Threshold, Window: time.Duration(published[i].Period) * time.Second}
		if diff := cmp.Diff(want, rule.Threshold); diff != "" || rule.ID != published[i].Name {
			t.Errorf("%s: %s", rule.ID, diff)
		}
	}
}

func TestDetectData(t *testing.T) {
	tests := []struct {
		name, data string
		want       Kind
	}{
		{"a.tf", "", Terraform},
		{"a.csv", "", Table},
		{"a.json", `{"metricFilters":[]}`, AWS},
		{"a.json", `{"MetricAlarms":[]}`, AWS},
		{"a.json", `{"Resources":{}}`, CloudFormation},
		{"a.template", "Resources: {}", CloudFormation},
		{"a.json", `{"detail":{"eventName":["x"]}}`, EventBridge},
		{"a.json", `{"Rules":[]}`, EventBridge},
		{"a.yml", "detection: {}\nlogsource: {}", Sigma},
		{"a.yaml", "rules: []", Native},
		{"a.txt", "prose\nAlert name | Description | Query |\n", Table},
		{"a.md", "|Title|Query|\n|-|-|\n", Table},
		{"a.json", `{"x":1}`, Unknown},
		{"a.json", `{`, Unknown},
		{"a.yaml", "\x00", Unknown},
		{"a", "", Unknown},
	}
	for _, tt := range tests {
		if got := DetectData(Input{tt.name, []byte(tt.data)}); got != tt.want {
			t.Errorf("%s %q: %q", tt.name, tt.data, got)
		}
	}
}

func TestSigmaIsLeftAsItIs(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "rule.yml")
	if err := os.WriteFile(name, []byte("title: x\nlogsource: {product: aws}\ndetection: {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Files([]string{dir}, Options{})
	if err != nil || len(r.Rules) > 0 || len(r.Sigma) != 1 || r.Sigma[0] != name || len(r.Notes) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if kind, err := Detect(dir); err != nil || kind != Sigma {
		t.Errorf("%q, %v", kind, err)
	}
}

func TestBrokenInput(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"a.txt", "nothing", "a.txt: of no kind that can be converted"},
		{"a.tf", "resource {", "reading Terraform: a.tf:1"},
		{"a.tf", "x = " + strings.Repeat("(", 1000), "nested too deep"},
		{"a.tf", "x = " + strings.Repeat("!", 1000), "nested too deep"},
		{"a.json", `{"metricFilters": {}}`, "reading JSON"},
		{"a.json", `{"Rules": 5}`, "reading EventBridge rules"},
		{"a.yaml", "Resources: " + strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested too deep"},
		{"a.json", `{"Resources": {"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`, "nested too deep"},
		{"a.csv", "x,y\n1,2", ""},
	}
	for _, tt := range tests {
		r, err := Convert([]Input{{tt.name, []byte(tt.data)}}, Options{})
		if tt.want == "" {
			if err != nil || len(r.Refused) == 0 {
				t.Errorf("%s: %+v, %v", tt.name, r, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	if _, err := Files([]string{"testdata/missing"}, Options{}); err == nil {
		t.Error("a missing file is converted")
	}
}

func TestKebab(t *testing.T) {
	for name, want := range map[string]string{
		"AWSCloudTrailChanges": "aws-cloud-trail-changes", "CloudTrail Changes": "cloudtrail-changes", "a_b/c": "a-b-c",
		"CloudTrail – Usage of “root”": "cloudtrail-usage-of-root", "¿?": "rule", "S3Bucket": "s3-bucket", strings.Repeat("x", 200): strings.Repeat("x", 100),
	} {
		if got := kebab(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Second: "10s", 5 * time.Minute: "5m", 90 * time.Second: "1m30s", time.Hour: "1h", 90 * time.Minute: "1h30m",
		24 * time.Hour: "1d", 36 * time.Hour: "36h", 7 * 24 * time.Hour: "7d",
	} {
		if got := duration(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

func FuzzConvert(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(filepath.Ext(name), data)
	}
	f.Fuzz(func(t *testing.T, ext string, data []byte) {
		r, err := Convert([]Input{{"f" + ext, data}}, Options{Languages: languages()})
		if err == nil && len(r.Rules) > 0 {
			loads(t, r)
		}
	})
}
