package eventbridge

import (
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
)

const runInstances = `{"eventVersion":"1.08","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","eventType":"AwsApiCall",
"awsRegion":"eu-west-1","recipientAccountId":"111122223333","eventTime":"2026-01-02T03:04:05Z","eventID":"e-1",
"requestParameters":{"tags":{"com.example.team":"red"}}}`

const consoleLogin = `{"eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","eventType":"AwsConsoleSignIn"}`

// TestEnvelope: what a record is as an EventBridge event.
func TestEnvelope(t *testing.T) {
	const untyped = `{"eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin"}`
	const service = `{"eventSource":"kms.amazonaws.com","eventName":"RotateKey","eventType":"AwsServiceEvent"}`
	cases := []struct {
		pattern, event string
		want           bool
	}{
		{`{"source": ["aws.ec2"], "detail": {"eventName": ["RunInstances"]}}`, runInstances, true},
		{`{"source": ["ec2.amazonaws.com"], "detail": {"eventName": ["RunInstances"]}}`, runInstances, false},
		{`{"source": [{"prefix": "aws.e"}], "detail": {"eventName": [{"exists": true}]}}`, runInstances, true},
		{`{"source": [{"prefix": "ec2"}], "detail": {"eventName": [{"exists": true}]}}`, runInstances, false},
		{`{"source": [{"anything-but": "aws.ec2"}], "detail": {"eventName": [{"exists": true}]}}`, runInstances, false},
		{`{"source": [{"anything-but": "aws.s3"}], "detail": {"eventName": [{"exists": true}]}}`, runInstances, true},
		{`{"source": ["aws.signin"], "detail": {"eventName": ["ConsoleLogin"]}}`, consoleLogin, true},
		{`{"account": ["111122223333"], "region": ["eu-west-1"], "time": [{"prefix": "2026-01"}], "id": ["e-1"], "version": ["0"], "detail": {"eventName": [{"exists": true}]}}`, runInstances, true},
		{`{"account": ["1"], "detail": {"eventName": [{"exists": true}]}}`, runInstances, false},
		{`{"version": ["1"], "detail": {"eventName": [{"exists": true}]}}`, runInstances, false},
		{`{"resources": [{"exists": false}], "detail": {"eventName": [{"exists": true}]}}`, runInstances, true},
		{`{"resources": [{"exists": true}], "detail": {"eventName": [{"exists": true}]}}`, runInstances, false},
		{`{"detail-type": ["AWS API Call via CloudTrail"], "detail": {"eventName": [{"exists": true}]}}`, runInstances, true},
		{`{"detail-type": ["AWS API Call via CloudTrail"], "detail": {"eventName": [{"exists": true}]}}`, consoleLogin, false},
		{`{"detail-type": ["AWS API Call via CloudTrail"], "detail": {"eventName": [{"exists": true}]}}`, untyped, false},
		{`{"detail-type": ["AWS Console Sign In via CloudTrail"], "detail": {"eventName": [{"exists": true}]}}`, consoleLogin, true},
		{`{"detail-type": ["AWS Console Sign In via CloudTrail"], "detail": {"eventName": [{"exists": true}]}}`, untyped, true},
		{`{"detail-type": ["AWS Service Event via CloudTrail"], "detail": {"eventName": [{"exists": true}]}}`, service, true},
		{`{"detail-type": [{"suffix": "CloudTrail"}], "detail": {"eventName": [{"exists": true}]}}`, service, true},
		{`{"detail-type": ["AWS Console Sign In via CloudTrail", "AWS API Call via CloudTrail"], "detail": {"eventName": [{"exists": true}]}}`, service, false},
		{`{"detail-type": ["EC2 Instance State-change Notification"], "detail": {"eventName": [{"exists": true}]}}`, runInstances, false},
		{`{"detail": [{"exists": false}]}`, runInstances, true}, // detail is an object, which is no value
		{`{"detail": ["x"]}`, runInstances, false},
		{`{"detail.eventName": ["RunInstances"]}`, runInstances, true},
		{`{"detail": {"requestParameters": {"tags": {"com.example.team": ["red"]}}}}`, runInstances, true},
		{`{"eventName": ["RunInstances"]}`, runInstances, true},
		{`{"source": ["aws.ec2"]}`, runInstances, false},
		{`{"$or": [{"source": ["aws.ec2"]}, {"detail": {"eventName": ["ConsoleLogin"]}}]}`, runInstances, true},
		{`{"$or": [{"source": ["aws.s3"]}, {"detail": {"eventName": ["ConsoleLogin"]}}]}`, runInstances, false},
	}
	for _, c := range cases {
		if got := compile(t, c.pattern, Options{}).match(t, c.event); got != c.want {
			t.Errorf("%t, want %t: %s", got, c.want, c.pattern)
		}
		if got := refRecord(c.pattern, decodeEvent(t, c.event)); got != c.want {
			t.Errorf("the reference answers %t: %s", got, c.pattern)
		}
	}
}

