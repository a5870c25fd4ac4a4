package matcher

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// TestTokens compares with what Lucene 8.7's StandardAnalyzer makes of texts:
// each line of the file is a text and its tokens.
func TestTokens(t *testing.T) {
	f, err := os.Open("testdata/tokens.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for s := bufio.NewScanner(f); s.Scan(); lines++ {
		var want []string
		if err := json.Unmarshal(s.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		if got := Tokens(want[0]); !slices.Equal(got, want[1:]) {
			t.Errorf("%q: got %q, want %q", want[0], got, want[1:])
		}
	}
	if lines < 500 {
		t.Errorf("only %d texts", lines)
	}
}

// TestCaseDoesNotPartTokens: lower-casing first and segmenting after is the
// same as the other way round.
func TestCaseDoesNotPartTokens(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if l := unicode.ToLower(r); l != r && r >= 0x80 && classOf(r) != classOf(l) {
			t.Errorf("%U is of another class than %U", r, l)
		}
	}
}

// TestTokensDoNotAllocate is what analysed fields cost on events.
func TestTokensDoNotAllocate(t *testing.T) {
	if measure.RaceDetector {
		t.Skip("the race detector makes pools forget")
	}
	ops := []Op{
		AnyToken(Equals(false, "administratoraccess")), AnyToken(Wildcard(false, ParseGlob("admin*", GlobSyntax{}))),
		Phrase("policy", "administratoraccess"), AnyToken(mustRegex(t, ".*admin.*")),
	}
	var e evaluator
	text := []byte("arn:aws:iam::123456789012:policy/AdministratorAccess")
	for _, op := range ops {
		held := false
		if n := testing.AllocsPerRun(20, func() {
			e.lookText(text)
			held = op.eval(&e)
		}); n > 0 {
			t.Errorf("%s: %v allocations", op.words(), n)
		}
		if !held {
			t.Errorf("%s does not hold", op.words())
		}
	}
}

func mustRegex(t testing.TB, expr string) Op {
	t.Helper()
	op, err := Regex(expr, true)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// drawTokenOp draws one of the operators of analysed fields.
func drawTokenOp(t *rapid.T) Op {
	text := rapid.SampledFrom(append([]string{"aa-k", "-1", "1.0", "2020-01-02"}, genTexts...)).Draw(t, "token text")
	switch rapid.IntRange(0, 6).Draw(t, "token op") {
	case 0:
		return AnyToken(Equals(false, Lower(text)))
	case 1:
		return AnyToken(Wildcard(false, ParseGlob(Lower(text)+"*", GlobSyntax{})))
	case 2:
		return Phrase(Tokens(text)...)
	case 3:
		return ForKind(KindMask(rapid.IntRange(0, 63).Draw(t, "kinds")), AnyToken(Equals(false, Lower(text))))
	case 4:
		op, _ := NumberText(Relation(rapid.IntRange(0, 5).Draw(t, "rel")), "1")
		return op
	case 5:
		return DateOr(CompareText(GE, text), AnyToken(CompareText(LE, text)))
	default:
		// An even number of a and A, and nothing else.
		return MatchAutomaton("even", Automaton{
			Bounds: []rune{'A', 'B', 'a', 'b'}, Accept: []bool{true, false},
			Next: [][]int32{{-1, 1, -1, 1, -1}, {-1, 0, -1, 0, -1}},
		})
	}
}

func TestOperatorsOfAnalysedFields(t *testing.T) {
	number := func(rel Relation, s string) Op {
		op, ok := NumberText(rel, s)
		if !ok {
			t.Fatal(s)
		}
		return op
	}
	tests := []struct {
		op   Op
		json string
		want bool
	}{
		{AnyToken(Equals(false, "bar")), `"foo-BAR"`, true},
		{AnyToken(Equals(false, "foo-bar")), `"foo-BAR"`, false},
		{AnyToken(Equals(false, "ba")), `"foo-BAR"`, false},
		{Phrase("foo", "bar"), `"x Foo/Bar y"`, true},
		{Phrase("foo", "bar"), `"bar foo"`, false},
		{Phrase("foo", "bar"), `"foo x bar"`, false},
		{Phrase(), `"foo"`, false},
		{Phrase("a", "a", "b"), `"a a a b"`, true},
		{AnyToken(Equals(false, "1")), `-1`, true},
		{ForKind(KindString, AnyToken(Equals(false, "1"))), `-1`, false},
		{ForKind(KindString, AnyToken(Equals(false, "1"))), `"-1"`, true},
		{number(EQ, "1"), `1.0`, true},
		{number(EQ, "1"), `"1"`, false},
		{number(GT, "1"), `9007199254740993`, true},
		{DateOr(CompareText(GE, "2021"), IsNull()), `"2021-05-06T07:08:09Z"`, true},
		{DateOr(CompareText(GE, "2021"), IsNull()), `"2021-05-6"`, false},
		{HasValue(), `{"a":[null,{"b":{}}]}`, false},
		{HasValue(), `{"a":[null,{"b":""}]}`, true},
		{HasValue(), `[]`, false},
		{HasValue(), `[null]`, false},
		{HasValue(), `[0]`, true},
		{HasValue(), `null`, false},
		{MatchAutomaton("", Automaton{Bounds: []rune{'é', 'ê'}, Next: [][]int32{{0, 1, -1}, {-1, -1, -1}}, Accept: []bool{false, true}}), `"abcé"`, true},
		{MatchAutomaton("", Automaton{Bounds: []rune{'é', 'ê'}, Next: [][]int32{{0, 1, -1}, {-1, -1, -1}}, Accept: []bool{false, true}}), `"abcêé"`, false},
	}
	for _, tt := range tests {
		n := &Field{Path: Keys("f"), Leaf: Leaf{Op: tt.op, AsText: TextNumbers | TextBools}}
		var ev cloudtrail.Event
		ev.Reset([]byte(`{"f":` + tt.json + `}`))
		v, err := ev.Parse()
		if err != nil {
			t.Fatal(err)
		}
		var e evaluator
		if got := n.eval(&e, v); got != tt.want {
			t.Errorf("%s on %s: got %t", tt.op.words(), tt.json, got)
		}
	}
}

func TestFieldsLike(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		want    bool
	}{
		{"a.*", true}, {"a.b.c", true}, {"*.c", true}, {"a.b", false}, {"b.*", false}, {"a.b.?", true}, {"*", true},
	} {
		n := NewFieldsLike(ParseGlob(tt.pattern, GlobSyntax{Question: true}), Leaf{Op: Equals(false, "x")}, Note{})
		var ev cloudtrail.Event
		ev.Reset([]byte(`{"a":{"b":[{"d":1},{"c":"x"}]},"b":{"c":"y"}}`))
		v, err := ev.Parse()
		if err != nil {
			t.Fatal(err)
		}
		var e evaluator
		if got := n.eval(&e, v); got != tt.want {
			t.Errorf("%s: got %t", tt.pattern, got)
		}
	}
}
