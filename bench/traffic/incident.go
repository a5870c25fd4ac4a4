package traffic

import (
	"fmt"
	"time"
)

// Incident is a planted piece of trouble that a rule set has to find.
type Incident struct {
	ID       string // "incident-0001", unique in one generator
	Kind     string // the same for every incident of a kind
	RuleID   string // the built-in rule that has to tell of it
	Title    string
	Account  string
	Region   string
	User     string
	Time     time.Time // of its first event
	EventIDs []string  // in the order of event time
}

// kind is what an incident of a kind is made of.
type kind struct {
	name, rule, title string
	root              bool   // the account's root user does it
	region            string // where; empty: a region in use
	steps             []step
}

// step is a call of an incident, perhaps many times.
type step struct {
	op    op
	times int // default 1
	every time.Duration
}

// Kind is a kind of incident.
type Kind struct{ Name, RuleID, Title string }

// Kinds are the kinds of incidents, in the order in which they are planted.
func Kinds() []Kind {
	var all []Kind
	for _, k := range kinds() {
		all = append(all, Kind{Name: k.name, RuleID: k.rule, Title: k.title})
	}
	return all
}

func kinds() []kind {
	return []kind{
		// The one that takes longest comes first, so that a short run sees its end.
		{name: "denied-burst", rule: "unauthorized-call-burst", title: "One principal was denied access again and again", steps: []step{
			{op: op{service: "secretsmanager", name: "GetSecretValue", read: true, req: `{"secretId":"$w/$w"}`, err: failure{"AccessDenied", "User is not authorized to perform: secretsmanager:GetSecretValue"}}, times: 40, every: time.Second},
		}},
		{name: "root-usage", rule: "root-account-usage", title: "The root user was used", root: true, steps: one(op{service: "iam", name: "GetAccountSummary", read: true, global: true})},
		{name: "trail-stopped", rule: "cloudtrail-disabled", title: "A trail was stopped and deleted", steps: []step{
			{op: op{service: "cloudtrail", name: "StopLogging", req: `{"name":"arn:aws:cloudtrail:$R:$A:trail/org-trail"}`}},
			{op: op{service: "cloudtrail", name: "DeleteTrail", req: `{"name":"arn:aws:cloudtrail:$R:$A:trail/org-trail"}`}},
		}},
		{name: "login-without-mfa", rule: "console-login-without-mfa", title: "Console login without MFA", steps: one(op{service: "signin", name: "ConsoleLogin", console: true, resp: `{"ConsoleLogin":"Success"}`, extra: loginExtra})},
		{name: "login-brute-force", rule: "console-login-brute-force", title: "20 failed console logins of one user within a minute", steps: []step{
			{op: op{service: "signin", name: "ConsoleLogin", console: true, resp: `{"ConsoleLogin":"Failure"}`, extra: loginExtra, err: failure{message: "Failed authentication"}}, times: 20, every: 2 * time.Second},
		}},
		{name: "open-security-group", rule: "security-group-open-to-world", title: "A security group was opened to the world", steps: one(op{service: "ec2", name: "AuthorizeSecurityGroupIngress", req: `{"groupId":"sg-$h","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":22,"toPort":22,"groups":{},"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]},"ipv6Ranges":{},"prefixListIds":{}}]}}`, resp: `{"requestId":"$u","_return":true}`})},
		{name: "public-database", rule: "rds-created-public", title: "A publicly accessible database was created", steps: one(op{service: "rds", name: "CreateDBInstance", req: `{"dBInstanceIdentifier":"$w-$8","dBInstanceClass":"db.t3.medium","engine":"postgres","masterUsername":"postgres","masterUserPassword":"****","allocatedStorage":20,"publiclyAccessible":true}`, resp: `{"dBInstanceArn":"arn:aws:rds:$R:$A:db:$w-$8","publiclyAccessible":true,"dBInstanceStatus":"creating"}`})},
		{name: "admin-policy", rule: "iam-admin-policy-attached", title: "AdministratorAccess was attached to a user", steps: one(op{service: "iam", name: "AttachUserPolicy", global: true, req: `{"userName":"$U","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}`})},
		{name: "admin-group", rule: "iam-user-added-to-admin-group", title: "A user was added to an admin group", steps: one(op{service: "iam", name: "AddUserToGroup", global: true, req: `{"groupName":"administrators","userName":"$U"}`})},
		{name: "key-deletion", rule: "kms-key-disabled-or-deletion-scheduled", title: "A KMS key is to be deleted", steps: one(op{service: "kms", name: "ScheduleKeyDeletion", req: `{"keyId":"arn:aws:kms:$R:$A:key/$u","pendingWindowInDays":7}`, resp: `{"keyId":"arn:aws:kms:$R:$A:key/$u","keyState":"PendingDeletion","pendingWindowInDays":7}`})},
		{name: "bucket-policy", rule: "s3-bucket-policy-changed", title: "A bucket's policy was changed", steps: one(op{service: "s3", name: "PutBucketPolicy", req: `{"bucketName":"$b","Host":"$b.s3.$R.amazonaws.com","policy":"","bucketPolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::$b/*"}]}}`, extra: s3Extra})},
		{name: "unused-region", rule: "ec2-run-outside-approved-regions", title: "Instances were started in a region that nobody uses", region: "me-south-1", steps: one(op{service: "ec2", name: "RunInstances", req: `{"instancesSet":{"items":[{"imageId":"ami-$h","minCount":20,"maxCount":20}]},"instanceType":"p4d.24xlarge"}`, resp: `{"requestId":"$u","reservationId":"r-$h","ownerId":"$A","instancesSet":{"items":[{"instanceId":"i-$h","imageId":"ami-$h","instanceState":{"code":0,"name":"pending"},"instanceType":"p4d.24xlarge"}]}}`})},
		{name: "config-stopped", rule: "config-disabled", title: "AWS Config stopped recording", steps: one(op{service: "config", name: "StopConfigurationRecorder", req: `{"configurationRecorderName":"default"}`})},
		{name: "acl-change", rule: "network-acl-changed", title: "A network ACL was changed", steps: one(op{service: "ec2", name: "CreateNetworkAclEntry", req: `{"networkAclId":"acl-$h","ruleNumber":90,"egress":false,"ruleAction":"allow","icmpTypeCode":{},"portRange":{},"aclProtocol":"-1","cidrBlock":"10.0.0.0/8"}`, resp: `{"requestId":"$u","_return":true}`})},
		{name: "route-change", rule: "route-table-changed", title: "A route was replaced", steps: one(op{service: "ec2", name: "ReplaceRoute", req: `{"routeTableId":"rtb-$h","destinationCidrBlock":"10.20.0.0/16","networkInterfaceId":"eni-$h"}`, resp: `{"requestId":"$u","_return":true}`})},
		{name: "gateway-change", rule: "network-gateway-changed", title: "An internet gateway was attached", steps: one(op{service: "ec2", name: "AttachInternetGateway", req: `{"internetGatewayId":"igw-$h","vpcId":"vpc-$h"}`, resp: `{"requestId":"$u","_return":true}`})},
		{name: "vpc-change", rule: "vpc-changed", title: "A VPC was peered", steps: one(op{service: "ec2", name: "AcceptVpcPeeringConnection", req: `{"vpcPeeringConnectionId":"pcx-$h"}`, resp: `{"requestId":"$u"}`})},
		{name: "certificate-export", rule: "certificate-deleted-or-exported", title: "A certificate was exported with its key", steps: one(op{service: "acm", name: "ExportCertificate", read: true, req: `{"certificateArn":"arn:aws:acm:$R:$A:certificate/$u","passphrase":"HIDDEN_DUE_TO_SECURITY_REASONS"}`})},
		{name: "certificate-deletion", rule: "certificate-deleted-or-exported", title: "A certificate was deleted", steps: one(op{service: "acm", name: "DeleteCertificate", req: `{"certificateArn":"arn:aws:acm:$R:$A:certificate/$u"}`})},
		{name: "password-policy", rule: "iam-password-policy-changed", title: "The password policy was weakened", steps: one(op{service: "iam", name: "UpdateAccountPasswordPolicy", global: true, req: `{"minimumPasswordLength":6,"requireSymbols":false,"requireNumbers":false,"requireUppercaseCharacters":false,"requireLowercaseCharacters":false,"allowUsersToChangePassword":true,"hardExpiry":false}`})},
		{name: "login-profile", rule: "iam-login-profile-updated", title: "A user's console password was set", steps: one(op{service: "iam", name: "UpdateLoginProfile", global: true, req: `{"userName":"$U","passwordResetRequired":false}`})},
	}
}

