package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/bench/traffic"
	"github.com/trailtide/trailtide/test/harness"
)

// plantedMatch is the condition that only a planted incident of a rule
// satisfies; plantedCount its threshold, for those that count. The ones that
// count see everyday failures, too.
var plantedMatch = map[string]string{
	"root-account-usage":                     `{eventName: GetAccountSummary, userIdentity.type: Root}`,
	"cloudtrail-disabled":                    `{eventName: [StopLogging, DeleteTrail]}`,
	"console-login-without-mfa":              `{eventName: ConsoleLogin, userIdentity.userName: {prefix: contractor-}, responseElements.ConsoleLogin: Success}`,
	"console-login-brute-force":              `{eventName: ConsoleLogin, response: failure}`,
	"security-group-open-to-world":           `{eventName: AuthorizeSecurityGroupIngress, requestParameters.ipPermissions.items.ipRanges.items.cidrIp: 0.0.0.0/0}`,
	"rds-created-public":                     `{eventSource: rds.amazonaws.com, anywhere: {publiclyAccessible: true}}`,
	"iam-admin-policy-attached":              `{requestParameters.policyArn: {suffix: /AdministratorAccess}}`,
	"iam-user-added-to-admin-group":          `{eventName: AddUserToGroup, requestParameters.groupName: {contains: ADMIN, ignore_case: true}}`,
	"kms-key-disabled-or-deletion-scheduled": `{eventName: {wildcard: "Schedule*Deletion"}}`,
	"s3-bucket-policy-changed":               `{eventName: PutBucketPolicy}`,
	"unauthorized-call-burst":                `{response: unauthorized}`,
	"ec2-run-outside-approved-regions":       `{eventName: RunInstances, awsRegion: me-south-1}`,
	"config-disabled":                        `{eventName: StopConfigurationRecorder}`,
	"network-acl-changed":                    `{eventName: {regex: "^(Create|Delete|Replace)NetworkAcl"}}`,
	"route-table-changed":                    `{eventName: ReplaceRoute}`,
	"network-gateway-changed":                `{eventName: {in: [AttachInternetGateway, DetachInternetGateway]}}`,
	"vpc-changed":                            `{eventName: AcceptVpcPeeringConnection}`,
	"certificate-deleted-or-exported":        `{any: [{eventName: ExportCertificate}, {eventName: DeleteCertificate}]}`,
	"iam-password-policy-changed":            `{eventName: UpdateAccountPasswordPolicy}`,
	"iam-login-profile-updated":              `{eventName: UpdateLoginProfile}`,
}

var plantedCount = map[string]string{
	"console-login-brute-force": `{count: 20, window: 1m, group_by: [recipientAccountId, userIdentity.arn]}`,
	"unauthorized-call-burst":   `{count: 40, window: 1m, group_by: [recipientAccountId, userIdentity.arn]}`,
}

// plantedRules writes a rule file that finds planted incidents and nothing else.
func plantedRules(t *testing.T) string {
	t.Helper()
	b := "rules:\n"
	done := make(map[string]bool)
	for _, k := range traffic.Kinds() {
		match := plantedMatch[k.RuleID]
		if match == "" {
			t.Fatalf("no condition is known for incidents of the kind %s", k.Name)
		}
		if done[k.RuleID] {
			continue
		}
		done[k.RuleID] = true
		b += fmt.Sprintf("  - {id: %s, title: %s, severity: high, match: %s", k.RuleID, k.Title, match)
		if th := plantedCount[k.RuleID]; th != "" {
			b += ", threshold: " + th
		}
		b += "}\n"
	}
	return harness.Write(t, t.TempDir(), "planted.yaml", b)
}

// incidentKeys are the alerts that incidents have to make, one line each.
func incidentKeys(incidents []traffic.Incident) []string {
	var all []string
	for _, in := range incidents {
		if plantedCount[in.RuleID] != "" {
			all = append(all, fmt.Sprintf("%s count %d %v", in.RuleID, len(in.EventIDs), slices.Sorted(slices.Values(in.EventIDs))))
			continue
		}
		for _, id := range in.EventIDs {
			all = append(all, fmt.Sprintf("%s count 1 [%s]", in.RuleID, id))
		}
	}
	return all
}

func alertKeys(alerts []harness.Alert) []string {
	var all []string
	for _, a := range alerts {
		all = append(all, fmt.Sprintf("%s count %d %v", a.RuleID, a.Count, slices.Sorted(slices.Values(a.EventIDs))))
	}
	return all
}

// TRAILTIDE_E2E_EVENTS events out of order and some of them twice: the alerts
// are those of the planted incidents, each once, within bounded memory and for
// any number of cores, be it one file or hundreds.
func TestPlantedIncidentsAreFoundAndNothingElse(t *testing.T) {
	def := 150_000
	if testing.Short() {
		def = 30_000
	}
	n := harness.SizeFrom(t, "TRAILTIDE_E2E_EVENTS", def)
	rules := plantedRules(t)
	dir := t.TempDir()
	lines := filepath.Join(dir, "events.ndjson")
	tree := filepath.Join(dir, "tree")
	incidents := toDisk(t, n, lines, tree)
	want := incidentKeys(incidents)

	var first string
	for _, c := range []struct{ name, jobs, path string }{
		{"one file, one core", "1", lines},
		{"one file, four cores", "4", lines},
		{"a tree of files", "2", tree},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := must(t, "scan", "--output", "ndjson", "--no-builtin", "--rules", rules, "--jobs", c.jobs, c.path)
			r.bounded(t)
			sum := summary(t, r.err)
			if sum["events_read"] != int64(n) || sum["events_invalid"]+sum["events_late"]+sum["event_id_conflicts"]+sum["records_skipped"] != 0 {
				t.Errorf("of %d events the summary says\n%s", n, r.err)
			}
			if sum["events_duplicate"] == 0 {
				t.Error("no matched event came twice: that proves less than it should")
			}
			harness.Same(t, "alerts", want, alertKeys(harness.Alerts(t, r.out)))
			if c.path != lines {
				return
			}
			out := withoutClock(r.out)
			if first == "" {
				first = out
			}
			if out != first {
				t.Error("what is said depends on the number of cores")
			}
		})
	}
}

// withoutClock leaves out of NDJSON what the wall clock put in: the time of the
// commit, and the order in which a commit tells of plain alerts and episodes.
func withoutClock(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		head, _, _ := strings.Cut(line, `,"detected_at":`)
		lines = append(lines, head)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// toDisk writes the same events as one NDJSON file, and as a tree of Records
// files of 2,000 events each, as S3 lays them out.
func toDisk(t *testing.T, n int, lines, tree string) []traffic.Incident {
	t.Helper()
	f, err := os.Create(lines)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	var batch [][]byte
	files := 0
	flush := func() {
		b, err := traffic.RecordsFile(batch)
		if err != nil {
			t.Fatal(err)
		}
		harness.Write(t, tree, fmt.Sprintf("AWSLogs/o-abc/CloudTrail/%02d/part-%05d.json.gz", files%24, files), string(b))
		files++
		batch = batch[:0]
	}
	incidents := harness.Planted(t, n, func(ev []byte) {
		if _, err := w.Write(ev); err != nil {
			t.Fatal(err)
		}
		if err := w.WriteByte('\n'); err != nil {
			t.Fatal(err)
		}
		if batch = append(batch, bytes.Clone(ev)); len(batch) == 2000 {
			flush()
		}
	})
	if len(batch) > 0 {
		flush()
	}
	for _, err := range []error{w.Flush(), f.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return incidents
}
