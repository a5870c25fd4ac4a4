package eventbridge

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// tester is what helpers need of a testing.T or a rapid.T.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// compiled is a pattern ready to match.
type compiled struct {
	rules   *matcher.Ruleset
	matcher *matcher.Matcher
	event   cloudtrail.Event
}

func compile(t tester, pattern string, o Options) *compiled {
	t.Helper()
	node, _, err := ParseWith("p.json", []byte(pattern), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, pattern)
	}
	return compileNode(t, node)
}

func compileNode(t tester, node matcher.Node) *compiled {
	t.Helper()
	rs, err := matcher.Compile([]*matcher.Rule{{ID: "r", Enabled: true, Cond: node}}, matcher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &compiled{rules: rs, matcher: rs.NewMatcher()}
}

func (c *compiled) match(t tester, event string) bool {
	t.Helper()
	c.event.Reset([]byte(event))
	hits, _, err := c.matcher.Match(nil, &c.event)
	if err != nil {
		t.Fatalf("%v\n%s", err, event)
	}
	if len(hits) > 0 != c.explain(t, event).Held {
		t.Errorf("Match and Explain differ on %s", event)
	}
	return len(hits) > 0
}

func (c *compiled) explain(t tester, event string) matcher.Explanation {
	t.Helper()
	var ev cloudtrail.Event
	ev.Reset([]byte(event))
	ex, err := matcher.Explain(c.rules.Rule("r"), &ev)
	if err != nil {
		t.Fatal(err)
	}
	return ex
}

type recordedCase struct {
	ID       string
	Pattern  string
	Event    string
	Expected bool
	Valid    bool
	Reason   string
}

func recorded(t *testing.T, name string) []recordedCase {
	t.Helper()
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		t.Skip("TRAILTIDE_TESTDATA is not set: no recorded cases to read")
	}
	f, err := os.Open(filepath.Join(dir, "eventpattern", name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	var out []recordedCase
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var c recordedCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRecordedCases holds the engine to what event-ruler answered.
func TestRecordedCases(t *testing.T) {
	cases := recorded(t, "cases.jsonl")
	if len(cases) < 686 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, c := range cases {
		node, _, err := ParseWith(c.ID, []byte(c.Pattern), Options{Raw: true})
		if err != nil {
			t.Errorf("%v\n%s", err, c.Pattern)
			continue
		}
		if got := compileNode(t, node).match(t, c.Event); got != c.Expected {
			t.Errorf("%s: %t, want %t\npattern: %s\nevent: %s", c.ID, got, c.Expected, c.Pattern, c.Event)
		}
	}
}

// TestRecordedValidity holds the parser to what event-ruler's compiler accepts.
func TestRecordedValidity(t *testing.T) {
	cases := recorded(t, "validity.jsonl")
	if len(cases) < 153 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, c := range cases {
		_, _, err := ParseWith(c.ID, []byte(c.Pattern), Options{Raw: true})
		if (err == nil) != c.Valid {
			t.Errorf("%s: %v, want valid %t (%s)\n%s", c.ID, err, c.Valid, c.Reason, c.Pattern)
		}
		if err != nil {
			t.Logf("%v", err)
		}
	}
}
