package matcher

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// traffic is a made-up trail: names in a skewed mix, events of about 1.2 KB.
type traffic struct{ events [][]byte }

const (
	quietNames = 200 // names that no rule watches unless asked
	accounts   = 10_000
)

func newTraffic(n int, name func(*rand.Rand) string) traffic {
	r := rand.New(rand.NewPCG(1, 2))
	var tr traffic
	for i := range n {
		account := fmt.Sprintf("%012d", 100_000_000_000+r.IntN(accounts))
		tr.events = append(tr.events, fmt.Appendf(nil, `{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole",`+
			`"principalId":"AROAEXAMPLE%06d:session","arn":"arn:aws:sts::%s:assumed-role/app-%d/session","accountId":"%s",`+
			`"accessKeyId":"ASIAEXAMPLE%06d","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE",`+
			`"arn":"arn:aws:iam::%s:role/app-%d","accountId":"%s","userName":"app-%d"},"webIdFederationData":{},`+
			`"attributes":{"creationDate":"2026-03-01T10:00:00Z","mfaAuthenticated":"false"}}},"eventTime":"2026-03-01T10:%02d:%02dZ",`+
			`"eventSource":"service%d.amazonaws.com","eventName":"%s","awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.%d",`+
			`"userAgent":"aws-sdk-go-v2/1.30.3 os/linux lang/go#1.22.5 md/GOOS#linux md/GOARCH#amd64","requestParameters":`+
			`{"bucketName":"bucket-%d","Host":"bucket-%d.s3.eu-west-1.amazonaws.com","key":"logs/2026/03/01/part-%06d.gz"},`+
			`"responseElements":null,"additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256",`+
			`"bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"0123456789abcdef","bytesTransferredOut":%d},`+
			`"requestID":"00000000-0000-0000-0000-%012d","eventID":"11111111-1111-1111-1111-%012d","readOnly":true,`+
			`"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"%s","eventCategory":"Management",`+
			`"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"host.amazonaws.com"}}`,
			i, account, i%97, account, i, account, i%97, account, i%97, r.IntN(60), r.IntN(60), r.IntN(20), name(r),
			r.IntN(250), i%50, i%50, i, r.IntN(1<<20), i, i, account))
	}
	return tr
}

// watchedOneInTen names a tenth of the events Watched… and the others Quiet….
func watchedOneInTen(r *rand.Rand) string {
	if r.IntN(10) == 0 {
		return fmt.Sprintf("Watched%d", r.IntN(10))
	}
	return fmt.Sprintf("Quiet%d", r.IntN(quietNames))
}

// sparseRules are n rules of which ten watch names that occur.
func sparseRules(n int) []*Rule {
	var rules []*Rule
	for i := range n {
		nodes := []Node{
			&Field{Path: Dotted("eventName"), Leaf: Leaf{Op: Equals(false, fmt.Sprintf("Watched%d", i))}},
			&Field{Path: Dotted("userIdentity.type"), Leaf: Leaf{Op: Equals(false, "Root", "AssumedRole")}},
			&Field{Path: Dotted("userAgent"), Leaf: Leaf{Op: Contains(false, "Boto", "console")}},
		}
		rules = append(rules, &Rule{ID: fmt.Sprintf("r%05d", i), Enabled: true, Cond: &And{Nodes: nodes}})
	}
	return rules
}

// sharedRules are n rules on one event name, one for each account.
func sharedRules(n int) []*Rule {
	var rules []*Rule
	for i := range n {
		rules = append(rules, &Rule{ID: fmt.Sprintf("r%05d", i), Enabled: true, Cond: &And{Nodes: []Node{
			&Field{Path: Dotted("eventName"), Leaf: Leaf{Op: Equals(false, "ConsoleLogin")}},
			&Field{Path: Dotted("recipientAccountId"), Leaf: Leaf{Op: Equals(false, fmt.Sprintf("%012d", 100_000_000_000+i))}},
			&Field{Path: Dotted("errorCode"), Leaf: Leaf{Op: Exists()}},
		}}})
	}
	return rules
}

func consoleLogin(*rand.Rand) string { return "ConsoleLogin" }

