package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/test/harness"
)

// wide is a lateness under which no event of the corpora is late.
const wide = "100000h"

func builtinFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../matcher/builtin/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("the built-in rules: %v, %v", files, err)
	}
	return files
}

// Over every corpus a scan with the built-in pack says what an evaluator says
// that shares no code with the program.
func TestScanIsWhatTheReferenceSays(t *testing.T) {
	rules := rulesIn(t, builtinFiles(t)...)
	plain, counted := 0, 0
	for name, path := range corpora(t) {
		t.Run(name, func(t *testing.T) {
			events := eventsIn(t, path)
			r := must(t, "scan", "--output", "ndjson", "--lateness", wide, path)
			if sum := summary(t, r.err); sum["events_read"] != int64(len(events)) || sum["events_invalid"] != 0 {
				t.Errorf("%d events in the file, and the summary\n%s", len(events), r.err)
			}
			gotPlain, gotCounted := reported(t, rules, harness.Alerts(t, r.out))
			harness.Same(t, "plain alerts", plainAlerts(rules, events), gotPlain)
			var want []string
			for _, e := range episodes(t, rules, events) {
				want = append(want, e.key())
			}
			harness.Same(t, "episodes", want, gotCounted)
			plain, counted = plain+len(gotPlain), counted+len(gotCounted)
		})
	}
	if plain < 300 || counted < 5 {
		t.Errorf("only %d plain alerts and %d episodes: that proves little", plain, counted)
	}
}

// thresholds is a rule file with thresholds of every shape over common calls.
func thresholds() string {
	var b strings.Builder
	b.WriteString("rules:\n")
	n := 0
	rule := func(match, threshold, suppress string) {
		n++
		fmt.Fprintf(&b, "  - {id: t-%d, title: T, severity: low, match: {%s}, threshold: {%s}%s}\n", n, match, threshold, suppress)
	}
	conditions := []string{
		`eventSource: iam.amazonaws.com`, `response: failure`, `readOnly: false`, `userAgent: {contains: stratus}`,
		`eventName: {wildcard: "Describe*"}`, `eventName: {prefix: [Get, List]}, response: success`, `eventVersion: {exists: true}`,
	}
	groups := []string{`[]`, `userIdentity.arn`, `[eventName]`, `[recipientAccountId, sourceIPAddress]`, `[errorCode, eventSource]`, `[userIdentity.sessionContext.sessionIssuer.userName]`}
	i := 0
	for _, c := range conditions {
		for _, g := range groups {
			by := ""
			if g != "[]" {
				by = ", group_by: " + g
			}
			for _, window := range [][]string{{"1s", "5m"}, {"30s", "1h"}, {"1m", "1d12h"}}[i/2%3] {
				i++
				count := []int{1, 2, 3, 5, 8, 20, 100}[i%7]
				rule(c, fmt.Sprintf("count: %d, window: %s%s", count, window, by), "")
				field := []string{"eventName", "sourceIPAddress", "awsRegion", "requestParameters.bucketName", "eventID"}[i%5]
				rule(c, fmt.Sprintf("distinct: {field: %s, count: %d}, window: %s%s", field, []int{1, 2, 4, 9}[i%4], window, by), "")
			}
		}
	}
	rule(`eventSource: iam.amazonaws.com`, `count: 3, window: 1m, group_by: [eventName]`,
		`, suppress: [{when: {eventName: {prefix: Get}}, reason: reading}, {when: {userAgent: {contains: stratus}}, reason: a drill}]`)
	rule(`eventSource: iam.amazonaws.com`, `count: 2, window: 10m`,
		`, suppress: [{when: {errorCode: {exists: true}}, reason: it failed, expires: 2023-07-10}]`)
	rule(`eventSource: iam.amazonaws.com`, `count: 2, window: 10m`,
		`, suppress: [{when: {errorCode: {exists: true}}, reason: it failed, expires: 2023-07-09}]`)
	b.WriteString("suppress:\n  - {when: {sourceIPAddress: {cidr: 10.0.0.0/8}}, rules: [\"t-1*\"], reason: the office}\n")
	return b.String()
}

// Thresholds of every shape count what sorting all matches by time counts.
func TestThresholdsAreWhatTheReferenceSays(t *testing.T) {
	file := harness.Write(t, t.TempDir(), "thresholds.yaml", thresholds())
	rules := rulesIn(t, file)
	total := 0
	for name, path := range corpora(t) {
		t.Run(name, func(t *testing.T) {
			events := eventsIn(t, path)
			r := must(t, "scan", "--output", "ndjson", "--no-builtin", "--rules", file, "--lateness", wide, path)
			summary(t, r.err)
			_, got := reported(t, rules, harness.Alerts(t, r.out))
			var want []string
			for _, e := range episodes(t, rules, events) {
				want = append(want, e.key())
			}
			harness.Same(t, "episodes", want, got)
			total += len(got)
		})
	}
	if total < 300 {
		t.Errorf("only %d episodes: that proves little", total)
	}
}

// One corpus in many files, each out of order within the lateness, some of it
// twice, as S3 lays them out: the default lateness suffices, and the episodes
// are those of one file, for any number of cores.
func TestManyFilesCountAsOne(t *testing.T) {
	file := harness.Write(t, t.TempDir(), "thresholds.yaml", thresholds())
	rules := rulesIn(t, file)
	events := eventsIn(t, corpora(t)["invictus"])
	var want []string
	for _, e := range episodes(t, rules, events) {
		want = append(want, e.key())
	}
	r := rand.New(rand.NewPCG(1, 2))
	// Each file holds a stretch of the hour, and the stretches overlap.
	const files = 40
	dir := t.TempDir()
	parts := make([][][]byte, files)
	for i, ev := range events {
		at := i*files/len(events) + r.IntN(4)
		parts[min(at, files-1)] = append(parts[min(at, files-1)], ev.raw)
		if r.IntN(10) == 0 {
			at = min(at+r.IntN(3), files-1)
			parts[at] = append(parts[at], ev.raw)
		}
	}
	for i, part := range parts {
		r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
		name := fmt.Sprintf("AWSLogs/111122223333/CloudTrail/us-east-1/2023/07/10/111122223333_CloudTrail_us-east-1_20230710T%02d%02dZ_x%d.json.gz", 12+i/60, i%60, i)
		content := gzipped(t, append(append([]byte(`{"Records":[`), bytes.Join(part, []byte{','})...), "]}"...))
		if i%7 == 3 {
			name = strings.Replace(name, ".json.gz", ".ndjson", 1)
			content = append(bytes.Join(part, []byte{'\n'}), '\n')
		}
		harness.Write(t, dir, name, string(content))
	}
	for _, jobs := range []string{"1", "4"} {
		r := must(t, "scan", "--output", "ndjson", "--no-builtin", "--rules", file, "--lateness", "1h", "--jobs", jobs, dir)
		if sum := summary(t, r.err); sum["events_late"] != 0 {
			t.Errorf("%d events were late", sum["events_late"])
		}
		_, got := reported(t, rules, harness.Alerts(t, r.out))
		harness.Same(t, "episodes with "+jobs+" jobs", want, got)
	}
}
