package cloudtrail

import (
	"strings"

	"github.com/valyala/fastjson"
)

// Summary is what an alert says about an event, for people. Fields that the
// event does not have are empty.
type Summary struct {
	EventID       string
	EventName     string // of an Insight event: the call that it is about
	EventSource   string // likewise
	Account       string // recipientAccountId, else userIdentity.accountId
	CallerAccount string // userIdentity.accountId
	Region        string // awsRegion
	User          string // who did it, see Summarize
	SourceIP      string // sourceIPAddress; may be a service's name or "AWS Internal"
}

// Summarize reads the summary of a parsed event. Its strings are copies.
//
// User is the first of these that is there: for Root "root" (CallerAccount
// says whose), for AWSService userIdentity.invokedBy; then for every type
// userIdentity.arn (of an assumed role it names role and session), the role's
// own ARN or name with the session's name, userName, the IAM Identity Center
// user's ID, invokedBy, principalId, accountId. A failed sign-in of an unknown
// user has userName HIDDEN_DUE_TO_SECURITY_REASONS, which is kept as it is.
//
// Semantics: AWS CloudTrail userIdentity element.
func Summarize(v *fastjson.Value) Summary {
	insight := v.Get("insightDetails")
	id := v.Get("userIdentity")
	return Summary{
		EventID:       textAt(v, "eventID"),
		EventName:     firstOf(textAt(v, "eventName"), textAt(insight, "eventName")),
		EventSource:   firstOf(textAt(v, "eventSource"), textAt(insight, "eventSource")),
		Account:       firstOf(textAt(v, "recipientAccountId"), textAt(id, "accountId")),
		CallerAccount: textAt(id, "accountId"),
		Region:        textAt(v, "awsRegion"),
		User:          user(id),
		SourceIP:      textAt(v, "sourceIPAddress"),
	}
}

func user(id *fastjson.Value) string {
	switch textAt(id, "type") {
	case "Root":
		return "root"
	case "AWSService":
		if service := textAt(id, "invokedBy"); service != "" {
			return service
		}
	}
	return firstOf(
		textAt(id, "arn"),
		roleSession(id),
		textAt(id, "userName"),
		textAt(id, "onBehalfOf", "userId"),
		textAt(id, "invokedBy"),
		textAt(id, "principalId"),
		textAt(id, "accountId"),
	)
}

// roleSession names a session by the role that issued it. The session's own
// name stands in the principalId, after the role's ID and a colon.
func roleSession(id *fastjson.Value) string {
	issuer := id.Get("sessionContext", "sessionIssuer")
	role := firstOf(textAt(issuer, "arn"), textAt(issuer, "userName"))
	if role == "" {
		return ""
	}
	if _, session, ok := strings.Cut(textAt(id, "principalId"), ":"); ok {
		return role + "/" + session
	}
	return role
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// textAt returns a copy of the string at path, or of a number's JSON text:
// account numbers do occur unquoted.
func textAt(v *fastjson.Value, path ...string) string {
	switch v = v.Get(path...); {
	case v == nil:
		return ""
	case v.Type() == fastjson.TypeString:
		return string(v.GetStringBytes())
	case v.Type() == fastjson.TypeNumber:
		return string(v.MarshalTo(nil))
	}
	return ""
}
