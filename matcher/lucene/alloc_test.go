package lucene

import (
	"testing"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// TestMatchingDoesNotAllocate: neither a match nor a miss of analysed fields
// costs memory once the buffers have grown.
func TestMatchingDoesNotAllocate(t *testing.T) {
	if measure.RaceDetector {
		t.Skip("the race detector makes pools forget")
	}
	event := []byte(`{"eventName":"AttachUserPolicy","eventSource":"iam.amazonaws.com","userAgent":"aws-cli/2.1 Python/3.8","requestParameters":{"policyArn":"arn:aws:iam::aws:policy/AdministratorAccess","max":5}}`)
	for _, query := range []string{
		`eventName:attachuserpolicy AND requestParameters.policyArn:AdministratorAccess`,
		`eventSource:"iam.amazonaws.com" AND userAgent:("aws-cli" OR boto3)`,
		`eventName:/(attach|detach).*policy/ AND requestParameters.max:[1 TO 9]`,
		`eventName:Attach* AND NOT requestParameters.policyArn:/.*readonly.*/`,
		`eventName.keyword:/Attach.*&~(.*Role.*)/`,
		`requestParameters.\*:AdministratorAccess`,
		`administratoraccess AND NOT _exists_:errorCode`,
	} {
		n, _, err := Parse("", query, matcher.Pos{})
		if err != nil {
			t.Fatal(err)
		}
		rs, err := matcher.Compile([]*matcher.Rule{{ID: "r", Enabled: true, Cond: n}}, matcher.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m := rs.NewMatcher()
		var ev cloudtrail.Event
		var hits []matcher.Hit
		allocs := testing.AllocsPerRun(50, func() {
			ev.Reset(event)
			hits, _, err = m.Match(hits[:0], &ev)
		})
		if err != nil || len(hits) != 1 || allocs > 0 {
			t.Errorf("%s: %d hits, %v allocations, %v", query, len(hits), allocs, err)
		}
	}
}
