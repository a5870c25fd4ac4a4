package eventbridge

import (
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

// BenchmarkMatch sets a pattern beside the native form of the same condition, on
// an event that both must evaluate.
func BenchmarkMatch(b *testing.B) {
	s, err := native.Loader{}.Parse("n.yaml", []byte(`rules:
  - id: r
    title: R
    severity: low
    match: {eventSource: ec2.amazonaws.com, eventName: {prefix: Run}, userIdentity.type: Root, requestParameters.tags.x: {not: red}}
`))
	if err != nil {
		b.Fatal(err)
	}
	pattern := `{"source": ["aws.ec2"], "detail": {"eventName": [{"prefix": "Run"}], "userIdentity": {"type": ["Root"]}, "requestParameters": {"tags": {"x": [{"anything-but": "red"}]}}}}`
	conds := []struct {
		name string
		node matcher.Node
	}{{"native", s.Rules[0].Cond}, {"pattern", nil}, {"either", nil}}
	for i, o := range []Options{{}, {Envelopes: true}} {
		if conds[i+1].node, _, err = ParseWith("p.json", []byte(pattern), o); err != nil {
			b.Fatal(err)
		}
	}
	events := []struct{ name, text string }{
		{"hit", `{"eventVersion":"1.08","userIdentity":{"type":"Root","arn":"arn:aws:iam::111122223333:root"},"eventTime":"2026-01-02T03:04:05Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","awsRegion":"eu-west-1","requestParameters":{"tags":{"x":"blue"}},"eventID":"e-1"}`},
		{"other", `{"eventVersion":"1.08","userIdentity":{"type":"Root","arn":"arn:aws:iam::111122223333:root"},"eventTime":"2026-01-02T03:04:05Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances","awsRegion":"eu-west-1","requestParameters":{"tags":{"x":"blue"}},"eventID":"e-1"}`},
	}
	for _, e := range events {
		for _, cond := range conds {
			b.Run(e.name+"/"+cond.name, func(b *testing.B) {
				c := compileNode(b, cond.node)
				var hits []matcher.Hit
				raw := []byte(e.text)
				b.ReportAllocs()
				for b.Loop() {
					c.event.Reset(raw)
					if hits, _, err = c.matcher.Match(hits[:0], &c.event); err != nil {
						b.Fatal(err)
					}
				}
				if len(hits) > 0 != (e.name == "hit") {
					b.Fatalf("%d hits", len(hits))
				}
			})
		}
	}
}
