package builtin_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestSourcesNameRulesThatExist(t *testing.T) {
	rs := compileAll(t)
	seen := map[string]bool{}
	for _, s := range sources {
		if seen[s.id] {
			t.Errorf("%s is listed twice", s.id)
		}
		seen[s.id] = true
		if len(s.rules) == 0 && s.note == "" {
			t.Errorf("%s has neither a rule nor a note that says why", s.id)
		}
		cis, isCIS := strings.CutPrefix(s.id, "CIS ")
		for _, id := range s.rules {
			r := rs.Rule(id)
			if r == nil {
				t.Errorf("%s: there is no rule %s", s.id, id)
				continue
			}
			if isCIS && !slices.Contains(r.Tags, "cis."+cis) {
				t.Errorf("%s: rule %s lacks the tag cis.%s", s.id, id, cis)
			}
		}
	}
	for _, r := range rs.Rules() {
		for _, tag := range r.Tags {
			cis, ok := strings.CutPrefix(tag, "cis.")
			if !ok {
				continue
			}
			if !slices.ContainsFunc(sources, func(s source) bool { return s.id == "CIS "+cis }) {
				t.Errorf("%s has the tag %s of no control", r.ID, tag)
			}
		}
	}
	if n := len(rs.Rules()); n < 25 {
		t.Errorf("%d rules, want at least 25 (CC-3)", n)
	}
}

// The compliance standards of CW-11 are tags of every rule on changes of
// CloudTrail.
func TestComplianceTags(t *testing.T) {
	rs := compileAll(t)
	for _, id := range []string{"cloudtrail-changed", "cloudtrail-settings-changed", "cloudtrail-disabled"} {
		for _, tag := range []string{"cisawsf", "pci", "gdpr", "apra", "mas", "nist4", "soc2", "hipaa", "iso27001", "nistcsf"} {
			if !slices.Contains(rs.Rule(id).Tags, tag) {
				t.Errorf("%s lacks the tag %s", id, tag)
			}
		}
	}
}

// printedSecurityGroupEvents is the list of BP-12 as it was published: 18
// lines, of which two are the same.
var printedSecurityGroupEvents = []string{
	"CreateSecurityGroup", "DeleteSecurityGroup", "AuthorizeSecurityGroupEgress",
	"AuthorizeSecurityGroupIngress", "RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress",
	"CreateCacheSecurityGroup", "DeleteCacheSecurityGroup", "AuthorizeCacheSecurityGroupIngress",
	"RevokeCacheSecurityGroupIngress", "CreateDBSecurityGroup", "DeleteCacheSecurityGroup",
	"AuthorizeDBSecurityGroupIngress", "RevokeDBSecurityGroupIngress", "CreateClusterSecurityGroup",
	"DeleteClusterSecurityGroup", "AuthorizeClusterSecurityGroupIngress", "RevokeClusterSecurityGroupIngress",
}

func TestSecurityGroupEvents(t *testing.T) {
	distinct := slices.Compact(slices.Sorted(slices.Values(printedSecurityGroupEvents)))
	if len(printedSecurityGroupEvents) != 18 || len(distinct) != 17 {
		t.Fatalf("the printed list has %d lines and %d names, want 18 and 17", len(printedSecurityGroupEvents), len(distinct))
	}
	meant := append(slices.Clone(distinct), "DeleteDBSecurityGroup")
	m := compileAll(t).NewMatcher()
	for _, name := range meant {
		if got := hits(t, m, event(t, "ec2", name)); !slices.Contains(got, "security-group-changed") {
			t.Errorf("%s: matched by %v only", name, got)
		}
	}
	for _, name := range []string{"DescribeSecurityGroups", "DescribeDBSecurityGroups", "ModifySecurityGroupRules", "DeleteClusterSecurityGroups"} {
		if slices.Contains(hits(t, m, event(t, "ec2", name)), "security-group-changed") {
			t.Errorf("%s is not one of the 18", name)
		}
	}
}

