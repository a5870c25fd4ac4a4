package traffic

import (
	"fmt"
	"strconv"
)

var roles = []string{
	"deploy-pipeline", "eks-node", "app-runtime", "terraform-plan", "datalake-reader", "lambda-exec", "ecs-task",
	"AWSReservedSSO_ReadOnly_3f1c", "AWSReservedSSO_Developer_9ab2", "monitoring-agent", "backup-operator", "cost-explorer",
}

var agents = []string{
	"aws-sdk-go-v2/1.30.3 os/linux lang/go#1.22.5 md/GOOS#linux md/GOARCH#amd64 api/s3#1.58.2",
	"Boto3/1.34.131 md/Botocore#1.34.131 ua/2.0 os/linux#5.10.219-208.866.amzn2.x86_64 md/arch#x86_64 lang/python#3.11.9 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.34.131",
	"APN/1.0 HashiCorp/1.0 Terraform/1.8.5 (+https://www.terraform.io) terraform-provider-aws/5.56.1 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.30.0 os/linux lang/go#1.22.4",
	"aws-cli/2.17.9 md/awscrt#0.20.11 ua/2.0 os/linux#6.5.0-1022-aws md/arch#x86_64 lang/python#3.11.8 md/pyimpl#CPython cfg/retry-mode#standard md/installer#exe",
	"aws-sdk-java/2.25.60 Linux/5.10.217-205.860.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/17.0.11+9-LTS Java/17.0.11 vendor/Amazon.com_Inc. io/sync http/Apache cfg/retry-mode/legacy",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
}

var services = []string{"ec2", "lambda", "ecs-tasks", "config", "autoscaling", "elasticloadbalancing", "cloudtrail", "eks"}

// principal is somebody who calls, with the parts of the event that say so.
type principal struct {
	account string
	user    string
	ip      string
	agent   string
	home    int    // place of its first region; it uses that and the next two
	head    string // userIdentity up to the session's creation time
	tail    string // … and from there on; empty: head is all
}

// newPrincipal makes the i-th principal: mostly roles, some services of AWS
// itself, a few users.
func newPrincipal(r *rng, i int, account string) principal {
	p := principal{account: account, agent: agents[r.below(len(agents)-1)]}
	p.ip = fmt.Sprintf("%d.%d.%d.%d", []int{10, 52, 18, 3}[r.below(4)], r.below(256), r.below(256), 1+r.below(254))
	switch k := i % 20; {
	case k < 3:
		service := services[r.below(len(services))] + ".amazonaws.com"
		p.ip, p.agent, p.user = service, service, service
		p.head = `{"type":"AWSService","invokedBy":"` + service + `"}`
	case k < 5:
		p.setUser(r, fmt.Sprintf("%s-%s", words[r.below(len(words))], r.appendHex(nil, 4)))
	default:
		role := roles[r.below(len(roles))]
		id := "AROA" + string(r.appendFrom(nil, keyChars, 5, 17))
		session := fmt.Sprintf("%s-%s", words[r.below(len(words))], r.appendHex(nil, 8))
		p.user = session
		p.head = `{"type":"AssumedRole","principalId":"` + id + ":" + session + `","arn":"arn:aws:sts::` + account + `:assumed-role/` + role + "/" + session +
			`","accountId":"` + account + `","accessKeyId":"ASIA` + string(r.appendFrom(nil, keyChars, 5, 16)) +
			`","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"` + id + `","arn":"arn:aws:iam::` + account + `:role/` + role +
			`","accountId":"` + account + `","userName":"` + role + `"},"webIdFederationData":{},"attributes":{"creationDate":"`
		p.tail = `","mfaAuthenticated":"false"}}}`
	}
	return p
}

// setUser makes p the IAM user of that name.
func (p *principal) setUser(r *rng, name string) {
	p.user = name
	p.head = `{"type":"IAMUser","principalId":"AIDA` + string(r.appendFrom(nil, keyChars, 5, 17)) + `","arn":"arn:aws:iam::` + p.account + `:user/` + name +
		`","accountId":"` + p.account + `","accessKeyId":"AKIA` + string(r.appendFrom(nil, keyChars, 5, 16)) + `","userName":"` + name + `"}`
	p.tail = ""
}

// errorsIn1024 is how many of 1,024 calls fail, of those that can.
const errorsIn1024 = 25

