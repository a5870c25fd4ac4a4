package lucene

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// country knows one address of each of three countries, and one account.
type country struct{}

func (country) Country(ip string) (code, name string, ok bool) {
	switch ip {
	case "192.0.2.1":
		return "IN", "India", true
	case "192.0.2.2":
		return "US", "United States", true
	case "192.0.2.3":
		return "DE", "Germany", true
	}
	return "", "", false
}
func (country) AccountName(id string) (string, bool) { return "xxx", id == "111122223333" }
func (country) InList(string, string) bool           { return false }

// coralogixRows are the alerts of the Coralogix table as they are printed, what
// they match read strictly, what they do not, and a part of the warning that is
// due; dead rows match nothing that they are meant for.
var coralogixRows = []struct {
	query   string
	holds   []string
	fails   []string
	warning string
}{
	{
		`userIdentity.type:Root AND NOT _exists_:userIdentity.invokedBy AND NOT eventType:AwsServiceEvent`,
		[]string{`{"userIdentity":{"type":"Root"},"eventType":"AwsApiCall"}`},
		[]string{`{"userIdentity":{"type":"Root","invokedBy":"x.amazonaws.com"}}`, `{"userIdentity":{"type":"Root"},"eventType":"AwsServiceEvent"}`, `{"userIdentity":{"type":"IAMUser"}}`},
		"",
	},
	{
		`eventSource:\”s3.amazonaws.com\” AND (eventName:PutBucketAcl OR eventName:PutBucketPolicy OR eventName:PutBucketCors OR eventName:PutBucketLifecycle OR eventName:PutBucketReplication)`,
		[]string{`{"eventSource":"s3.amazonaws.com","eventName":"PutBucketCors"}`, `{"eventSource":"ec2.amazonaws.com","eventName":"PutBucketAcl"}`},
		[]string{`{"eventSource":"s3.amazonaws.com","eventName":"GetBucketAcl"}`, `{"eventSource":"other","eventName":"PutBucketAcl"}`},
		`character of the value, not a quote`,
	},
	{
		`recipientAccountName:(”xxx” OR ”yyy”) AND errorCode:”accessdenied”`,
		[]string{`{"recipientAccountId":"111122223333","errorCode":"AccessDenied"}`, `{"recipientAccountName":"YYY","errorCode":"AccessDenied"}`},
		[]string{`{"recipientAccountId":"111122223333","errorCode":"AccessDeniedException"}`, `{"recipientAccountId":"1","errorCode":"AccessDenied"}`},
		"typographic",
	},
	{
		`_exists_:sourceIPAddress_geoip NOT sourceIPAddress_geoip.country_name.keyword:/india|united states/`,
		[]string{`{"sourceIPAddress":"192.0.2.1"}`, `{"sourceIPAddress":"192.0.2.3"}`, `{"sourceIPAddress_geoip":{"country_name":"India"}}`},
		[]string{`{"sourceIPAddress":"ec2.amazonaws.com"}`, `{"sourceIPAddress_geoip":{"country_name":"india"}}`, `{"sourceIPAddress_geoip":{}}`},
		"Lucene does not read this by precedence",
	},
	{
		`eventName:ExportCertificate AND eventSource:”acm.amazonaws.com”`,
		[]string{`{"eventName":"ExportCertificate","eventSource":"acm.amazonaws.com"}`},
		[]string{`{"eventName":"DeleteCertificate","eventSource":"acm.amazonaws.com"}`},
		"typographic",
	},
	{
		`eventName:UpdateCertificate AND eventSource:”acm.amazonaws.com”`,
		nil,
		[]string{`{"eventName":"UpdateCertificateOptions","eventSource":"acm.amazonaws.com"}`},
		"typographic",
	},
	{
		`publiclyAccessible:true AND eventName:CreateDBInstance`,
		nil,
		[]string{`{"eventName":"CreateDBInstance","requestParameters":{"publiclyAccessible":true}}`},
		"did you mean requestParameters.publiclyAccessible",
	},
	{
		`eventName.keyword:/(Create.*Distribution|Delete.*Distribution|Update.*Distribution)/`,
		[]string{`{"eventName":"CreateStreamingDistribution"}`, `{"eventName":"DeleteDistribution"}`},
		[]string{`{"eventName":"CreateDistribution2020_05_31"}`, `{"eventName":"GetDistribution"}`},
		"",
	},
	{
		`eventName:AddUserToGroup AND requestParameters.groupName:/.*admin.*/`,
		[]string{`{"eventName":"AddUserToGroup","requestParameters":{"groupName":"Org-Admins"}}`},
		[]string{`{"eventName":"AddUserToGroup","requestParameters":{"groupName":"dev"}}`},
		"",
	},
	{
		`eventName:AttachUserPolicy AND requestParameters.policyArn:AdministratorAccess`,
		[]string{`{"eventName":"AttachUserPolicy","requestParameters":{"policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}}`},
		[]string{`{"eventName":"AttachUserPolicy","requestParameters":{"policyArn":"arn:aws:iam::aws:policy/ReadOnlyAccess"}}`},
		"",
	},
	{
		`eventSource:”kms.amazonaws.com” AND (eventName:DisableKey OR eventName:ScheduleKeyDeletion)`,
		[]string{`{"eventSource":"kms.amazonaws.com","eventName":"DisableKey"}`},
		[]string{`{"eventSource":"kms.amazonaws.com","eventName":"Decrypt"}`},
		"typographic",
	},
	{
		`eventSource:”config.amazonaws.com” AND eventName.keyword:((Stop|Put)ConfigurationRecorder|((Delete|Put)DeliveryChannel))`,
		nil,
		[]string{`{"eventSource":"config.amazonaws.com","eventName":"StopConfigurationRecorder"}`, `{"eventSource":"config.amazonaws.com","eventName":"DeleteDeliveryChannel"}`},
		"did you mean eventName.keyword:/((Stop|Put)ConfigurationRecorder|((Delete|Put)DeliveryChannel))/?",
	},
	{
		`eventName.keyword:(CreateTrail|UpdateTrail|DeleteTrail|StartLogging|StopLogging)`,
		nil,
		[]string{`{"eventName":"CreateTrail"}`, `{"eventName":"StopLogging"}`},
		"did you mean eventName.keyword:/(CreateTrail|UpdateTrail|DeleteTrail|StartLogging|StopLogging)/?",
	},
	{
		`eventName.keyword:/(Delete|Put|Create|Attach|Detach)(Group|Role|User)?Policy(Version)?/`,
		[]string{`{"eventName":"DetachRolePolicy"}`, `{"eventName":"CreatePolicyVersion"}`},
		[]string{`{"eventName":"SetDefaultPolicyVersion"}`},
		"",
	},
	{
		`eventName:/(Authorize|Revoke|Create|Delete)SecurityGroup((In|E)gress)?/`,
		[]string{`{"eventName":"AuthorizeSecurityGroupIngress"}`, `{"eventName":"DeleteSecurityGroup"}`},
		[]string{`{"eventName":"DescribeSecurityGroups"}`},
		"",
	},
	{
		`eventName.keyword:/(Create|Delete|Replace)NetworkAcl(Entry|Association)?/`,
		[]string{`{"eventName":"ReplaceNetworkAclAssociation"}`},
		[]string{`{"eventName":"createNetworkAcl"}`},
		"",
	},
	{
		`eventName.keyword:/(Create|Delete|Attach|Detach)Gateway/`,
		nil,
		[]string{`{"eventName":"CreateCustomerGateway"}`, `{"eventName":"AttachInternetGateway"}`},
		"no calls of EC2",
	},
	{
		`eventName.keyword:/(Create|Replace|Delete|Disassociate)Route(Table)?(Association)?/`,
		[]string{`{"eventName":"ReplaceRouteTableAssociation"}`},
		[]string{`{"eventName":"AssociateRouteTable"}`},
		"",
	},
	{
		`eventName.keyword:/(Create|Delete|Accept|Reject|Modify|Attach|Detach|Disable|Enable)(Vpc)?(ClassicLink)?(Vpc)?(Attribute|PeeringConnection)?/`,
		[]string{`{"eventName":"AttachClassicLinkVpc"}`, `{"eventName":"ModifyVpcAttribute"}`, `{"eventName":"Create"}`},
		[]string{`{"eventName":"DescribeVpcs"}`},
		"",
	},
}

