package matcher

import (
	"testing"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

func holdsFor(t *testing.T, n Node, event string) bool {
	t.Helper()
	var ev cloudtrail.Event
	ev.Reset([]byte(event))
	v, err := ev.Parse()
	if err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	var e evaluator
	e.begin()
	return n.eval(&e, v)
}

func field(path string, op Op) *Field { return &Field{Path: Dotted(path), Leaf: Leaf{Op: op}} }

func with(f *Field, change func(*Leaf)) *Field {
	change(&f.Leaf)
	return f
}

func is(values ...string) Op { return Equals(false, values...) }

func TestField(t *testing.T) {
	each := func(l *Leaf) { l.Arrays = EachElement }
	whole := func(l *Leaf) { l.Arrays = WholeArray }
	null := func(m NullMode) func(*Leaf) { return func(l *Leaf) { l.Null = m } }
	text := func(m TextMask) func(*Leaf) { return func(l *Leaf) { l.AsText = m } }
	tests := []struct {
		name  string
		node  Node
		event string
		want  bool
	}{
		{"equals", field("a", is("x")), `{"a":"x"}`, true},
		{"case", field("a", is("X")), `{"a":"x"}`, false},
		{"fold", field("a", Equals(true, "K")), `{"a":"\u212a"}`, true},
		{"large set", field("a", is("1", "2", "3", "4", "5", "6", "7", "8", "9", "x")), `{"a":"x"}`, true},
		{"large set, none", field("a", is("1", "2", "3", "4", "5", "6", "7", "8", "9", "x")), `{"a":"y"}`, false},
		{"string is no number", field("a", is("1")), `{"a":1}`, false},
		{"number as text", with(field("a", is("1")), text(TextNumbers)), `{"a":1}`, true},
		{"bool as text", with(field("a", is("true")), text(TextBools)), `{"a":true}`, true},
		{"object is no text", field("a", Contains(false, "b")), `{"a":{"b":1}}`, false},
		{"object as text", with(field("a", Contains(false, `"b":"c"`)), text(TextObjects)), `{"a": {"b" : "c"}}`, true},
		{"array as text", with(field("a", Contains(false, `["b",`)), text(TextArrays)), `{"a": ["b" , "c"]}`, true},
		{"quotes inside text stay escaped", with(field("a", Contains(false, `\"s\"`)), text(TextObjects)), `{"a":{"p":"\"s\""}}`, true},
		{"absent", field("a.b", is("x")), `{"a":"x"}`, false},
		{"absent holds", with(field("a.b", is("x")), func(l *Leaf) { l.Absent = true }), `{"a":"x"}`, true},
		{"not of absent", &Not{Node: field("b", is("x"))}, `{"a":"x"}`, true},
		{"null seen by a text test", field("a", is("x")), `{"a":null}`, false},
		{"null seen by neither", field("a", Neither(is("x"))), `{"a":null}`, true},
		{"null as absent", with(with(field("a", is("x")), null(NullAbsent)), func(l *Leaf) { l.Absent = true }), `{"a":null}`, true},
		{"null false", with(field("a", Neither(is("x"))), null(NullFalse)), `{"a":null}`, false},
		{"null true", with(field("a", is("x")), null(NullTrue)), `{"a":null}`, true},
		{"is null", field("a", IsNull()), `{"a":null}`, true},
		{"is null, absent", field("a", IsNull()), `{}`, false},
		{"exists with null", field("a", Exists()), `{"a":null}`, true},
		{"exists with empty array", field("a", Exists()), `{"a":[]}`, true},
		{"exists, absent", field("a", Exists()), `{"b":1}`, false},
		{"no leaf in an object", field("a", HasLeaf()), `{"a":{"b":1}}`, false},
		{"no leaf in an empty array", field("a", HasLeaf()), `{"a":[]}`, false},
		{"leaf in an array", field("a", HasLeaf()), `{"a":[{},[null]]}`, true},
		{"any element at the end", field("a", is("x")), `{"a":["y","x"]}`, true},
		{"any element on the way", field("a.b", is("x")), `{"a":[{"b":"y"},{"b":["z","x"]}]}`, true},
		{"nested arrays", field("a.b", is("x")), `{"a":[[{"b":"x"}]]}`, true},
		{"each", with(field("a", is("x")), each), `{"a":["x","x"]}`, true},
		{"each, one not", with(field("a", is("x")), each), `{"a":["x","y"]}`, false},
		{"each, an element lacks it", with(field("a.b", is("x")), each), `{"a":[{"b":"x"},{}]}`, false},
		{"each of none", with(field("a", is("x")), each), `{"a":[]}`, false},
		{"whole: no way through an array", with(field("a.b", is("x")), whole), `{"a":[{"b":"x"}]}`, false},
		{"whole at the end", with(field("a", KindIs(KindArray)), whole), `{"a":["x"]}`, true},
		{"neither on an object", field("a", Neither(is("x"))), `{"a":{}}`, true},
		{"objects false", with(field("a", Neither(is("x"))), func(l *Leaf) { l.Objects = ObjectFalse }), `{"a":{}}`, false},
		{"every", field("a", Every(HasPrefix(false, "ab"), HasSuffix(false, "cd"))), `{"a":"abcd"}`, true},
		{"every, same element", field("a", Every(HasPrefix(false, "a"), HasSuffix(false, "d"))), `{"a":["ab","cd"]}`, false},
		{"one of", field("a", OneOf(is("x"), IsBool(true))), `{"a":true}`, true},
		{"bool is not its text", field("a", IsBool(true)), `{"a":"true"}`, false},
		{"first of duplicates", field("a", is("x")), `{"\u0061":"y","a":"x"}`, false},
		{"index", &Field{Path: Path{{Key: "a"}, {Kind: StepIndex, Index: 1}}, Leaf: Leaf{Op: is("x")}}, `{"a":["y","x"]}`, true},
		{"index beyond", &Field{Path: Path{{Key: "a"}, {Kind: StepIndex, Index: 2}}, Leaf: Leaf{Op: is("x")}}, `{"a":["y","x"]}`, false},
		{"elements", &Field{Path: Path{{Key: "a"}, {Kind: StepElements}, {Key: "b"}}, Leaf: Leaf{Op: is("x"), Arrays: WholeArray}}, `{"a":[{"b":"y"},{"b":"x"}]}`, true},
		{"members", &Field{Path: Path{{Key: "a"}, {Kind: StepMembers}}, Leaf: Leaf{Op: is("x")}}, `{"a":{"p":"y","q":"x"}}`, true},
		{"members, later duplicate", &Field{Path: Path{{Key: "a"}, {Kind: StepMembers}}, Leaf: Leaf{Op: is("x")}}, `{"a":{"p":"y","p":"x"}}`, false},
		{"empty and", &And{}, `{}`, true},
		{"empty or", &Or{}, `{}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := holdsFor(t, tt.node, tt.event); got != tt.want {
				t.Errorf("%s on %s = %t, want %t", tt.node.canon(nil), tt.event, got, tt.want)
			}
		})
	}
}

func TestTextOps(t *testing.T) {
	regexOp := func(expr string, anchored bool) Op {
		op, err := Regex(expr, anchored)
		if err != nil {
			t.Fatal(err)
		}
		return op
	}
	cidr := CIDR(mustPrefix(t, "10.1.0.0/16"), mustPrefix(t, "2001:db8::/32"), mustPrefix(t, "::ffff:192.0.2.0/120"))
	glob := func(p string, question bool) Op {
		return Wildcard(true, ParseGlob(p, GlobSyntax{Question: question, Escape: true}))
	}
	tests := []struct {
		op   Op
		text string
		want bool
	}{
		{HasPrefix(true, "x", "arn:"), "ARN:aws", true},
		{HasPrefix(false, "arn:"), "ARN:aws", false},
		{HasSuffix(false, ".com"), "a.com", true},
		{HasSuffix(false, ".com"), "com", false},
		{Contains(false, "mid"), "amidst", true},
		{Contains(true, "MID"), "amidst", true},
		{Contains(false, ""), "", true},
		{CompareText(GE, "b"), "b", true},
		{CompareText(LT, "b"), "b", false},
		{glob("arn:aws:iam::*:user/ci-*", false), "arn:aws:iam::123:USER/ci-7", true},
		{glob("what?", false), "whatx", false},
		{glob("what?", true), "whatx", true},
		{glob(`what\?`, true), "what?", true},
		{glob(`what\?`, true), "whatx", false},
		{regexOp("boto", false), "aws-boto3", true},
		{regexOp("boto", true), "aws-boto3", false},
		{regexOp("a|boto3", true), "boto3", true},
		{regexOp("(?i)BOTO", false), "boto", true},
		{cidr, "10.1.2.3", true},
		{cidr, "10.2.2.3", false},
		{cidr, "::ffff:10.1.2.3", true},
		{cidr, "192.0.2.9", true},
		{cidr, "2001:db8::1", true},
		{cidr, "2001:db8::1%eth0", true},
		{cidr, "10.1.2", false},
		{cidr, "10.1.2.3.4", false},
		{cidr, "10.1.2.", false},
		{cidr, "10.01.2.3", false},
		{cidr, "10.1.2.256", false},
		{cidr, "AWS Internal", false},
		{cidr, "ec2.amazonaws.com", false},
	}
	for _, tt := range tests {
		event := `{"a":` + string(appendJSONString(nil, []byte(tt.text))) + `}`
		if got := holdsFor(t, field("a", tt.op), event); got != tt.want {
			t.Errorf("%q %s = %t, want %t", tt.text, tt.op.words(), got, tt.want)
		}
		if holdsFor(t, field("a", tt.op), `{"a":7}`) {
			t.Errorf("%s holds for a number", tt.op.words())
		}
	}
	for _, expr := range []string{"(", "(?=x)", `a)|(b`} {
		if _, err := Regex(expr, true); err == nil {
			t.Errorf("Regex(%q) is accepted", expr)
		}
	}
}

func TestCompareIsExact(t *testing.T) {
	tests := []struct {
		value   string
		rel     Relation
		operand string
		want    bool
	}{
		{"1", EQ, "1.0", true},
		{"100", EQ, "1e2", true},
		{"9007199254740993", EQ, "9007199254740992", false},
		{"9007199254740993", GT, "9007199254740992", true},
		{"18446744073709551617", GT, "18446744073709551616", true},
		{"0.1", LT, "0.10000000000000000001", true},
		{"-3", LE, "-2", true},
		{"-0.0", EQ, "0", true},
		{"5", NE, "5", false},
		{"5", GE, "6", false},
		{`"5"`, EQ, "5", false},
		{"null", NE, "5", false},
	}
	for _, tt := range tests {
		if got := holdsFor(t, field("a", mustCompare(t, tt.rel, tt.operand)), `{"a":`+tt.value+`}`); got != tt.want {
			t.Errorf("%s %s %s = %t, want %t", tt.value, tt.rel, tt.operand, got, tt.want)
		}
	}
	inString, err := Compare(GT, "4", true)
	if err != nil {
		t.Fatal(err)
	}
	if !holdsFor(t, field("a", inString), `{"a":"5"}`) || holdsFor(t, field("a", inString), `{"a":"five"}`) {
		t.Error("a number in a string is not compared as one")
	}
	if _, err := Compare(EQ, "0x1", false); err == nil {
		t.Error("0x1 is accepted as a number")
	}
}

func TestDeepNodes(t *testing.T) {
	open := &SameElement{Path: Dotted("perms.items"), Node: &And{Nodes: []Node{
		field("port", is("22")), field("ranges.cidr", is("0.0.0.0/0")),
	}}}
	policy := &JSONText{Path: Dotted("p.doc"), Node: &SameElement{Path: Dotted("Statement"), Node: &And{Nodes: []Node{
		field("Effect", is("Allow")), field("Action", is("*")),
	}}}}
	nested := &JSONText{Path: Dotted("a"), Node: &JSONText{Path: Dotted("b"), Node: field("c", is("x"))}}
	tests := []struct {
		name  string
		node  Node
		event string
		want  bool
	}{
		{"same element", open, `{"perms":{"items":[{"port":"22","ranges":[{"cidr":"10.0.0.0/8"},{"cidr":"0.0.0.0/0"}]}]}}`, true},
		{"different elements", open, `{"perms":{"items":[{"port":"22"},{"port":"80","ranges":{"cidr":"0.0.0.0/0"}}]}}`, false},
		{"no array", open, `{"perms":{"items":{"port":"22","ranges":{"cidr":"0.0.0.0/0"}}}}`, true},
		{"absent array", &SameElement{Path: Dotted("x"), Node: &Not{Node: field("a", Exists())}}, `{}`, false},
		{"json text", policy, `{"p":{"doc":"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":[\"s3:*\",\"*\"]}}"}}`, true},
		{"percent-encoded", policy, `{"p":{"doc":"%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22%2A%22%7D%5D%7D"}}`, true},
		{"an object already", policy, `{"p":{"doc":{"Statement":[{"Effect":"Allow","Action":"*"}]}}}`, true},
		{"broken text", policy, `{"p":{"doc":"{\"Statement\":{"}}`, false},
		{"first of duplicates inside", &JSONText{Path: Dotted("a"), Node: field("b", is("x"))}, `{"a":"{\"\\u0062\":\"y\",\"b\":\"x\"}"}`, false},
		{"text inside text", nested, `{"a":"{\"b\":\"{\\\"c\\\":\\\"x\\\"}\"}"}`, true},
		{"two texts of one event", &And{Nodes: []Node{
			&JSONText{Path: Dotted("a"), Node: field("b", is("x"))}, &JSONText{Path: Dotted("c"), Node: field("b", is("y"))},
			&JSONText{Path: Dotted("a"), Node: field("b", is("x"))},
		}}, `{"a":"{\"b\":\"x\"}","c":"{\"b\":\"y\"}"}`, true},
		{"anywhere", &Anywhere{Key: "public", Leaf: Leaf{Op: IsBool(true)}}, `{"a":[{"b":{"public":true}}]}`, true},
		{"anywhere, other value", &Anywhere{Key: "public", Leaf: Leaf{Op: IsBool(true)}}, `{"a":[{"b":{"public":false}}],"true":true}`, false},
		{"anywhere, below a match of the key", &Anywhere{Key: "a", Leaf: Leaf{Op: is("x")}}, `{"a":{"a":"x"}}`, true},
		{"anywhere, later duplicate", &Anywhere{Key: "b", Leaf: Leaf{Op: is("x")}}, `{"a":{},"a":{"b":"x"}}`, false},
		{"keyword", &Keyword{Leaf: Leaf{Op: Contains(true, "ROOT")}}, `{"a":[{"b":"the root user"}]}`, true},
		{"keyword is not a key", &Keyword{Leaf: Leaf{Op: Contains(true, "root")}}, `{"root":1}`, false},
		{"keyword in the document", &Keyword{Document: true, Leaf: Leaf{Op: Contains(true, `"root":1`)}}, `{"root" : 1}`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := holdsFor(t, tt.node, tt.event); got != tt.want {
				t.Errorf("%s = %t, want %t", tt.event, got, tt.want)
			}
		})
	}
}

func TestResponse(t *testing.T) {
	tests := []struct {
		event                          string
		success, failure, unauthorized bool
	}{
		{`{"responseElements":null}`, true, false, false},
		{`{"errorCode":null,"errorMessage":null}`, true, false, false},
		{`{"errorCode":"NoSuchBucket"}`, false, true, false},
		{`{"errorMessage":"oops"}`, false, true, false},
		{`{"responseElements":{"ConsoleLogin":"Failure"}}`, false, true, false},
		{`{"responseElements":{"ConsoleLogin":"Success"}}`, true, false, false},
		{`{"errorCode":"AccessDeniedException"}`, false, true, true},
		{`{"errorCode":"Client.UnauthorizedOperation"}`, false, true, true},
		{`{"errorCode":"Client.unauthorizedAccess"}`, false, true, true},
	}
	for _, tt := range tests {
		for r, want := range map[Response]bool{Success: tt.success, Failure: tt.failure, Unauthorized: tt.unauthorized} {
			if got := holdsFor(t, NewResponse(r, Note{}), tt.event); got != want {
				t.Errorf("response %d of %s = %t, want %t", r, tt.event, got, want)
			}
		}
	}
}
