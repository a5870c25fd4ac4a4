package matcher

import (
	"math/big"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzGlob: the matcher agrees with a regular expression built from the same
// pattern.
func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{
		{"a*b", "axxb"},
		{"*", ""},
		{"", ""},
		{"a?c*d", "abcxd"},
		{"*ab?*b", "xababcb"},
		{"??", "é1"},
		{"*a?b*", "aaxb"},
		{"a**b?", "abc"},
		{"*?", "é"},
		{"aXa*aXa", "aXa"},
		{"?*?", "x"},
		{"*.*.*", "a.b"},
	} {
		f.Add(seed[0], seed[1], false)
		f.Add(seed[0], seed[1], true)
	}
	f.Fuzz(func(t *testing.T, pattern, text string, fold bool) {
		tokens := ParseGlob(pattern, GlobSyntax{Question: true, Escape: true})
		g := newGlob(fold, tokens)
		subject := text
		if fold {
			subject = Fold(text)
		}
		got := g.match([]byte(subject))
		if !utf8.ValidString(pattern) || !utf8.ValidString(text) || len(pattern) > 200 {
			return // what one character is, is another question there
		}
		var expr strings.Builder
		expr.WriteString(`(?s)\A`)
		for _, tok := range tokens {
			switch tok.Kind {
			case GlobRun:
				expr.WriteString(`.*`)
			case GlobOne:
				expr.WriteString(`.`)
			default:
				lit := tok.Text
				if fold {
					lit = Fold(lit)
				}
				expr.WriteString(regexp.QuoteMeta(lit))
			}
		}
		expr.WriteString(`\z`)
		if want := regexp.MustCompile(expr.String()).MatchString(subject); got != want {
			t.Errorf("glob %q on %q (fold %t) = %t, want %t", pattern, text, fold, got, want)
		}
	})
}

// FuzzExpandRegexp: each text that an expression expands to matches as a
// whole, and a text that matches is among them.
func FuzzExpandRegexp(f *testing.F) {
	for _, seed := range []string{
		"^(Delete|Put)(Group|Role)?Policy(Version)?$", "^a$|b", "[a-c]{1,2}", "(?i)ab", "^^a$$", "a^b", "(a$)?b", "x*", "(|a)b$", "$^", "(?m)^a$", `\Aa\z`, "a{0}b",
	} {
		f.Add(seed, "DeletePolicy", true)
		f.Add(seed, "a", false)
	}
	f.Fuzz(func(t *testing.T, expr, probe string, anchored bool) {
		if len(expr) > 60 || !utf8.ValidString(expr) || !utf8.ValidString(probe) {
			return
		}
		tree, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			return
		}
		texts, fold, ok := ExpandRegexp(tree, anchored, 64)
		if !ok {
			return
		}
		op, err := Regex(expr, anchored)
		if err != nil {
			t.Fatal(err)
		}
		var e evaluator
		listed := false
		for _, text := range texts {
			if !utf8.ValidString(text) {
				return
			}
			if e.lookText([]byte(text)); !op.eval(&e) {
				t.Errorf("%q expands to %q, which it does not match", expr, text)
			}
			listed = listed || text == probe || fold && Fold(text) == Fold(probe)
		}
		if e.lookText([]byte(probe)); op.eval(&e) && !listed {
			t.Errorf("%q (anchored %t) matches %q, which is not in its expansion %q", expr, anchored, probe, texts)
		}
	})
}

// FuzzDecimal: numbers compare as math/big compares them.
func FuzzDecimal(f *testing.F) {
	for _, seed := range [][2]string{
		{"1", "1.0"},
		{"1e2", "100"},
		{"-0", "0"},
		{"0.1", "0.10"},
		{"9007199254740993", "9007199254740992"},
		{"-5", "3"},
		{"1e-3", "0.001"},
		{"00", "0"},
		{"1.", "1"},
		{"-1.5e+2", "-150"},
		{"0e9", "0"},
		{"12300", "1.23e4"},
		{"100", "1.0e1"},
	} {
		f.Add(seed[0], seed[1])
	}
	number := regexp.MustCompile(`\A-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?\z`)
	f.Fuzz(func(t *testing.T, x, y string) {
		a, aok := parseDecimal([]byte(x))
		b, bok := parseDecimal([]byte(y))
		if !number.MatchString(x) || !number.MatchString(y) {
			if big := regexp.MustCompile(`[eE][-+]?[0-9]{4}`); aok && bok && !big.MatchString(x) && !big.MatchString(y) {
				t.Errorf("%q and %q are taken for numbers", x, y)
			}
			return
		}
		if !aok || !bok {
			t.Fatalf("%q, %q: a number is refused", x, y)
		}
		want := rational(t, x).Cmp(rational(t, y))
		if got := a.compare(&b); got != want {
			t.Errorf("compare(%s, %s) = %d, want %d", x, y, got, want)
		}
		if same := string(a.append(nil)) == string(b.append(nil)); same != (want == 0) {
			t.Errorf("%s and %s: canonical forms %s and %s", x, y, a.append(nil), b.append(nil))
		}
	})
}

func rational(t *testing.T, s string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("math/big refuses %q", s)
	}
	return r
}

// FuzzFold: two texts have one fold exactly if strings.EqualFold says so.
func FuzzFold(f *testing.F) {
	for _, seed := range [][2]string{{"Kk", "kK"}, {"ß", "ss"}, {"É", "é"}, {"\u212a", "k"}, {"ſ", "S"}, {"a", "b"}, {"Σς", "σσ"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if !utf8.ValidString(a) || !utf8.ValidString(b) {
			return // EqualFold takes all broken bytes for one character
		}
		if got, want := Fold(a) == Fold(b), strings.EqualFold(a, b); got != want {
			t.Errorf("Fold(%q) == Fold(%q) is %t, want %t", a, b, got, want)
		}
		if Fold(Fold(a)) != Fold(a) {
			t.Errorf("Fold(%q) is not final", a)
		}
	})
}
