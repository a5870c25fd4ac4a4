//go:build unix

package chaos

import (
	"strings"
	"time"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/matcher/sigma"
)

// nativeRules are of every kind, and match a good part of all traffic.
const nativeRules = `
rules:
  - {id: plain, title: Plain, severity: low, match: {eventName: [AssumeRole, CreateTags, PutObject], readOnly: false}}
  - {id: muted, title: Some are muted, severity: low, match: {eventName: ListBuckets}, suppress: [{when: {awsRegion: us-east-1}, reason: home}]}
  - {id: stopped, title: Planted, severity: critical, match: {eventName: [StopLogging, DeleteTrail, ScheduleKeyDeletion]}}
  - {id: many, title: Many calls, severity: high, match: {eventName: {prefix: Describe}}, threshold: {count: 10, window: 1m, group_by: [userIdentity.arn, eventName], realert: 5m}}
  - {id: few, title: Failures, severity: high, match: {errorCode: {exists: true}}, threshold: {count: 2, window: 20s, group_by: [userIdentity.arn]}}
  - {id: region, title: Failures in a region, severity: medium, match: {errorCode: {exists: true}}, threshold: {count: 12, window: 30s, group_by: [awsRegion]}}
  - {id: spread, title: Regions, severity: high, match: {eventSource: ec2.amazonaws.com}, threshold: {distinct: {field: awsRegion, count: 3}, window: 20s, group_by: [recipientAccountId]}}
  - {id: calls, title: Calls, severity: low, match: {eventSource: iam.amazonaws.com}, threshold: {distinct: {field: eventName, count: 2}, window: 1m, group_by: [recipientAccountId, userIdentity.arn]}}
  - {id: hushed, title: One region is muted, severity: low, match: {readOnly: false}, threshold: {count: 3, window: 5s, group_by: [awsRegion, eventName]}, suppress: [{when: {awsRegion: eu-west-1}, reason: being moved}]}
  - {id: silence, title: Silence, severity: medium, match: {eventName: {prefix: Get}}, threshold: {absent_for: 1h30m, group_by: [recipientAccountId]}}
`

// sigmaRules are a chain: a correlation over one that has a threshold itself.
const sigmaRules = `
title: Step
name: step
id: step
level: low
logsource: {product: aws, service: cloudtrail}
detection: {s: {requestParameters.kind: step}, condition: s}
---
title: Burst
name: burst
id: burst
level: medium
correlation: {type: event_count, rules: [step], group-by: [requestParameters.user, requestParameters.bucket], timespan: 10s, condition: {gte: 3}}
---
title: Bursts on two buckets
id: buckets
level: high
correlation: {type: value_count, rules: [burst], group-by: [requestParameters.user], timespan: 5m, condition: {field: requestParameters.bucket, gte: 2}, generate: true}
`

// ruleset compiles the rules for the reference.
func ruleset() (*matcher.Ruleset, error) {
	own, suppress, err := native.Parse("rules.yaml", []byte(nativeRules))
	if err != nil {
		return nil, err
	}
	set, err := sigma.Parse("sigma.yml", []byte(sigmaRules), sigma.Options{})
	if err != nil {
		return nil, err
	}
	chain, correlations := set.Lower()
	return matcher.Compile(append(own, chain...), matcher.Options{Suppress: suppress, Correlations: correlations})
}

// counted is a rule with a threshold as the recount knows it. It shares nothing
// with the matcher.
type counted struct {
	holds    func(*event) bool
	group    []string
	distinct string // the field whose values count; empty: events do
	n        int
	window   time.Duration
	mutes    func(group map[string]string) bool
}

// thresholds are the counted rules, by ID. The end of the chain is held to the
// reference alone.
var thresholds = map[string]counted{
	"many":   {holds: func(e *event) bool { return strings.HasPrefix(e.text("eventName"), "Describe") }, group: []string{"userIdentity.arn", "eventName"}, n: 10, window: time.Minute},
	"few":    {holds: func(e *event) bool { return e.text("errorCode") != "" }, group: []string{"userIdentity.arn"}, n: 2, window: 20 * time.Second},
	"region": {holds: func(e *event) bool { return e.text("errorCode") != "" }, group: []string{"awsRegion"}, n: 12, window: 30 * time.Second},
	"spread": {holds: func(e *event) bool { return e.text("eventSource") == "ec2.amazonaws.com" }, group: []string{"recipientAccountId"}, distinct: "awsRegion", n: 3, window: 20 * time.Second},
	"calls": {
		holds: func(e *event) bool { return e.text("eventSource") == "iam.amazonaws.com" },
		group: []string{"recipientAccountId", "userIdentity.arn"}, distinct: "eventName", n: 2, window: time.Minute,
	},
	"hushed": {
		holds: func(e *event) bool { return e.text("readOnly") == "false" }, group: []string{"awsRegion", "eventName"}, n: 3, window: 5 * time.Second,
		mutes: func(g map[string]string) bool { return g["awsRegion"] == "eu-west-1" },
	},
	"burst": {
		holds: func(e *event) bool { return e.text("requestParameters.kind") == "step" },
		group: []string{"requestParameters.user", "requestParameters.bucket"}, n: 3, window: 10 * time.Second,
	},
}

// isPlain says that a rule has no threshold.
func isPlain(rule string) bool { return rule == "plain" || rule == "muted" || rule == "stopped" }

// chainRule is the correlation at the end of the chain.
const chainRule = "buckets"

// silenceRule is the absence rule: all of its alerts come with the closing events.
const silenceRule = "silence"