const loginExtra = `{"LoginTo":"https://console.aws.amazon.com/console/home?region=$R","MobileVersion":"No","MFAUsed":"No"}`

func one(o op) []step { return []step{{op: o}} }

// plan is an incident on its way.
type plan struct {
	Incident
	who   principal
	calls []*op
	seed  uint64
	left  int // events that have not come once
}

// incidentGap is the event time between two steps of an incident.
const incidentGap = time.Second

// plant puts the events of the next incident on their way.
func (g *Generator) plant(at int64) {
	k := &g.kinds[g.planned%len(g.kinds)]
	g.planned++
	r := mixed(^g.c.Seed, uint64(g.planned))
	p := &plan{seed: r.next()}
	p.who = principal{account: g.accounts[r.below(len(g.accounts))], agent: agents[3], ip: fmt.Sprintf("203.0.113.%d", 1+r.below(254))}
	if k.root {
		p.who.user = "root"
		p.who.head = `{"type":"Root","principalId":"` + p.who.account + `","arn":"arn:aws:iam::` + p.who.account + `:root","accountId":"` + p.who.account + `","accessKeyId":""}`
	} else {
		p.who.setUser(&r, fmt.Sprintf("contractor-%04d", g.planned))
	}
	p.Incident = Incident{
		ID: fmt.Sprintf("incident-%04d", g.planned), Kind: k.name, RuleID: k.rule, Title: k.title,
		Account: p.who.account, User: p.who.user, Region: k.region, Time: time.Unix(at/1e9, 0).UTC(),
	}
	if p.Region == "" {
		p.Region = g.c.Regions[g.pickSpot[r.below(len(g.pickSpot))]]
	}
	var times []int64
	for i := range k.steps {
		s := &k.steps[i]
		for range max(s.times, 1) {
			p.calls = append(p.calls, &s.op)
			times = append(times, at)
			at += int64(max(s.every, 0))
		}
		at += int64(incidentGap)
	}
	if k.steps[0].op.global {
		p.Region = "us-east-1"
	}
	p.left = len(p.calls)
	p.EventIDs = make([]string, len(p.calls))
	for i, at := range times {
		g.send(arrival{at: at, n: uint64(i), plan: p})
	}
}

func (g *Generator) renderPlanned(dst []byte, a *arrival) []byte {
	p, o := a.plan, a.plan.calls[a.n]
	s := scene{r: mixed(p.seed, a.n), at: a.at / 1e9, account: p.Account, region: p.Region, user: p.User}
	from := len(dst)
	dst = appendEvent(dst, &s, o, &p.who, o.err)
	if !a.copy {
		p.EventIDs[a.n] = field(dst[from:], "eventID")
		if p.left--; p.left == 0 {
			g.done = append(g.done, p.Incident)
		}
	}
	return dst
}