func TestCoralogixTable(t *testing.T) {
	if len(coralogixRows) != 19 {
		t.Fatalf("%d rows", len(coralogixRows))
	}
	for i, row := range coralogixRows {
		n, warnings, err := Parse("table", row.query, matcher.Pos{})
		if err != nil {
			t.Errorf("row %d: %v", i+1, err)
			continue
		}
		rule := &matcher.Rule{ID: "r", Enabled: true, Cond: n}
		rs, err := matcher.Compile([]*matcher.Rule{rule}, matcher.Options{Enrich: country{}})
		if err != nil {
			t.Fatal(err)
		}
		if len(rs.Unindexed()) > 0 {
			t.Errorf("row %d has no index", i+1)
		}
		for _, want := range []bool{true, false} {
			events := row.fails
			if want {
				events = row.holds
			}
			for _, event := range events {
				var ev cloudtrail.Event
				ev.Reset([]byte(event))
				hits, _, err := rs.NewMatcher().Match(nil, &ev)
				if err != nil || (len(hits) > 0) != want {
					t.Errorf("row %d: %s: want %t (%v)", i+1, event, want, err)
				}
			}
		}
		said := ""
		for _, w := range warnings {
			said += w.String() + "\n"
		}
		if row.warning == "" && said != "" || !strings.Contains(said, row.warning) {
			t.Errorf("row %d: warnings %q, want %q", i+1, said, row.warning)
		}
	}
}

