package builtin_test

import (
	"bufio"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestInvictus pins how many events of a recorded attack simulation each rule
// matches (for a threshold: how many it counts). A change of these numbers is
// a change of what people are told; look at the events before changing them.
func TestInvictus(t *testing.T) {
	f, err := os.Open(filepath.Join(testdata(t), "cloudtrail", "invictus.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	m := compileAll(t).NewMatcher()
	got := map[string]int{}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		for _, id := range hits(t, m, lines.Bytes()) {
			got[id]++
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(invictus, got); d != "" {
		t.Errorf("matches (-want +got):\n%s", d)
	}
}

var invictus = map[string]int{
	"access-denied":                       60,
	"account-authorization-dump":          1,
	"ami-shared":                          1,
	"any-security-related-event":          211,
	"assume-role-failures":                13,
	"cloudtrail-changed":                  13,
	"cloudtrail-disabled":                 2,
	"cloudtrail-reenabled":                2,
	"cloudtrail-selectors-weakened":       1,
	"cloudtrail-settings-changed":         2,
	"cloudtrail-silent":                   2855,
	"console-login-many-addresses":        2,
	"console-login-without-mfa":           1,
	"ebs-snapshot-shared":                 1,
	"ec2-instance-lifecycle":              10,
	"ec2-mass-termination":                2,
	"ec2-password-data-burst":             29,
	"iam-access-key-created-for-other":    2,
	"iam-admin-policy-attached":           2,
	"iam-credential-burst":                8,
	"iam-login-profile-created":           2,
	"iam-policy-changed":                  26,
	"iam-role-trust-changed-to-principal": 1,
	"iam-roles-anywhere-trust-anchor":     1,
	"iam-user-created":                    4,
	"lambda-function-public":              1,
	"log-group-deleted":                   1,
	"network-gateway-changed":             19,
	"organization-changed":                1,
	"organization-left":                   1,
	"rds-snapshot-shared":                 1,
	"region-enumeration":                  166,
	"route-table-changed":                 50,
	"s3-bucket-mass-deletion":             5,
	"s3-bucket-policy-changed":            6,
	"s3-lifecycle-short-expiry":           1,
	"secret-deleted-at-once":              17,
	"secrets-read-burst":                  60,
	"security-group-admin-port-open":      1,
	"security-group-changed":              8,
	"security-group-open-to-world":        2,
	"snapshot-mass-deletion":              4,
	"ssm-parameters-read-burst":           87,
	"ssm-run-command":                     1,
	"unauthorized-call-burst":             60,
	"unauthorized-calls-many-services":    60,
	"vpc-changed":                         16,
	"vpc-flow-logs-deleted":               1,
}
