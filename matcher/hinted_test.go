package matcher

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

func TestFoldBytesIsFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s []byte
		for range rapid.IntRange(0, 20).Draw(t, "parts") {
			s = append(s, rapid.SampledFrom([]string{"a", "Zz", "{@`[", "é", "\u212a", "\xff", "\xe2\x84", "abcdefgh", "\x7f\x00"}).Draw(t, "part")...)
		}
		if got, want := appendFoldBytes(nil, s), appendFold(nil, s); !bytes.Equal(got, want) {
			t.Fatalf("%q: %q, want %q", s, got, want)
		}
	})
}

func TestPlainPiece(t *testing.T) {
	for text, want := range map[string]string{
		"abc": "abc", `a"bcd`: "bcd", `abc\d`: "abc", "": "", `":"`: "", "a b": "a b", "a\nbc,d": "bc", "é:x": "é",
	} {
		if got := PlainPiece(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestHintsChangeNothing: a search for a text holds alike with its hint and
// without, however the event escapes it.
func TestHintsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rules []*Rule
		for i := range 6 {
			text := rapid.SampledFrom([]string{"Aa", "a", `a"b`, "k", "ß", "é", "1", "/", `"eventName"`, "e5", "u00", "1,", "b\"", " ", "ab", "n"}).Draw(t, "text")
			fold := rapid.Bool().Draw(t, "fold")
			plain := &Keyword{Leaf: Leaf{Op: Contains(fold, text), AsText: TextNumbers}, Document: true}
			hinted := NewHinted(plain, PlainPiece(text))
			if fold && i%2 == 0 {
				hinted = NewAnyText(plain, text)
			}
			rules = append(rules, rule(string(rune('a'+i)), plain), rule(string(rune('A'+i)), hinted))
		}
		rs, err := Compile(rules, Options{})
		if err != nil {
			t.Fatal(err)
		}
		raw := drawEvent(t)
		if rapid.Bool().Draw(t, "escapes") {
			raw = rapid.SampledFrom([]string{`{"x":"\/"}`, `{"x":"\u0061a"}`, `{"x":"a\"b\\"}`, `{"\u0061":"\b"}`, `{"x":"a\nb" , "y": [1, 2]}`, `{"x":"\u212a"}`}).Draw(t, "event")
		}
		var ev cloudtrail.Event
		ev.Reset([]byte(raw))
		hits, _, err := rs.NewMatcher().Match(nil, &ev)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		held := map[string]bool{}
		for _, h := range hits {
			held[h.Rule.ID] = true
		}
		for i := range 6 {
			if lower, upper := string(rune('a'+i)), string(rune('A'+i)); held[lower] != held[upper] {
				t.Fatalf("%s: %s holds %t, hinted %t", raw, rs.Rule(lower).Cond.canon(nil), held[lower], held[upper])
			}
		}
	})
}