// names is a Vocabulary.
type names []string

func (n names) KnownEvent(name string) bool {
	for _, have := range n {
		if have == name {
			return true
		}
	}
	return false
}
func (n names) NearestEvent(string) string { return n[0] }

func TestWarnings(t *testing.T) {
	tests := []struct{ query, want string }{
		{`eventName:A OR eventName:B AND eventName:C`, `q:1:1: Lucene does not read this by precedence: eventName:A OR eventName:B AND eventName:C means eventName:B AND eventName:C (eventName:A makes no difference); write brackets to say which is meant`},
		{`eventName:A AND foo`, `q:1:17: foo has no field: it is searched for in all fields`},
		{`eventName:A and eventName:B`, `q:1:13: "and" is a term to search for: the operator is AND`},
		{`eventSource:s3.amazonaws.com`, `q:1:13: "s3.amazonaws.com" is split into the words s3, amazonaws.com, any of which is enough: put it in quotes for all of them, in order`},
		{`eventName:A^2`, `q:1:12: the boost ^2 is ignored: it orders results and changes no verdict`},
		{`eventName.keyword:/^A$/`, `q:1:19: ^ stands for itself: a regular expression of Lucene always matches the whole value and has no anchors`},
		{`errorCode:/\d/`, `q:1:11: \d is the letter d: Lucene has no such class; write [0-9], [a-z]`},
		{`userAgent:*aws-cli*`, `q:1:11: *aws-cli* never matches: on an analysed field it is compared with single words, and no word holds "-"; use a phrase in quotes or the field's .keyword`},
		{`userAgent:/.*aws-cli.*/`, `q:1:11: /.*aws-cli.*/ never matches: on an analysed field it is compared with single words, and no word holds "-"; use a phrase in quotes or the field's .keyword`},
		{`sourceIPAddress:"10.0.0.0/8"`, `q:1:17: 10.0.0.0/8 is taken for a range of addresses, as Elasticsearch takes it where sourceIPAddress is mapped as ip; on a text field it would match nothing`},
		{`sourceIPAddress:[10.0.0.0 TO *]`, `q:1:17: addresses are compared as text here, so that 9.0.0.0 comes after 10.0.0.0: write sourceIPAddress:"10.0.0.0/8" for a range of them`},
		{`eventTime:[2020-01-01 TO 2020-01-31]`, `q:1:11: dates are compared as text, and 2020-01-31T00:00:00Z comes after 2020-01-31: write the time as well`},
		{`eventname:A`, `q:1:1: CloudTrail records have no field "eventname" at their top, so that this matches nothing: did you mean eventName?`},
		{`detail.eventName:A`, `q:1:1: CloudTrail records have no field "detail" at their top, so that this matches nothing: did you mean eventName?`},
		{`invokedBy:x`, `q:1:1: CloudTrail records have no field "invokedBy" at their top, so that this matches nothing: did you mean userIdentity.invokedBy?`},
		{`eventName:A || - eventName:A`, `q:1:16: "-" with white space behind it is a term of its own and no operator: write it right before the clause`},
		{`errorCode:"-" OR eventName:A`, `q:1:11: "-" has no letter and no digit: nothing is left of it on an analysed field, and it is left out`},
		{`eventName.keyword:(A B)`, `q:1:20: on a .keyword field, A B is one value with its spaces, as Lucene and Elasticsearch read it: write OR between values`},
		{`requestParameters.\*:x`, `q:1:1: requestParameters.* stands for many fields: the whole of each event is searched, and no index helps`},
		{`eventName:CreatUser`, `q:1:11: no known event has the name CreatUser: did you mean A?`},
		{`sourceIPAddress_geoip.country_name.keyword:india`, `q:1:44: sourceIPAddress_geoip.country_name.keyword is compared in its case, and names of countries begin with a capital: india never occurs; leave .keyword off or write capitals`},
	}
	for _, tt := range tests {
		_, warnings, err := Parser{Events: names{"A", "B", "C", "CreateUser"}}.Parse("q", tt.query, matcher.Pos{})
		found := err == nil && len(warnings) > 0
		if !found || warnings[0].String() != tt.want {
			t.Errorf("%s\n got %v %v\nwant %s", tt.query, warnings, err, tt.want)
		}
	}
	for _, query := range []string{`eventName:A AND NOT (eventName:B OR eventName:C)`, `eventName:(+A -B)`, `NOT eventName:A`, `eventName:("A" OR "B")`, `userIdentity.arn:"arn:aws:iam::123456789012:user/Bob"`} {
		if _, warnings, err := Parse("q", query, matcher.Pos{}); err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", query, warnings, err)
		}
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ query, want string }{
		{"", "q:1:1: the query is empty: it would match nothing"},
		{" \n ", "q:1:1: the query is empty: it would match nothing"},
		{`a:"x`, "q:1:3: the quote opened here is not closed"},
		{`a:(x OR y`, "q:1:3: the bracket opened here is not closed"},
		{`a:x)`, `q:1:4: ) closes nothing, or follows an operator; write \) or quotes for the character`},
		{"a:x AND\n  b:/x", `q:2:5: the regular expression opened here is not closed; a / in a value needs quotes or a backslash (\/)`},
		{`a:b:c`, `q:1:4: unexpected : after "b": in a value write \: or put the value in quotes`},
		{`a:x~`, "q:1:4: fuzzy search (~) is not available: write the spellings, or a wildcard"},
		{`a:"x y"~2`, `q:1:8: proximity ("…"~N) is not available`},
		{`a:[1 2]`, `q:1:6: expected TO: a range is [from TO to]; write \[ or quotes for the character`},
		{`a:> 5`, "q:1:3: expected a value right behind >, without white space or quotes"},
		{`a:[now-1d TO now]`, "q:1:3: date arithmetic (now-1d) is not available: a rule gives the same answer at any time"},
		{`a.keyword:/<x>/`, `q:1:11: regular expression, character 4: <x>: named automata are not available; write \< for the character`},
		{`a.keyword:/~((a|b){500}c){500}/`, "q:1:11: the expression is too complex: & and ~ make an automaton of it, which grows beyond its bound"},
		{`x_geoip.city_name:Berlin`, "q:1:1: x_geoip.city_name: only the country of an address is known: country_name, country_code or country_code2"},
		{`a..b:x`, `q:1:1: the field "a..b" has an empty part`},
		{`a:-`, `q:1:3: unexpected "-"; in a value write a backslash before it, or quotes around the value`},
		{`a:"-"`, "q:1:1: nothing is left of the query: no term in it has a letter or a digit, so that it would match nothing"},
		{strings.Repeat("(", 100) + "x", "q:1:65: groups nest deeper than 64"},
		{"a:\xff", "q:1:1: the query is not UTF-8"},
	}
	for _, tt := range tests {
		_, _, err := Parse("q", tt.query, matcher.Pos{})
		if err == nil || err.Error() != tt.want {
			t.Errorf("%.40s\n got %v\nwant %s", tt.query, err, tt.want)
		}
	}
}

