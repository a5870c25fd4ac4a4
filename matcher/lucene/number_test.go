package lucene

import (
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// A number in all fields is found in each way of writing it.
func TestNumberInAllFields(t *testing.T) {
	n, _, err := Parse("q", "1000", matcher.Pos{})
	if err != nil {
		t.Fatal(err)
	}
	rs, err := matcher.Compile([]*matcher.Rule{{ID: "q", Enabled: true, Cond: n}}, matcher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := rs.NewMatcher()
	for text, want := range map[string]bool{
		`1000`: true, `1000.0`: true, `1e3`: true, `0.1E+4`: true, `10000e-1`: true, `"1000"`: true, `"a 1000 b"`: true, `[1,1e3]`: true,
		`1001`: false, `1e4`: false, `"1e3"`: false, `"x1000"`: false, `10`: false, `-1000`: false,
	} {
		var ev cloudtrail.Event
		ev.Reset([]byte(`{"eventName":"A","x":{"y": ` + text + `}}`))
		hits, _, err := m.Match(nil, &ev)
		if err != nil || len(hits) == 1 != want {
			t.Errorf("%s: %d hits, %v; want a hit: %t", text, len(hits), err, want)
		}
	}
}
