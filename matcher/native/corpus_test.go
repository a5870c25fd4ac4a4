package native

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// realConditions touch what real events hold.
var realConditions = []string{
	`{"eventName":"ConsoleLogin","response":"failure"}`,
	`{"response":"unauthorized"}`,
	`{"response":"success","readOnly":false}`,
	`{"userIdentity.type":["Root","AssumedRole"]}`,
	`{"userIdentity.type":{"not":"IAMUser"}}`,
	`{"userIdentity.type":{"exists":false}}`,
	`{"userIdentity.sessionContext.attributes.mfaAuthenticated":"true"}`,
	`{"userIdentity.arn":{"wildcard":"arn:aws:*:user/*"}}`,
	`{"userIdentity.arn":{"contains":"USER","ignore_case":true}}`,
	`{"eventName":{"prefix":["Delete","Put"]},"eventSource":{"suffix":".amazonaws.com"}}`,
	`{"eventName":{"regex":"^(Create|Authorize).*(Ingress|User)$"}}`,
	`{"eventName":{"wildcard":"*Policy*"}}`,
	`{"sourceIPAddress":{"cidr":["0.0.0.0/2","2000::/3"]}}`,
	`{"sourceIPAddress":{"not":{"cidr":"0.0.0.0/0"}}}`,
	`{"responseElements":null}`,
	`{"responseElements":{"not":null}}`,
	`{"requestParameters":{"exists":true}}`,
	`{"requestParameters.ipPermissions.items.ipRanges.items.cidrIp":"0.0.0.0/0"}`,
	`{"same_element":{"path":"requestParameters.ipPermissions.items","match":{"fromPort":{"lte":22},"toPort":{"gte":22}}}}`,
	`{"requestParameters.policyDocument":{"json":{"Statement.Effect":"Allow"}}}`,
	`{"requestParameters.policyDocument":{"json":{"same_element":{"path":"Statement","match":{"Effect":"Allow","Action":"*"}}}}}`,
	`{"anywhere":{"publiclyAccessible":true}}`,
	`{"anywhere":{"userName":{"exists":true}}}`,
	`{"resources.type":{"each":{"prefix":"AWS::"}}}`,
	`{"resources.type":{"all_of":["AWS::KMS::Key"]}}`,
	`{"not":[{"eventSource":"ec2.amazonaws.com"},{"eventName":{"prefix":"List"}}]}`,
	`{"any":[{"errorCode":{"contains":"Denied"}},{"userAgent":{"contains":["boto","stratus"],"ignore_case":true}}]}`,
	`{"recipientAccountId":"123837392027","awsRegion":{"not":["us-east-1"]}}`,
	`{"eventVersion":"1.08","managementEvent":true}`,
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
	var conds []object
	var rules []compiled
	for _, text := range realConditions {
		v, err := decodeJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		conds = append(conds, v.(object))
		rules = append(rules, compile(t, ruleWith("match: "+text)))
	}
	held := make([]int, len(conds))
	for _, name := range files {
		readLines(t, name, func(line string) {
			v, err := decodeJSON(line)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			event := v.(object)
			if inner, ok := event["event"].(object); ok {
				event = inner
			}
			text := mustJSON(event)
			for i, cond := range conds {
				got, want := rules[i].match(t, text), refCondition(cond, event)
				if got != want {
					t.Errorf("engine %t, reference %t\nmatch: %s\nevent: %s", got, want, realConditions[i], text)
				}
				if got {
					held[i]++
				}
			}
		})
	}
	for i, n := range held {
		t.Logf("%6d %s", n, realConditions[i])
	}
}

func readLines(t *testing.T, name string, each func(string)) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var src io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if src, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(src)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		each(lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