// TestBeyondClassic are forms that Elasticsearch adds, and values that are no
// strings.
func TestBeyondClassic(t *testing.T) {
	doc := json.RawMessage(`{"n":5,"f":-1,"s":"5","b":true,"e":"","z":null,"l":[],"o":{"k":{"d":[{"x":"Foo"},{"x":"Bar baz"}]}},
		"t":"2020-05-06T07:08:09Z","ip":"10.1.2.3","sourceIPAddress":"10.1.2.3","big":9007199254740993,"v":["a","b"]}`)
	tests := []struct {
		query string
		want  bool
	}{
		{`n:>4`, true},
		{`n:>=5`, true},
		{`n:>5`, false},
		{`n:<10`, true},
		{`n:[4 TO 10]`, true},
		{`n:{5 TO 10]`, false},
		{`n:5`, true},
		{`n:5.0`, true},
		{`n:"5"`, true},
		{`n.keyword:5`, true},
		{`s:<10`, false},
		{`s:[1 TO 6]`, true},
		{`f:1`, false},
		{`f:\-1`, true},
		{`f:[\-2 TO 0]`, true},
		{`b:true`, true},
		{`b:True`, true},
		{`b:false`, false},
		{`b.keyword:true`, true},
		{`b:t*`, true},
		{`n:/[0-9]/`, true},
		{`e:*`, true},
		{`_exists_:e`, true},
		{`_exists_:z`, false},
		{`z:*`, false},
		{`_exists_:l`, false},
		{`_exists_:o`, true},
		{`_exists_:o.k`, true},
		{`_exists_:o.q`, false},
		{`_exists_:"o.k"`, true},
		{`_exists_:(q OR o)`, true},
		{`_exists_:o.\*.x`, true},
		{`o:Foo`, false},
		{`o.k.d.x:bar`, true},
		{`o.k.d.x:"foo bar"`, false},
		{`o.k.d.x:"bar baz"`, true},
		{`o.\*:baz`, true},
		{`o.\*:(zip OR foo)`, true},
		{`q.\*:foo`, false},
		{`o.k.d.x:(foo AND bar)`, true},
		{`o.k.d.x.keyword:"Bar baz"`, true},
		{`o.k.d.x.keyword:Bar`, false},
		{`o.k.d.x.keyword:Bar*`, true},
		{`t:[2020-05 TO 2020-06]`, true},
		{`t:>2020-05-06`, true},
		{`t:<2020-05-06`, false},
		{`t:[2020-05-06T07 TO *}`, true},
		{`sourceIPAddress:"10.0.0.0/8"`, true},
		{`sourceIPAddress:10.0.0.0\/8`, true},
		{`sourceIPAddress:"11.0.0.0/8"`, false},
		{`ip:"10.0.0.0/8"`, false},
		{`big:9007199254740993`, true},
		{`big:9007199254740992`, false},
		{`*`, true},
		{`*:*`, true},
		{`q:*`, false},
		{`*:baz`, true},
		{`baz`, true},
		{`NOT q:x`, true},
		{`v:a AND v:b`, true},
		{`v.keyword:(a OR c)`, true},
		{`n:[* TO *]`, true},
		{`a\:b:x`, false},
		{`-n:5`, false},
	}
	for _, tt := range tests {
		n, _, err := Parse("", tt.query, matcher.Pos{})
		if err != nil {
			t.Errorf("%s: %v", tt.query, err)
			continue
		}
		if got := verdicts(t, n, []json.RawMessage{doc}) == "1"; got != tt.want {
			t.Errorf("%s: got %t", tt.query, got)
		}
	}
}