// TestIndexed: the index finds the rules of patterns without evaluating them on
// events of other names or sources.
func TestIndexed(t *testing.T) {
	for _, pattern := range []string{
		`{"detail": {"eventName": ["DeleteTrail"]}}`,
		`{"detail": {"eventName": [{"prefix": "Delete"}]}}`,
		`{"detail": {"eventName": [{"equals-ignore-case": "deletetrail"}]}}`,
		`{"detail": {"eventName": [{"wildcard": "*Trail"}]}}`,
		`{"eventName": ["DeleteTrail"]}`,
		`{"source": ["aws.cloudtrail"], "detail": {"readOnly": [false]}}`,
		`{"source": [{"prefix": "aws.cloud"}], "detail": {"readOnly": [false]}}`,
		`{"detail": {"userIdentity": {"type": ["Root"]}}}`,
		`{"detail": {"$or": [{"eventName": ["DeleteTrail"]}, {"errorCode": ["AccessDenied"]}]}}`,
		`{"detail-type": ["AWS Service Event via CloudTrail"], "detail": {"readOnly": [{"exists": false}]}}`,
		`{"detail-type": ["AWS API Call via CloudTrail"], "source": ["aws.cloudtrail"], "detail": {"eventName": ["StopLogging"]}}`,
	} {
		c := compile(t, pattern, Options{})
		if len(c.rules.Unindexed()) > 0 {
			t.Errorf("not indexed: %s", pattern)
		}
		c.event.Reset([]byte(runInstances))
		if _, candidate, err := c.matcher.Match(nil, &c.event); candidate || err != nil {
			t.Errorf("RunInstances is a candidate (%v): %s", err, pattern)
		}
	}
}

func TestExplain(t *testing.T) {
	c := compile(t, `{"source": ["aws.ec2"], "detail": {"eventName": ["RunInstances", {"prefix": "Stop"}], "errorCode": [{"exists": true}]}}`, Options{})
	ex := c.explain(t, runInstances)
	var got []string
	var list func(matcher.Explanation)
	list = func(e matcher.Explanation) {
		got = append(got, e.Text+" "+map[bool]string{true: "yes", false: "no"}[e.Held]+" "+strings.Join(e.Seen, " "))
		for _, p := range e.Parts {
			list(p)
		}
	}
	list(ex)
	all := strings.Join(got, "\n")
	for _, want := range []string{
		`"detail.eventName": ["RunInstances", {"prefix": "Stop"}] yes "RunInstances"`,
		`"detail.errorCode": [{"exists": true}] no `, `"source": ["aws.ec2"] yes "ec2.amazonaws.com"`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
	// Each condition holds in some element, but not all in one.
	ex = compile(t, `{"a": {"x": [1], "y": [2]}}`, Options{}).explain(t, `{"a":[{"x":1},{"y":2}]}`)
	if last := ex.Parts[len(ex.Parts)-1]; last.Text != "all of them in the same array element" || last.Held {
		t.Errorf("%+v", ex)
	}
}
