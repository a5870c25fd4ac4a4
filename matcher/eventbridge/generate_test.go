package eventbridge

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	genStrings  = []string{`"a"`, `"A"`, `"ab"`, `""`, `"1"`, `"é"`, `"É"`, `"10.0.0.1"`, `"010.0.0.1"`, `"::1"`, `"a*b"`, `"aws.ec2"`, `"ec2.amazonaws.com"`, `"signin.amazonaws.com"`, `"true"`}
	genNumbers  = []string{"1", "1.0", "10e-1", "-2", "300", "3.0e2", "12345678901234567890", "12345678901234567891"}
	genKeys     = []string{"a", "b", "c", "a.b"}
	genTop      = []string{"eventName", "eventSource", "sourceIPAddress", "requestParameters", "requestParameters"}
	genTypes    = []string{`"AwsApiCall"`, `"AwsConsoleSignIn"`, `"AwsServiceEvent"`, `"other"`}
	detailTexts = []string{
		`["AWS API Call via CloudTrail"]`, `["AWS Console Sign In via CloudTrail"]`, `[{"prefix": "AWS"}]`,
		`[{"anything-but": "AWS API Call via CloudTrail"}]`, `[{"wildcard": "*Service*"}, "AWS API Call via CloudTrail"]`, `[{"exists": false}]`,
	}
)

func pick(t *rapid.T, from []string) string { return rapid.SampledFrom(from).Draw(t, "pick") }

func drawValue(t *rapid.T) string {
	s := pick(t, genStrings)
	switch rapid.IntRange(0, 17).Draw(t, "value") {
	case 0, 1, 2, 3:
		return s
	case 4:
		return pick(t, genNumbers)
	case 5:
		return pick(t, []string{"true", "false", "null"})
	case 6:
		return `{"prefix": ` + s + `}`
	case 7:
		return `{"suffix": {"equals-ignore-case": ` + s + `}}`
	case 8:
		return `{"equals-ignore-case": ` + s + `}`
	case 9:
		return `{"wildcard": ` + pick(t, []string{`"*"`, `"a*"`, `"*b"`, `"a\\*b"`, `"aws.*"`}) + `}`
	case 10:
		return `{"anything-but": [` + s + `, ` + pick(t, genStrings) + `]}`
	case 11:
		return `{"anything-but": ` + pick(t, genNumbers) + `}`
	case 12:
		return `{"anything-but": {"` + pick(t, []string{"prefix", "suffix", "equals-ignore-case", "wildcard"}) + `": ["a", "aws.ec2"]}}`
	case 13:
		return `{"numeric": ` + pick(t, []string{`["=", 1]`, `[">", 0, "<=", 300]`, `["<", 1]`, `[">=", 12345678901234567891]`}) + `}`
	case 14:
		return `{"cidr": ` + pick(t, []string{`"10.0.0.0/8"`, `"::/64"`, `"010.0.0.9/24"`}) + `}`
	case 15:
		return `{"exists": true}`
	default:
		return `{"exists": false}`
	}
}

func drawList(t *rapid.T) string {
	var values []string
	for range rapid.IntRange(1, 3).Draw(t, "values") {
		values = append(values, drawValue(t))
	}
	return "[" + strings.Join(values, ", ") + "]"
}

