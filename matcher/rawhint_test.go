package matcher

import (
	"testing"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

func TestRawHint(t *testing.T) {
	node := &Keyword{Leaf: Leaf{Op: AnyToken(Equals(false, "kid"))}}
	rs, err := Compile([]*Rule{{ID: "r", Enabled: true, Cond: &RawHint{Node: node, Words: []string{"kid"}}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := rs.NewMatcher()
	for event, want := range map[string]bool{
		`{"a":"the KiD"}`: true, `{"a":"kidney"}`: false, `{"a":"\u004bid"}`: true, "{\"a\":\"\u212aid\"}": true,
		"{\"a\":\"k\u0130d\"}": true, `{"a":"ki","b":"id"}`: false, `{"kid":1}`: false, `{"a":["x",{"b":"kid"}]}`: true,
	} {
		var ev cloudtrail.Event
		ev.Reset([]byte(event))
		if hits, _, err := m.Match(nil, &ev); err != nil || len(hits) > 0 != want {
			t.Errorf("%s: want %t (%v)", event, want, err)
		}
	}
}
