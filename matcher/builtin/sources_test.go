package builtin_test

// source is a published list or example that the pack answers.
type source struct {
	id    string
	what  string
	rules []string
	note  string
}

// sources are the lists that the pack was written from. TS is Threat Stack's
// CloudTrail alerting, CC CloudCheckr's CloudTrail alerts, CX Coralogix's table
// of CloudTrail alerts by row, CW the "CloudTrail Changes" metric filter, BP
// CloudCheckr's best-practice checks, CIS section 4 of the CIS AWS Foundations
// Benchmark 1.4 and 3.0.
var sources = []source{
	{"TS-4 example 1", "an attacker stops logging and deletes trails", []string{"cloudtrail-disabled", "cloudtrail-tampering-refused"}, ""},
	{"TS-6 example 2", "instances in regions that nobody uses", []string{"ec2-run-outside-approved-regions", "region-enabled"}, "the approved regions stand in the rule: copy it to change them"},
	{"TS-7 example 3", "security groups opened outside policy", []string{"security-group-open-to-world", "security-group-admin-port-open", "security-group-changed", "security-group-rule-edited"}, ""},
	{"CC-3", "25 or more ready-made alerts", nil, "the table of rules"},
	{"CC-16", "any security-related event", []string{"any-security-related-event"}, "off by default: it would tell most events twice"},
	{"CC-20", "20 matching events within a minute", []string{"console-login-brute-force"}, ""},
	{"CX row 1", "usage of the root account", []string{"root-account-usage"}, ""},
	{"CX row 2", "change of a bucket policy", []string{"s3-bucket-policy-changed", "cloudtrail-log-bucket-changed"}, "with the four Delete events that the row lacks; the trail's own bucket has its own rule"},
	{"CX row 3", "AccessDenied", []string{"access-denied", "unauthorized-call-burst"}, "all access-denied codes; without the row's filter on account names"},
	{"CX row 4", "source address outside two countries", nil, "needs the country of an address, and comes with that enrichment"},
	{"CX row 5", "a certificate and its private key deleted", []string{"certificate-deleted-or-exported"}, "the title says delete and the query says export: the rule has both"},
	{"CX row 6", "certificate options updated", []string{"certificate-options-updated"}, "the call is UpdateCertificateOptions; successes and failures"},
	{"CX row 7", "data base created publicly accessible", []string{"rds-created-public", "rds-made-public"}, "publiclyAccessible at any depth"},
	{"CX row 8", "CloudFront distribution changed", []string{"cloudfront-distribution-changed"}, "with versioned and suffixed names"},
	{"CX row 9", "new admin added", []string{"iam-user-added-to-admin-group"}, "in any case"},
	{"CX row 10", "admin privileges granted", []string{"iam-admin-policy-attached", "iam-admin-policy-written"}, "roles and groups too"},
	{"CX row 11", "customer key disabled or scheduled for deletion", []string{"kms-key-disabled-or-deletion-scheduled"}, ""},
	{"CX row 12", "AWS Config changed", []string{"config-changed"}, ""},
	{"CX row 13", "CloudTrail changed", []string{"cloudtrail-changed"}, ""},
	{"CX row 14", "IAM policy changed", []string{"iam-policy-changed"}, "with SetDefaultPolicyVersion"},
	{"CX row 15", "security group changed", []string{"security-group-changed"}, ""},
	{"CX row 16", "network ACL changed", []string{"network-acl-changed"}, ""},
	{"CX row 17", "network gateway changed", []string{"network-gateway-changed"}, "with the word between: Customer, Internet, …"},
	{"CX row 18", "route table changed", []string{"route-table-changed"}, "with AssociateRouteTable"},
	{"CX row 19", "VPC changed", []string{"vpc-changed"}, ""},
	{"CW-1", "the five CloudTrail changes", []string{"cloudtrail-changed"}, "CW-2, CW-10, CW-11, CW-13: name, severity, compliance tags and runbook are in the rule"},
	{"CW-12", "all CloudTrail configuration changes", []string{"cloudtrail-settings-changed", "cloudtrail-selectors-weakened", "cloudtrail-trail-weakened"}, ""},
	{"BP-6, BP-7, BP-9", "trails missing in accounts, regions, or for global events", []string{"cloudtrail-trail-weakened"}, "the state of the trails is not in the stream; changes to it are"},
	{"BP-8", "delivery failing", []string{"cloudtrail-log-bucket-changed", "cloudtrail-silent"}, "the silence rule is off by default: copy it with the accounts that must never be silent"},
	{"BP-10", "CloudTrail disabled, by whom, and whether re-enabled", []string{"cloudtrail-disabled", "cloudtrail-reenabled"}, ""},
	{"BP-11", "API events in plain words", nil, "every title says what happened"},
	{"BP-12", "security-group changes as one meaning: 18 events", []string{"security-group-changed"}, "the list as printed names DeleteCacheSecurityGroup twice; DeleteDBSecurityGroup is meant"},
	{"BP-13", "something unusual happens", []string{"region-enumeration", "unauthorized-calls-many-services", "console-login-many-addresses", "secrets-read-burst"}, ""},
	{"CIS 4.1", "unauthorized API calls", []string{"access-denied", "unauthorized-call-burst"}, ""},
	{"CIS 4.2", "console sign-in without MFA", []string{"console-login-without-mfa"}, "without single sign-on, whose sign-ins say MFAUsed No by design"},
	{"CIS 4.3", "usage of the root account", []string{"root-account-usage"}, ""},
	{"CIS 4.4", "IAM policy changes", []string{"iam-policy-changed"}, ""},
	{"CIS 4.5", "CloudTrail configuration changes", []string{"cloudtrail-changed", "cloudtrail-settings-changed", "cloudtrail-disabled"}, ""},
	{"CIS 4.6", "console authentication failures", []string{"console-login-failures", "console-login-brute-force"}, ""},
	{"CIS 4.7", "customer keys disabled or scheduled for deletion", []string{"kms-key-disabled-or-deletion-scheduled"}, ""},
	{"CIS 4.8", "S3 bucket policy changes", []string{"s3-bucket-policy-changed"}, ""},
	{"CIS 4.9", "AWS Config changes", []string{"config-changed"}, ""},
	{"CIS 4.10", "security group changes", []string{"security-group-changed", "security-group-rule-edited"}, ""},
	{"CIS 4.11", "network ACL changes", []string{"network-acl-changed"}, ""},
	{"CIS 4.12", "network gateway changes", []string{"network-gateway-changed"}, ""},
	{"CIS 4.13", "route table changes", []string{"route-table-changed"}, ""},
	{"CIS 4.14", "VPC changes", []string{"vpc-changed"}, ""},
	{"CIS 4.15", "AWS Organizations changes", []string{"organization-changed"}, ""},
	{"CIS 4.16", "Security Hub is enabled", nil, "a state, not an event; `security-hub-disabled` tells when it is switched off"},
}
