package lucene

import (
	"encoding/json"
	"testing"

	"github.com/trailtide/trailtide/matcher"
)

// FuzzParse: no query hangs or panics, and what is taken compiles and can be
// evaluated.
func FuzzParse(f *testing.F) {
	for _, row := range coralogixRows {
		f.Add(row.query)
	}
	for _, query := range []string{
		`a:/~(b)&@c<1-9>"d"#./ -b:[a TO "c d"}`, `_exists_:a.\* +(b c) "d e"^2`, `a\u0041:\"x\" AND b.keyword:(x y z)`, `a:>=5 || ! b:*x?y*`, "a:\u201cb\u201d\u00a0c",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		n, _, err := Parse("", query, matcher.Pos{})
		if err != nil || len(matcher.EnrichmentNeeds(n)) > 0 {
			return
		}
		verdicts(t, n, []json.RawMessage{json.RawMessage(`{"a":"b c","eventName":"AttachUserPolicy","n":[1,{"k":null}]}`)})
	})
}
