package cloudtrail

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func summarize(t *testing.T, doc string) Summary {
	t.Helper()
	e := new(Event)
	e.Reset([]byte(doc))
	v, err := e.Parse()
	if err != nil {
		t.Fatal(err)
	}
	s := Summarize(v)
	e.Reset([]byte(`{"eventName":"XXXXXXXXXXXXXXXXXXXXXXXX"}`))
	if _, err := e.Parse(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSummarize(t *testing.T) {
	for _, tt := range []struct {
		name, doc string
		want      Summary
	}{
		{"sign-in", consoleLogin, Summary{
			EventID: "6d9e9d3c-0000-4000-8000-000000000001", EventName: "ConsoleLogin", EventSource: "signin.amazonaws.com",
			Account: "111122223333", CallerAccount: "111122223333", Region: "eu-central-1",
			User: "arn:aws:iam::111122223333:user/alice", SourceIP: "198.51.100.7",
		}},
		{
			"another account", `{"recipientAccountId":"1","userIdentity":{"type":"AWSAccount","principalId":"AIDAX","accountId":"2"}}`,
			Summary{Account: "1", CallerAccount: "2", User: "AIDAX"},
		},
		{
			"numbers", `{"userIdentity":{"accountId":9007199254740993}}`,
			Summary{Account: "9007199254740993", CallerAccount: "9007199254740993", User: "9007199254740993"},
		},
		{
			"insight", `{"insightDetails":{"eventName":"RunInstances","eventSource":"ec2.amazonaws.com"}}`,
			Summary{EventName: "RunInstances", EventSource: "ec2.amazonaws.com"},
		},
		{"nothing of use", `{"userIdentity":"x","eventName":["x"]}`, Summary{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, summarize(t, tt.doc)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUser(t *testing.T) {
	const issuer = `"sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::1:role/R","userName":"R"}}`
	for id, want := range map[string]string{
		`"type":"Root","arn":"arn:aws:iam::1:root","accountId":"1"`:                    "root",
		`"type":"AWSService","invokedBy":"ec2.amazonaws.com"`:                          "ec2.amazonaws.com",
		`"type":"IAMUser","arn":"arn:aws:iam::1:user/u","userName":"u"`:                "arn:aws:iam::1:user/u",
		`"type":"IAMUser","userName":"u","principalId":"AIDA"`:                         "u",
		`"type":"IAMUser","userName":"HIDDEN_DUE_TO_SECURITY_REASONS","accountId":"1"`: "HIDDEN_DUE_TO_SECURITY_REASONS",
		`"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/R/s",` + issuer:       "arn:aws:sts::1:assumed-role/R/s",
		`"type":"AssumedRole","principalId":"AROA:s",` + issuer:                        "arn:aws:iam::1:role/R/s",
		`"type":"AssumedRole",` + issuer:                                               "arn:aws:iam::1:role/R",
		`"type":"FederatedUser","arn":"arn:aws:sts::1:federated-user/f"`:               "arn:aws:sts::1:federated-user/f",
		`"type":"SAMLUser","principalId":"SAMLUser:x","userName":"j@example.com"`:      "j@example.com",
		`"type":"WebIdentityUser","principalId":"accounts.example.com:app:7"`:          "accounts.example.com:app:7",
		`"type":"IdentityCenterUser","accountId":"1","onBehalfOf":{"userId":"user-7"}`: "user-7",
		`"type":"Directory","userName":"j@example.com"`:                                "j@example.com",
		`"type":"Unknown","principalId":"x","userName":""`:                             "x",
		`"accountId":"1","invokedBy":"s3.amazonaws.com"`:                               "s3.amazonaws.com",
		`"type":"AWSService","principalId":"p"`:                                        "p",
	} {
		if got := summarize(t, `{"userIdentity":{`+id+`}}`).User; got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}
