package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/builtin"
	"github.com/trailtide/trailtide/matcher/cloudwatch"
	"github.com/trailtide/trailtide/matcher/eventbridge"
	"github.com/trailtide/trailtide/matcher/lint"
	"github.com/trailtide/trailtide/matcher/lucene"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/matcher/sigma"
)

// compile reads conditions as rules r1, r2 and so on.
func compile(t *testing.T, language string, expressions ...string) []*matcher.Rule {
	t.Helper()
	var rules []*matcher.Rule
	for i, x := range expressions {
		var n matcher.Node
		var err error
		switch language {
		case "native":
			n, _, err = native.ParseMatch("rules.yaml", []byte(x))
		case "lucene":
			n, _, err = lucene.Parse("rules.yaml", x, matcher.Pos{})
		case "cloudwatch":
			n, _, err = cloudwatch.Parse("rules.yaml", x, matcher.Pos{})
		case "eventbridge":
			n, _, err = eventbridge.ParseWith("rules.yaml", []byte(x), eventbridge.Options{})
		}
		if err != nil {
			t.Fatalf("%s: %v", x, err)
		}
		rules = append(rules, &matcher.Rule{ID: fmt.Sprintf("r%d", i+1), Enabled: true, Save: true, Cond: n, Pos: matcher.Pos{File: "rules.yaml", Line: 1, Col: 1}})
	}
	return rules
}

// coralogix are the 19 alerts of a published table of Lucene queries, as they
// are printed but for the quotation marks.
var coralogix = []string{
	`userIdentity.type:Root AND NOT _exists_:userIdentity.invokedBy AND NOT eventType:AwsServiceEvent`,
	`eventSource:"s3.amazonaws.com" AND (eventName:PutBucketAcl OR eventName:PutBucketPolicy OR eventName:PutBucketCors OR eventName:PutBucketLifecycle OR eventName:PutBucketReplication)`,
	`recipientAccountName:("xxx" OR "yyy") AND errorCode:"accessdenied"`,
	`_exists_:sourceIPAddress_geoip NOT sourceIPAddress_geoip.country_name.keyword:/india|united states/`,
	`eventName:ExportCertificate AND eventSource:"acm.amazonaws.com"`,
	`eventName:UpdateCertificate AND eventSource:"acm.amazonaws.com"`,
	`publiclyAccessible:true AND eventName:CreateDBInstance`,
	`eventName.keyword:/(Create.*Distribution|Delete.*Distribution|Update.*Distribution)/`,
	`eventName:AddUserToGroup AND requestParameters.groupName:/.*admin.*/`,
	`eventName:AttachUserPolicy AND requestParameters.policyArn:AdministratorAccess`,
	`eventSource:"kms.amazonaws.com" AND (eventName:DisableKey OR eventName:ScheduleKeyDeletion)`,
	`eventSource:"config.amazonaws.com" AND eventName.keyword:((Stop|Put)ConfigurationRecorder|((Delete|Put)DeliveryChannel))`,
	`eventName.keyword:(CreateTrail|UpdateTrail|DeleteTrail|StartLogging|StopLogging)`,
	`eventName.keyword:/(Delete|Put|Create|Attach|Detach)(Group|Role|User)?Policy(Version)?/`,
	`eventName:/(Authorize|Revoke|Create|Delete)SecurityGroup((In|E)gress)?/`,
	`eventName.keyword:/(Create|Delete|Replace)NetworkAcl(Entry|Association)?/`,
	`eventName.keyword:/(Create|Delete|Attach|Detach)Gateway/`,
	`eventName.keyword:/(Create|Replace|Delete|Disassociate)Route(Table)?(Association)?/`,
	`eventName.keyword:/(Create|Delete|Accept|Reject|Modify|Attach|Detach|Disable|Enable)(Vpc)?(ClassicLink)?(Vpc)?(Attribute|PeeringConnection)?/`,
}