func drawPatternObject(t *rapid.T, depth int, keys []string) string {
	var members []string
	for range rapid.IntRange(1, 3).Draw(t, "members") {
		kind := rapid.IntRange(0, 9).Draw(t, "member")
		switch {
		case depth > 0 && kind == 0:
			members = append(members, fmt.Sprintf(`"$or": [%s, %s]`, drawPatternObject(t, depth-1, keys), drawPatternObject(t, depth-1, keys)))
		case depth > 0 && kind < 5:
			members = append(members, fmt.Sprintf("%q: %s", pick(t, keys), drawPatternObject(t, depth-1, genKeys)))
		default:
			members = append(members, fmt.Sprintf("%q: %s", pick(t, keys), drawList(t)))
		}
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func drawPattern(t *rapid.T) string {
	if rapid.Bool().Draw(t, "bare") {
		return drawPatternObject(t, 3, genTop)
	}
	members := []string{`"detail": ` + drawPatternObject(t, 3, genTop)}
	if rapid.Bool().Draw(t, "with source") {
		members = append(members, fmt.Sprintf("%q: %s", pick(t, []string{"source", "account", "version", "resources", "id", "odd", "source.a"}), drawList(t)))
	}
	if rapid.Bool().Draw(t, "with detail-type") {
		members = append(members, `"detail-type": `+pick(t, detailTexts))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func drawEventValue(t *rapid.T, depth int) string {
	most := 8
	if depth == 0 {
		most = 4
	}
	switch rapid.IntRange(0, most).Draw(t, "event value") {
	case 0, 1:
		return pick(t, genStrings)
	case 2:
		return pick(t, genNumbers)
	case 3:
		return pick(t, []string{"true", "false", "null", "[]", "{}"})
	case 4, 5, 6:
		return drawEventObject(t, max(depth-1, 0), genKeys)
	default:
		var parts []string
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			parts = append(parts, drawEventValue(t, depth-1))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
}

func drawEventObject(t *rapid.T, depth int, keys []string) string {
	var members []string
	seen := map[string]bool{}
	// Where an object has both "a" and "a.b", the two stand for one another.
	dotted := rapid.Bool().Draw(t, "dotted")
	for range rapid.IntRange(0, 4).Draw(t, "members") {
		key := pick(t, keys)
		if seen[key] || key == "a.b" && !dotted || key == "a" && dotted {
			continue
		}
		seen[key] = true
		members = append(members, fmt.Sprintf("%q: %s", key, drawEventValue(t, depth)))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func drawRecord(t *rapid.T) string {
	inner := drawEventObject(t, 3, genTop)
	if rapid.Bool().Draw(t, "typed") {
		sep := ", "
		if inner == "{}" {
			sep = ""
		}
		return `{"eventType": ` + pick(t, genTypes) + sep + inner[1:]
	}
	return inner
}

func agrees(t *rapid.T) {
	pattern := drawPattern(t)
	node, _, err := Parse("p.json", []byte(pattern))
	if err != nil {
		t.Fatalf("%v\n%s", err, pattern)
	}
	raw, _, err := ParseWith("p.json", []byte(pattern), Options{Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	either, _, err := ParseWith("p.json", []byte(pattern), Options{Envelopes: true})
	if err != nil {
		t.Fatal(err)
	}
	asRecord, asIs, asEither := compileNode(t, node), compileNode(t, raw), compileNode(t, either)
	for range 4 {
		event := drawRecord(t)
		v := decodeEvent(t, event)
		if got, want := asRecord.match(t, event), refRecord(pattern, v); got != want {
			t.Fatalf("record: engine %t, reference %t\npattern: %s\nevent: %s", got, want, pattern, event)
		}
		if got, want := asEither.match(t, event), refRecord(pattern, v); got != want {
			t.Fatalf("no envelope: engine %t, reference %t\npattern: %s\nevent: %s", got, want, pattern, event)
		}
		if got, want := asIs.match(t, event), refMatch(pattern, v); got != want {
			t.Fatalf("raw: engine %t, reference %t\npattern: %s\nevent: %s", got, want, pattern, event)
		}
		envelope := `{"source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail", "detail": ` + event + `}`
		if got, want := asEither.match(t, envelope), refMatch(pattern, decodeEvent(t, envelope)); got != want {
			t.Fatalf("envelope: engine %t, reference %t\npattern: %s\nevent: %s", got, want, pattern, envelope)
		}
	}
}

// TestAgreesWithReference compares the two on generated patterns and events.
func TestAgreesWithReference(t *testing.T) { rapid.Check(t, agrees) }

func FuzzAgreesWithReference(f *testing.F) { f.Fuzz(rapid.MakeFuzz(agrees)) }

// realPatterns are patterns as people write them for CloudTrail.
var realPatterns = []string{
	`{"source": ["aws.iam"], "detail-type": ["AWS API Call via CloudTrail"], "detail": {"eventName": [{"prefix": "Create"}, {"prefix": "Attach"}]}}`,
	`{"detail-type": ["AWS Console Sign In via CloudTrail"], "detail": {"userIdentity": {"type": ["Root", "IAMUser"]}}}`,
	`{"source": [{"prefix": "aws.s"}], "detail": {"errorCode": [{"exists": true}]}}`,
	`{"detail": {"eventSource": ["ec2.amazonaws.com"], "eventName": ["DescribeInstances", "RunInstances", "AuthorizeSecurityGroupIngress"]}}`,
	`{"detail": {"requestParameters": {"instancesSet": {"items": {"instanceId": [{"prefix": "i-"}]}}}}}`,
	`{"detail": {"requestParameters": {"ipPermissions": {"items": {"ipRanges": {"items": {"cidrIp": ["0.0.0.0/0"]}}, "fromPort": [{"exists": true}]}}}}}`,
	`{"detail": {"sourceIPAddress": [{"anything-but": {"wildcard": "*.amazonaws.com"}}], "readOnly": [false]}}`,
	`{"detail": {"userAgent": [{"wildcard": "*boto*"}, {"equals-ignore-case": "aws internal"}], "errorCode": [{"exists": false}]}}`,
	`{"detail": {"$or": [{"errorCode": [{"suffix": "Operation"}]}, {"eventName": [{"wildcard": "Delete*"}]}], "recipientAccountId": [{"exists": true}]}}`,
	`{"eventName": ["ConsoleLogin", "AssumeRole", "GetCallerIdentity"], "responseElements": [null]}`,
	`{"requestParameters": {"exists": [{"exists": false}]}, "eventSource": [{"anything-but": ["s3.amazonaws.com", "kms.amazonaws.com"]}]}`,
	`{"region": ["us-east-1"], "account": [{"anything-but": "1"}], "time": [{"prefix": "20"}], "version": ["0"], "detail": {"eventVersion": [{"prefix": "1."}]}}`,
	`{"detail-type": ["AWS Service Event via CloudTrail"], "detail": {"eventType": [{"exists": true}]}}`,
	`{"detail": {"resources": {"type": ["AWS::S3::Bucket"], "accountId": [{"exists": true}]}, "managementEvent": [true, false]}}`,
	`{"detail": {"requestParameters": {"maxResults": [{"numeric": [">", 5, "<=", 1000]}]}}}`,
}

// TestRealEvents compares the two on the events of a corpus.
func TestRealEvents(t *testing.T) {
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		t.Skip("TRAILTIDE_TESTDATA is not set: no corpus to read")
	}
	files, err := filepath.Glob(filepath.Join(dir, "cloudtrail", "*.jsonl*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no events under %s: %v", dir, err)
	}
	var rules []*compiled
	for _, p := range realPatterns {
		rules = append(rules, compile(t, p, Options{}))
	}
	held := make([]int, len(rules))
	for _, name := range files {
		readLines(t, name, func(line string) {
			event := decodeEvent(t, line)
			if inner, ok := event["event"].(map[string]any); ok {
				event = inner
			}
			text, err := json.Marshal(event)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range realPatterns {
				got, want := rules[i].match(t, string(text)), refRecord(p, event)
				if got != want {
					t.Errorf("engine %t, reference %t\npattern: %s\nevent: %s", got, want, p, text)
				}
				if got {
					held[i]++
				}
			}
		})
	}
	silent := 0
	for i, n := range held {
		t.Logf("%6d %s", n, realPatterns[i])
		if n == 0 {
			silent++
		}
	}
	if silent > 2 {
		t.Errorf("%d patterns hold for no event", silent)
	}
}

func readLines(t *testing.T, name string, yield func(string)) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if len(lines.Bytes()) > 0 {
			yield(lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