// render appends an event on its arrival.
func (g *Generator) render(dst []byte, a *arrival) []byte {
	if a.plan != nil {
		return g.renderPlanned(dst, a)
	}
	s := scene{r: mixed(g.c.Seed, a.n), at: a.at / 1e9}
	o := &g.ops[g.pickOp[s.r.below(len(g.pickOp))]]
	p := &g.people[g.pickUser[s.r.below(len(g.pickUser))]]
	if o.console { // somebody signs in: users do
		signing := *p
		signing.agent = agents[len(agents)-1]
		person := mixed(g.c.Seed, uint64(s.r.below(64))<<32)
		signing.ip = fmt.Sprintf("198.51.100.%d", 1+person.below(200))
		signing.setUser(&person, "staff-"+string(person.appendHex(nil, 8)))
		p = &signing
	}
	s.account, s.user = p.account, p.user
	s.region = g.c.Regions[(p.home+max(0, s.r.below(10)-7))%len(g.c.Regions)]
	var f failure
	if len(o.errs) > 0 && s.r.below(1024) < errorsIn1024 {
		f = o.errs[s.r.below(len(o.errs))]
	}
	return appendEvent(dst, &s, o, p, f)
}

// appendEvent writes the fields in the order in which CloudTrail does.
// Semantics: CloudTrail record contents, event version 1.10.
func appendEvent(dst []byte, s *scene, o *op, p *principal, f failure) []byte {
	if o.global {
		s.region = "us-east-1"
	}
	dst = append(dst, `{"eventVersion":"1.10","userIdentity":`...)
	dst = append(dst, p.head...)
	if p.tail != "" {
		dst = appendTime(dst, s.at-s.at%3600)
		dst = append(dst, p.tail...)
	}
	dst = append(dst, `,"eventTime":"`...)
	dst = appendTime(dst, s.at)
	dst = append(dst, `","eventSource":"`...)
	dst = append(dst, o.service...)
	dst = append(dst, `.amazonaws.com","eventName":"`...)
	dst = append(dst, o.name...)
	dst = append(dst, `","awsRegion":"`...)
	dst = append(dst, s.region...)
	dst = append(dst, `","sourceIPAddress":"`...)
	dst = append(dst, p.ip...)
	dst = append(dst, `","userAgent":"`...)
	dst = append(dst, p.agent...)
	dst = append(dst, '"')
	if f.code != "" {
		dst = append(dst, `,"errorCode":"`...)
		dst = append(dst, f.code...)
		dst = append(dst, '"')
	}
	if f.message != "" {
		dst = append(dst, `,"errorMessage":"`...)
		dst = append(dst, f.message...)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"requestParameters":`...)
	dst = s.fillOrNull(dst, o.reqT)
	dst = append(dst, `,"responseElements":`...)
	if f.code != "" {
		dst = append(dst, "null"...)
	} else {
		dst = s.fillOrNull(dst, o.respT)
	}
	if o.extraT != nil {
		dst = append(dst, `,"additionalEventData":`...)
		dst = s.fill(dst, o.extraT)
	}
	dst = append(dst, `,"requestID":"`...)
	dst = s.r.appendUUID(dst)
	dst = append(dst, `","eventID":"`...)
	dst = s.r.appendUUID(dst)
	dst = append(dst, `","readOnly":`...)
	dst = strconv.AppendBool(dst, o.read)
	if o.data && o.service == "s3" {
		dst = append(dst, `,"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::`...)
		dst = append(dst, words[s.r.below(len(words))]...)
		dst = append(dst, '-')
		dst = append(dst, p.account[4:]...)
		dst = append(dst, `/object"},{"accountId":"`...)
		dst = append(dst, p.account...)
		dst = append(dst, `","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::`...)
		dst = append(dst, words[s.r.below(len(words))]...)
		dst = append(dst, '-')
		dst = append(dst, p.account[4:]...)
		dst = append(dst, `"}]`...)
	}
	kind := "AwsApiCall"
	if o.console {
		kind = "AwsConsoleSignIn"
	}
	dst = append(dst, `,"eventType":"`...)
	dst = append(dst, kind...)
	dst = append(dst, `","managementEvent":`...)
	dst = strconv.AppendBool(dst, !o.data)
	dst = append(dst, `,"recipientAccountId":"`...)
	dst = append(dst, p.account...)
	dst = append(dst, `","eventCategory":"`...)
	if o.data {
		dst = append(dst, "Data"...)
	} else {
		dst = append(dst, "Management"...)
	}
	dst = append(dst, `","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"`...)
	dst = append(dst, o.service...)
	dst = append(dst, '.')
	dst = append(dst, s.region...)
	return append(dst, `.amazonaws.com"}}`...)
}

func (s *scene) fillOrNull(dst []byte, t template) []byte {
	if t == nil {
		return append(dst, "null"...)
	}
	return s.fill(dst, t)
}