// Row 6 names a call that ACM does not have; 7, 12, 13 and 17 are the dead ones.
func TestCoralogixRows(t *testing.T) {
	want := map[string]string{
		"r6": "UpdateCertificateOptions", "r7": "requestParameters.publiclyAccessible", "r12": "PutDeliveryChannel",
		"r13": "CreateTrail", "r17": "AttachVpnGateway",
	}
	got := map[string]string{}
	for _, f := range lint.Check(compile(t, "lucene", coralogix...), nil, nil) {
		if !f.Kind.Dead() {
			if f.Kind != lint.Unindexed || f.Rule != "r4" && f.Rule != "r1" {
				t.Errorf("not asked for: %s", f)
			}
			continue
		}
		t.Log(f.Kind, f)
		if !strings.Contains(f.Msg, want[f.Rule]) || want[f.Rule] == "" {
			t.Errorf("row %s: %s", f.Rule, f)
		}
		got[f.Rule] = want[f.Rule]
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("dead rows (-want +got):\n%s", d)
	}
}

func TestDead(t *testing.T) {
	for _, tt := range []struct {
		language, rule string
		kind           lint.Kind // empty: nothing to say
		part           string    // of the message
	}{
		{"native", `eventName: CreateTrall`, lint.UnknownEvent, "CreateTrail"},
		{"native", `eventName: [CreateTrall, DeleteTrall]`, lint.UnknownEvent, "CreateTrail"},
		{"native", `eventName: createtrail`, lint.UnknownEvent, "CreateTrail"},
		{"native", `eventName: {equals: createtrail, ignore_case: true}`, "", ""},
		{"native", `eventName: CreateFunction20150331`, "", ""},
		{"native", `eventName: UpdateFunctionCode20150331v2`, "", ""},
		{"native", `eventName: {prefix: CreateFunction2015}`, "", ""},
		{"native", `eventName: {prefix: Creat_}`, lint.UnknownEvent, "begins with"},
		{"native", `eventName: {not: Zzzzzz}`, "unindexed", ""},
		{"native", `{eventSource: ec2, eventName: RunInstances}`, lint.UnknownSource, "ec2.amazonaws.com"},
		{"native", `{eventSource: iam.amazonaws.com, eventName: RunInstances}`, lint.NotOfSource, "iam.amazonaws.com has no event RunInstances"},
		{"native", `{eventSource: [iam.amazonaws.com, ec2.amazonaws.com], eventName: RunInstances}`, "", ""},
		{"native", `{eventSource: vmie.amazonaws.com, eventName: Whatever}`, "", ""},
		{"native", `{eventSource: signin.amazonaws.com, eventName: ConsoleLogin}`, "", ""},
		{"cloudwatch", `{ ($.eventName = CreateTrail) && ($.detail.userIdentity.arn = "x") }`, lint.UnknownField, "userIdentity.arn"},
		{"native", `{eventName: CreateTrail, userIdentity.usrName: x}`, lint.UnknownField, "userIdentity.userName"},
		{"native", `{eventName: CreateTrail, userIdentity.usrName: {exists: false}}`, "", ""},
		{"native", `{eventName: CreateTrail, awsRegion: {equals: us-east-1, not: us-east-1}}`, lint.Contradiction, "awsRegion"},
		{"native", `{all: [{eventName: CreateTrail}, {eventName: DeleteTrail}]}`, lint.Contradiction, "eventName"},
		{"native", `{all: [{eventName: [CreateTrail, UpdateTrail]}, {eventName: {not: [CreateTrail]}}]}`, "", ""},
		{"native", `{all: [{eventName: CreateTrail}, {awsRegion: us-east-1}, {awsRegion: eu-west-1}]}`, lint.Contradiction, "awsRegion"},
		{"native", `{all: [{eventName: CreateTrail}, {resources.type: A}, {resources.type: B}]}`, "", ""},
		{"native", `{all: [{eventName: CreateTrail}, {errorCode: {exists: false}}, {errorCode: AccessDenied}]}`, lint.Contradiction, "errorCode"},
		{"native", `{all: [{eventName: CreateTrail}, {awsRegion: us-east-1}], any: [{awsRegion: eu-west-1}, {awsRegion: eu-west-2}]}`, lint.Contradiction, "awsRegion"},
		{"native", `{eventName: CreateTrail, any: [{awsRegion: eu-west-1}, {userIdentity.nope: x}]}`, "", ""},
		{"native", `{eventName: CreateTrail, userAgent: {regex: 'a^b'}}`, lint.ExcludedByItself, "no text"},
		{"native", `{eventName: CreateTrail, userAgent: {regex: 'aws$cli'}}`, lint.ExcludedByItself, "no text"},
		{"native", `{eventName: [CreateTrail, UpdateTrall]}`, lint.MisspeltEvent, "UpdateTrail"},
		{"native", `{eventName: PutBucketAcl, requestParameters.bucketNmae: x}`, lint.MisspeltField, "bucketName"},
		{"lucene", `eventName.keyword:/^CreateTrail$/`, lint.UnknownEvent, ""},
		{"lucene", `eventSource:"cloudtrail.amazonaws.com" AND eventName:(CreateTrail OR UpdateTrail)`, "", ""},
		{"lucene", `eventname:CreateTrail`, lint.UnknownField, "eventName"},
		{"cloudwatch", `{ ($.eventName = CreateTrall) || ($.eventName = DeleteTrall) }`, lint.UnknownEvent, "CreateTrail"},
		{"cloudwatch", `{ ($.eventSource = "iam.amazonaws.com") && ($.eventName = "CreateTrail") }`, lint.NotOfSource, ""},
		{"cloudwatch", `{ ($.eventName = "ConsoleLogin") && ($.errorMessage = "Failed authentication") }`, "", ""},
		{"cloudwatch", `{ ($.eventNam = "ConsoleLogin") }`, lint.UnknownField, "eventName"},
		{"eventbridge", `{"source": ["aws.s3"], "detail": {"eventName": ["PutBucketPolicy"]}}`, "", ""},
		{"eventbridge", `{"source": ["aws.s4"], "detail": {"eventName": ["PutBucketPolicy"]}}`, lint.UnknownSource, ""},
		{"eventbridge", `{"detail": {"eventName": ["PutBucketPolice"]}}`, lint.UnknownEvent, "PutBucketPolicy"},
		{"eventbridge", `{"source": ["aws.ec2"], "detail": {"eventName": ["PutBucketPolicy"]}}`, lint.NotOfSource, ""},
	} {
		found := lint.Check(compile(t, tt.language, tt.rule), nil, nil)
		switch {
		case tt.kind == "" && len(found) == 0:
		case len(found) != 1 || found[0].Kind != tt.kind || !strings.Contains(found[0].Msg, tt.part):
			t.Errorf("%s %s:\nwant %q %q\ngot %v", tt.language, tt.rule, tt.kind, tt.part, found)
		}
	}
}

