package matcher

import (
	"slices"
	"testing"
)

func TestTextsOf(t *testing.T) {
	re := func(expr string, anchored bool) Op {
		op, err := Regex(expr, anchored)
		if err != nil {
			t.Fatal(err)
		}
		return op
	}
	for _, tt := range []struct {
		op     Op
		words  bool
		want   []string // nil: no end of them
		fold   bool
		listed bool
	}{
		{Equals(false, "b", "a"), false, []string{"a", "b"}, false, true},
		{Equals(true, "a"), false, []string{Fold("a")}, true, true},
		{HasPrefix(false, "a"), false, nil, false, false},
		{re("(a|b)c", true), false, []string{"ac", "bc"}, false, false},
		{re("a", false), false, nil, false, false},
		{Wildcard(false, ParseGlob("ab", GlobSyntax{})), false, []string{"ab"}, false, true},
		{Wildcard(false, ParseGlob("a*", GlobSyntax{})), false, nil, false, false},
		{OneOf(Equals(false, "a"), Equals(false, "b")), false, []string{"a", "b"}, false, true},
		{OneOf(Equals(false, "a"), Exists()), false, nil, false, false},
		{Every(HasPrefix(false, "a"), Equals(false, "ab")), false, []string{"ab"}, false, true},
		{Neither(Equals(false, "a")), false, nil, false, false},
		{AnyToken(Equals(false, "a")), false, nil, false, false},
		{AnyToken(Equals(false, "a")), true, []string{"a"}, true, true},
		{Phrase("a"), true, []string{"a"}, true, true},
		{ForKind(KindString, Equals(false, "a")), false, []string{"a"}, false, true},
	} {
		got, ok := TextsOf(tt.op, tt.words)
		if ok != (tt.want != nil) || ok && (!slices.Equal(got.Texts, tt.want) || got.Fold != tt.fold || got.Listed != tt.listed) {
			t.Errorf("%s (words %t): %+v, %t", tt.op.words(), tt.words, got, ok)
		}
	}
	if got, ok := TextsOf(Phrase("a", "b"), true); !ok || len(got.Texts) > 0 {
		t.Errorf("no word is two: %+v %t", got, ok)
	}
}

func TestSubsetOf(t *testing.T) {
	leaf := func(op Op) *Leaf { return &Leaf{Op: op} }
	absent := &Leaf{Op: Equals(false, "a"), Absent: true}
	for _, tt := range []struct {
		a, b *Leaf
		want bool
	}{
		{leaf(Equals(false, "a")), leaf(Equals(false, "a", "b")), true},
		{leaf(Equals(false, "a", "b")), leaf(Equals(false, "a")), false},
		{leaf(Equals(false, "a")), leaf(Equals(true, "A")), true},
		{leaf(Equals(true, "a")), leaf(Equals(false, "a", "A")), false},
		{leaf(HasPrefix(false, "a")), leaf(HasPrefix(false, "a")), true},
		{leaf(HasPrefix(false, "ab")), leaf(HasPrefix(false, "a")), false},
		{absent, leaf(Equals(false, "a")), false},
	} {
		if got := tt.a.SubsetOf(tt.b); got != tt.want {
			t.Errorf("%s in %s: %t", tt.a.canon(nil), tt.b.canon(nil), got)
		}
	}
}

func TestIndexed(t *testing.T) {
	name := &Field{Path: Keys("eventName"), Leaf: Leaf{Op: Equals(false, "A")}}
	if !Indexed(name) || Indexed(&Not{Node: name}) || Indexed(&Keyword{Leaf: Leaf{Op: Contains(false, "a")}}) {
		t.Error("what the index can serve is told wrongly")
	}
	if DetectionHash(&Rule{ID: "a", Cond: name}) != DetectionHash(&Rule{ID: "b", Cond: name}) {
		t.Error("the ID counts")
	}
}