// namesOf are the event names that a list means, by the rule that answers it.
// In the Coralogix table rows 12, 13 and 17 as printed match none of theirs.
var namesOf = []struct {
	list, rule, service string
	names               []string
}{
	{"CX row 2, CIS 4.8", "s3-bucket-policy-changed", "s3", words(`PutBucketAcl PutBucketPolicy PutBucketCors PutBucketLifecycle PutBucketReplication
		DeleteBucketPolicy DeleteBucketCors DeleteBucketLifecycle DeleteBucketReplication`)},
	{"CX row 5", "certificate-deleted-or-exported", "acm", words("DeleteCertificate ExportCertificate")},
	{"CX row 6", "certificate-options-updated", "acm", words("UpdateCertificateOptions")},
	{"CX row 8", "cloudfront-distribution-changed", "cloudfront", words(`CreateDistribution UpdateDistribution DeleteDistribution
		CreateStreamingDistribution UpdateStreamingDistribution DeleteStreamingDistribution UpdateDistribution2020_05_31 CreateDistributionWithTags`)},
	{"CX row 11, CIS 4.7", "kms-key-disabled-or-deletion-scheduled", "kms", words("DisableKey ScheduleKeyDeletion")},
	{"CX row 12, CIS 4.9", "config-changed", "config", words("StopConfigurationRecorder PutConfigurationRecorder DeleteDeliveryChannel PutDeliveryChannel")},
	{"CX row 13, CW-1, CIS 4.5", "cloudtrail-changed", "cloudtrail", words("CreateTrail UpdateTrail DeleteTrail StartLogging StopLogging")},
	{"CW-12", "cloudtrail-settings-changed", "cloudtrail", words("PutEventSelectors PutInsightSelectors AddTags RemoveTags DeleteEventDataStore")},
	{"CX row 14, CIS 4.4", "iam-policy-changed", "iam", words(`DeleteGroupPolicy DeleteRolePolicy DeleteUserPolicy PutGroupPolicy PutRolePolicy PutUserPolicy
		CreatePolicy DeletePolicy CreatePolicyVersion DeletePolicyVersion AttachRolePolicy DetachRolePolicy AttachUserPolicy DetachUserPolicy
		AttachGroupPolicy DetachGroupPolicy SetDefaultPolicyVersion`)},
	{"CX row 16, CIS 4.11", "network-acl-changed", "ec2", words(`CreateNetworkAcl CreateNetworkAclEntry DeleteNetworkAcl DeleteNetworkAclEntry
		ReplaceNetworkAclEntry ReplaceNetworkAclAssociation`)},
	{"CX row 17, CIS 4.12", "network-gateway-changed", "ec2", words(`CreateCustomerGateway DeleteCustomerGateway AttachInternetGateway
		CreateInternetGateway DeleteInternetGateway DetachInternetGateway AttachVpnGateway DeleteNatGateway`)},
	{"CX row 18, CIS 4.13", "route-table-changed", "ec2", words(`CreateRoute CreateRouteTable ReplaceRoute ReplaceRouteTableAssociation
		DeleteRouteTable DeleteRoute DisassociateRouteTable AssociateRouteTable`)},
	{"CX row 19, CIS 4.14", "vpc-changed", "ec2", words(`CreateVpc DeleteVpc ModifyVpcAttribute AcceptVpcPeeringConnection CreateVpcPeeringConnection
		DeleteVpcPeeringConnection RejectVpcPeeringConnection AttachClassicLinkVpc DetachClassicLinkVpc DisableVpcClassicLink EnableVpcClassicLink`)},
	{"CIS 4.15", "organization-changed", "organizations", words(`AcceptHandshake AttachPolicy CreateAccount CreateOrganizationalUnit CreatePolicy
		DeclineHandshake DeleteOrganization DeleteOrganizationalUnit DeletePolicy DetachPolicy DisablePolicyType EnablePolicyType
		InviteAccountToOrganization LeaveOrganization MoveAccount RemoveAccountFromOrganization UpdateOrganizationalUnit UpdatePolicy`)},
}

func TestListedEventNames(t *testing.T) {
	m := compileAll(t).NewMatcher()
	for _, l := range namesOf {
		for _, name := range l.names {
			if got := hits(t, m, event(t, l.service, name)); !slices.Contains(got, l.rule) {
				t.Errorf("%s: %s is matched by %v, want %s", l.list, name, got, l.rule)
			}
		}
	}
}

// cisRules says which rule answers a published CloudWatch filter of the CIS
// benchmark, by the filter's name in the corpus.
var cisRules = map[string]struct{ rule, service string }{
	"iam-policy-event-count":               {"iam-policy-changed", "iam"},
	"cloud-trail-event-count":              {"cloudtrail-changed", "cloudtrail"},
	"kms-key-pending-deletion-error-count": {"kms-key-disabled-or-deletion-scheduled", "kms"},
	"s3-bucket-policy-event-count":         {"s3-bucket-policy-changed", "s3"},
	"aws-config-change-count":              {"config-changed", "config"},
	"security-group-event-count":           {"security-group-changed", "ec2"},
	"network-acl-event-count":              {"network-acl-changed", "ec2"},
	"gateway-event-count":                  {"network-gateway-changed", "ec2"},
	"route-table-changes-count":            {"route-table-changed", "ec2"},
	"vpc-event-count":                      {"vpc-changed", "ec2"},
	"ec2-instance-event-count":             {"ec2-instance-lifecycle", "ec2"},
}

// TestPublishedFilters takes the event names out of published CIS filters, so
// that the lists above are not their own witness.
func TestPublishedFilters(t *testing.T) {
	src, err := os.ReadFile(filepath.Join(testdata(t), "cloudwatch", "cis-metric-filters.json"))
	if err != nil {
		t.Fatal(err)
	}
	var filters []struct{ Name, Pattern string }
	if err := json.Unmarshal(src, &filters); err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\$\.eventName\s*=\s*"?(\w+)`)
	m := compileAll(t).NewMatcher()
	found := 0
	for _, f := range filters {
		want, ok := cisRules[f.Name]
		if !ok {
			continue
		}
		found++
		for _, sub := range names.FindAllStringSubmatch(f.Pattern, -1) {
			if got := hits(t, m, event(t, want.service, sub[1])); !slices.Contains(got, want.rule) {
				t.Errorf("%s: %s is matched by %v, want %s", f.Name, sub[1], got, want.rule)
			}
		}
	}
	if found != len(cisRules) {
		t.Errorf("%d of the %d filters are in the corpus", found, len(cisRules))
	}
}

// event is the least event of that service and name.
func event(t *testing.T, service, name string) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{
		"eventVersion": "1.10", "eventTime": "2026-03-02T10:00:00Z", "eventID": "6f1e2d3c-0000-4000-8000-000000000000",
		"eventSource": service + ".amazonaws.com", "eventName": name, "awsRegion": "us-east-1", "recipientAccountId": "111122223333",
		"userIdentity": map[string]any{"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice"}, "requestParameters": nil,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func words(s string) []string { return strings.Fields(s) }

// testdata returns the folder of public corpora, which is not in the tree.
func testdata(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		t.Skip("TRAILTIDE_TESTDATA names no folder of corpora")
	}
	return dir
}