func loadBuiltin(t *testing.T) []*matcher.Rule {
	t.Helper()
	set, err := native.Loader{}.LoadFS(builtin.FS(), ".")
	if err != nil {
		t.Fatal(err)
	}
	return set.Rules
}

// A lint that cries wolf is switched off: the built-in rules raise what is named
// here, and nothing else.
func TestBuiltinPack(t *testing.T) {
	var got []string
	for _, f := range lint.Check(loadBuiltin(t), nil, nil) {
		got = append(got, string(f.Kind)+" "+f.Rule)
		t.Log(f.Kind, f)
	}
	var want []string
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestSigmaRules(t *testing.T) {
	root := os.Getenv("TRAILTIDE_TESTDATA")
	if root == "" {
		t.Skip("TRAILTIDE_TESTDATA is not set")
	}
	set, err := sigma.LoadFiles([]string{filepath.Join(root, "sigma")}, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Rules) < 29 {
		t.Errorf("only %d rules", len(set.Rules))
	}
	// Both are true: CloudTrail has no status, and the calls of Route 53 Domains
	// come from route53domains.amazonaws.com.
	want := map[string]lint.Kind{"aws_delete_saml_provider.yml": lint.UnknownField, "aws_route_53_domain_transferred_lock_disabled.yml": lint.NotOfSource}
	got := map[string]lint.Kind{}
	for _, f := range lint.Check(set.Rules, nil, nil) {
		t.Log(f.Kind, f)
		got[filepath.Base(f.Pos.File)] += f.Kind
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCISPatterns(t *testing.T) {
	root := os.Getenv("TRAILTIDE_TESTDATA")
	if root == "" {
		t.Skip("TRAILTIDE_TESTDATA is not set")
	}
	for _, p := range patterns(t, filepath.Join(root, "cloudwatch", "cis-metric-filters.json")) {
		for _, f := range lint.Check(compile(t, "cloudwatch", p), nil, nil) {
			if f.Kind != lint.Unindexed {
				t.Errorf("%s\n%s %s", p, f.Kind, f)
			}
		}
	}
}

func TestBesideOthers(t *testing.T) {
	rules := compile(t, "native",
		`{eventName: [CreateTrail, UpdateTrail], awsRegion: us-east-1}`,
		`{awsRegion: us-east-1, eventName: [UpdateTrail, CreateTrail]}`, // the same
		`{eventName: UpdateTrail, awsRegion: us-east-1}`,                // among r1's names
		`{eventName: UpdateTrail, awsRegion: eu-west-1}`,
		`{eventName: DeleteTrail, awsRegion: us-east-1}`,
		`{eventName: CreateTrail, awsRegion: us-east-1}`, // less urgent: people may want both
	)
	rules[5].Severity = rules[0].Severity + 1
	var got []string
	for _, f := range lint.Check(rules, nil, nil) {
		got = append(got, f.Rule+" "+string(f.Kind))
	}
	if d := cmp.Diff([]string{"r2 duplicate", "r3 shadowed"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestSuppressions(t *testing.T) {
	conditions := compile(t, "native",
		`{eventName: CreateTrail, awsRegion: us-east-1}`, // the rule
		`{eventName: CreateTrail}`,
		`{eventName: [CreateTrail, DeleteTrail], awsRegion: [us-east-1, eu-west-1]}`,
		`{eventName: CreateTrail, awsRegion: us-east-1, userAgent: x}`,
		`{eventName: DeleteTrail}`,
		`{any: [{userAgent: x}, {awsRegion: us-east-1}]}`,
	)
	for i, want := range []bool{1: true, 2: true, 3: false, 4: false, 5: true} {
		if i == 0 {
			continue
		}
		rule := *conditions[0]
		s := &matcher.Suppression{Cond: conditions[i].Cond}
		own, global := rule, rule
		own.Suppress = []*matcher.Suppression{s}
		for _, found := range [][]lint.Finding{lint.Check([]*matcher.Rule{&own}, nil, nil), lint.Check([]*matcher.Rule{&global}, []*matcher.Suppression{s}, nil)} {
			got := slices.ContainsFunc(found, func(f lint.Finding) bool { return f.Kind == lint.SuppressedWhole })
			if got != want || len(found) > 1 {
				t.Errorf("suppression %d: %v", i, found)
			}
		}
		other := &matcher.Suppression{Cond: conditions[i].Cond, Rules: []string{"other-*"}}
		if found := lint.Check([]*matcher.Rule{&global}, []*matcher.Suppression{other}, nil); len(found) > 0 {
			t.Errorf("a suppression of other rules: %v", found)
		}
	}
}

// BenchmarkCheck lints the built-in rules.
func BenchmarkCheck(b *testing.B) {
	set, err := native.Loader{}.LoadFS(builtin.FS(), ".")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		lint.Check(set.Rules, nil, nil)
	}
}
