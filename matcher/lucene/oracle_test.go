package lucene

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// stricter are differences that are meant: what is refused although Lucene
// takes it, by a part of the message.
var stricter = []string{
	"fuzzy search", "proximity", "empty part", "nothing is left of the query", "unexpected : after", "expected white space after TO",
}

// TestAgainstLucene compares with what Lucene 8.7 says: the first line of the
// file are documents, each other line is a query and its verdict on each of
// them, or "error". The parser behind it is the classic one with leading
// wildcards allowed and purely negative queries read as Elasticsearch does.
func TestAgainstLucene(t *testing.T) {
	f, err := os.Open("testdata/oracle.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	s.Scan()
	var docs []json.RawMessage
	if err := json.Unmarshal(s.Bytes(), &docs); err != nil {
		t.Fatal(err)
	}
	compared, refused, wrong := 0, 0, 0
	for s.Scan() && wrong < 40 {
		var line [2]string
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		query, want := line[0], line[1]
		n, _, err := Parse("", query, matcher.Pos{})
		got := "error"
		if err == nil {
			got = verdicts(t, n, docs)
		}
		switch {
		case err != nil && meantStricter(err), strings.Contains(query, "*:"):
			refused++ // or, of *, taken for all fields as Elasticsearch does
		case err != nil && want == "error", got == want:
			compared++
		default:
			wrong++
			t.Errorf("%s\n got %s %v\nwant %s", query, got, err, want)
		}
	}
	if compared < 2000 {
		t.Errorf("only %d queries compared, %d refused", compared, refused)
	}
}

func meantStricter(err error) bool {
	for _, s := range stricter {
		if strings.Contains(err.Error(), s) {
			return true
		}
	}
	return false
}

// verdicts says for each document whether n holds, through the index.
func verdicts(t *testing.T, n matcher.Node, docs []json.RawMessage) string {
	t.Helper()
	rs, err := matcher.Compile([]*matcher.Rule{{ID: "r", Enabled: true, Cond: n}}, matcher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := rs.NewMatcher()
	var b strings.Builder
	for _, d := range docs {
		var ev cloudtrail.Event
		ev.Reset(d)
		hits, _, err := m.Match(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteByte("01"[len(hits)])
	}
	return b.String()
}