func matching(b testing.TB, name string, rules []*Rule, tr traffic) measure.Contender {
	b.Helper()
	rs, err := Compile(rules, Options{})
	if err != nil {
		b.Fatal(err)
	}
	m := rs.NewMatcher()
	var ev cloudtrail.Event
	var hits []Hit
	return measure.Contender{Name: name, Events: len(tr.events), Run: func() {
		for _, raw := range tr.events {
			ev.Reset(raw)
			var err error
			if hits, _, err = m.Match(hits[:0], &ev); err != nil {
				b.Fatal(err)
			}
		}
	}}
}

func parsing(b testing.TB, tr traffic) measure.Contender {
	b.Helper()
	var p fastjson.Parser
	return measure.Contender{Name: "parse", Events: len(tr.events), Run: func() {
		for _, raw := range tr.events {
			if _, err := p.ParseBytes(raw); err != nil {
				b.Fatal(err)
			}
		}
	}}
}

// BenchmarkMatch runs each workload beside a fastjson parse of the same events.
func BenchmarkMatch(b *testing.B) {
	mixed := newTraffic(500, watchedOneInTen)
	quiet := newTraffic(500, func(r *rand.Rand) string { return fmt.Sprintf("Quiet%d", r.IntN(quietNames)) })
	logins := newTraffic(500, consoleLogin)
	race := func(name string, tr traffic, contenders ...measure.Contender) {
		b.Run(name, func(b *testing.B) {
			measure.Bench(b, measure.Options{}, true, append([]measure.Contender{parsing(b, tr)}, contenders...)...)
		})
	}
	race("sparse", mixed,
		matching(b, "rules=10", sparseRules(10), mixed),
		matching(b, "rules=1000", sparseRules(1000), mixed),
		matching(b, "rules=10000", sparseRules(10_000), mixed))
	race("no-match", quiet, matching(b, "rules=10000", sparseRules(10_000), quiet))
	race("shared-name", logins,
		matching(b, "rules=10", sharedRules(10), logins),
		matching(b, "rules=10000", sharedRules(10_000), logins))
}

// BenchmarkCompile builds the index of 10,000 rules.
func BenchmarkCompile(b *testing.B) {
	for _, set := range []struct {
		name  string
		rules []*Rule
	}{{"names", sparseRules(10_000)}, {"shared-name", sharedRules(10_000)}} {
		b.Run(set.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(set.rules, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestNoAllocations: neither an event that no rule can match nor, once buffers
// have grown, one that matches costs an allocation.
func TestNoAllocations(t *testing.T) {
	rules := sparseRules(100)
	rules = append(rules,
		&Rule{ID: "pattern", Enabled: true, Cond: &Field{Path: Dotted("eventName"), Leaf: Leaf{Op: Wildcard(false, ParseGlob("Odd*Name", GlobSyntax{}))}}},
		&Rule{ID: "hit", Enabled: true, Cond: &And{Nodes: []Node{
			&Field{Path: Dotted("eventName"), Leaf: Leaf{Op: Equals(true, "consolelogin")}},
			&Field{Path: Dotted("sourceIPAddress"), Leaf: Leaf{Op: CIDR(mustPrefix(t, "198.51.100.0/24"))}},
			&Anywhere{Key: "tlsVersion", Leaf: Leaf{Op: HasPrefix(true, "tls")}},
			&Field{Path: Dotted("requestParameters"), Leaf: Leaf{Op: Contains(false, `"bucketName":`), AsText: TextObjects}},
			&Not{Node: &Field{Path: Dotted("errorCode"), Leaf: Leaf{Op: Exists()}}},
			&Field{Path: Dotted("additionalEventData.bytesTransferredIn"), Leaf: Leaf{Op: mustCompare(t, EQ, "0.0")}},
		}}})
	rs, err := Compile(rules, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		event string
		hits  int
	}{{"Quiet1", 0}, {"Watched5", 0}, {"ConsoleLogin", 1}} {
		raw := newTraffic(1, func(*rand.Rand) string { return tt.event }).events[0]
		m := rs.NewMatcher()
		var ev cloudtrail.Event
		hits := make([]Hit, 0, 4)
		var failure error
		allocs := testing.AllocsPerRun(100, func() {
			ev.Reset(raw)
			if hits, _, failure = m.Match(hits[:0], &ev); failure != nil || len(hits) != tt.hits {
				t.Fatalf("%s: %d hits, error %v; want %d hits", tt.event, len(hits), failure, tt.hits)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations an event, want none", tt.event, allocs)
		}
	}
}
