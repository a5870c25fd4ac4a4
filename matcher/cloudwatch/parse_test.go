package cloudwatch

import (
	"errors"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// engine is a compiled pattern.
type engine struct {
	rule     *matcher.Rule
	matcher  *matcher.Matcher
	warnings []Warning
}

func compile(t testing.TB, pattern string) *engine {
	t.Helper()
	n, warnings, err := Parse("f.yaml", pattern, matcher.Pos{})
	if err != nil {
		t.Fatalf("%s: %v", pattern, err)
	}
	r := &matcher.Rule{ID: "r", Enabled: true, Cond: n}
	rs, err := matcher.Compile([]*matcher.Rule{r}, matcher.Options{})
	if err != nil {
		t.Fatalf("%s: %v", pattern, err)
	}
	return &engine{r, rs.NewMatcher(), warnings}
}

func (e *engine) match(t testing.TB, event string) bool {
	t.Helper()
	var ev cloudtrail.Event
	ev.Reset([]byte(event))
	hits, _, err := e.matcher.Match(nil, &ev)
	if err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	return len(hits) == 1
}

func TestVerdicts(t *testing.T) {
	const yes, no = true, false
	tests := []struct {
		pattern, event string
		want           bool
	}{
		// Precedence, white space, line breaks.
		{`{ $.a = x || $.b = y && $.c = z }`, `{"a":"x"}`, yes},
		{`{ ($.a = x || $.b = y) && $.c = z }`, `{"a":"x"}`, no},
		{"{($.a=x)||($.a=y)}", `{"a":"y"}`, yes},
		{"{$.a=x||$.a=y}", `{"a":"y"}`, yes},
		{"{$.a=x&&$.b=y}", `{"a":"x","b":"y"}`, yes},
		{"{ ($.a\n=\n\tx\n)\n||\r\n(\n$.a = \"y\" ) }\n", `{"a":"y"}`, yes},
		{`{ ((($.a = x))) }`, `{"a":"x"}`, yes},
		// Selectors.
		{`{ $.a.b = x }`, `{"a":{"b":"x"}}`, yes},
		{`{ $.a.b = x }`, `{"a":[{"b":"x"}]}`, no},
		{`{ $.a[0] = x }`, `{"a":["x","y"]}`, yes},
		{`{ $.a[1].b = x }`, `{"a":[{"b":"x"},{"b":"y"}]}`, no},
		{`{ $.a[9] = x }`, `{"a":["x"]}`, no},
		{`{ $.a[*].b = x }`, `{"a":[{"b":"y"},{},{"b":"x"}]}`, yes},
		{`{ $.a[*] = x }`, `{"a":["y","x"]}`, yes},
		{`{ $.a[*] = x }`, `{"a":"x"}`, no},
		{`{ $.* = x }`, `{"a":"y","b":"x"}`, yes},
		{`{ $.a.*.c = x }`, `{"a":{"p":{"c":"y"},"q":{"c":"x"}}}`, yes},
		{`{ $.['a.b'].c = x }`, `{"a.b":{"c":"x"}}`, yes},
		{`{ $.p['a.b'] = x }`, `{"p":{"a.b":"x"}}`, yes},
		{`{ $.p.["it's"] = x }`, `{"p":{"it's":"x"}}`, yes},
		{`{ $.A = x }`, `{"a":"x"}`, no},
		{`{ $.a-b_1 = x }`, `{"a-b_1":"x"}`, yes},
		// Strings: case, wildcards, other types.
		{`{ $.a = X }`, `{"a":"x"}`, no},
		{`{ $.a = "*Operation" }`, `{"a":"UnauthorizedOperation"}`, yes},
		{`{ $.a = "*Operation" }`, `{"a":"UnauthorizedOperation2"}`, no},
		{`{ $.a = AccessDenied* }`, `{"a":"AccessDeniedException"}`, yes},
		{`{ $.a = Ev*ent }`, `{"a":"Ev--ent"}`, yes},
		{`{ $.a = "x?" }`, `{"a":"xy"}`, no},
		{`{ $.a = *.8xlarge }`, `{"a":"m5.8xlarge"}`, yes},
		{`{ $.a = arn:aws:iam::123456789012:user/x@y }`, `{"a":"arn:aws:iam::123456789012:user/x@y"}`, yes},
		{`{ $.a = "say \"hi\" \\ \n" }`, `{"a":"say \"hi\" \\ \\n"}`, yes},
		{`{ $.a = "" }`, `{"a":""}`, yes},
		{`{ $.a = "5" }`, `{"a":5}`, no},
		{`{ $.a = true }`, `{"a":true}`, no},
		{`{ $.a = true }`, `{"a":"true"}`, yes},
		{`{ $.a = null }`, `{"a":null}`, no},
		{`{ $.a != x }`, `{"a":"y"}`, yes},
		{`{ $.a != x }`, `{"a":7}`, yes},
		{`{ $.a != x }`, `{"a":false}`, yes},
		{`{ $.a != x }`, `{}`, no},
		{`{ $.a != x }`, `{"a":null}`, no},
		{`{ $.a != x }`, `{"a":{}}`, no},
		{`{ $.a != x }`, `{"a":["y"]}`, no},
		{`{ $.a != 123.123.* }`, `{"a":"123.123.1.1"}`, no},
		{`{ $.a = * }`, `{"a":5}`, yes},
		{`{ $.a = * }`, `{"a":false}`, yes},
		{`{ $.a = * }`, `{"a":null}`, no},
		{`{ $.a = * }`, `{"a":{}}`, no},
		{`{ $.a = "*" }`, `{"a":5}`, no},
		{`{ $.a != * }`, `{"a":5}`, no},
		// Numbers.
		{`{ $.a = 5 }`, `{"a":5.0}`, yes},
		{`{ $.a = +5e0 }`, `{"a":5}`, yes},
		{`{ $.a = 5 }`, `{"a":"5"}`, yes},
		{`{ $.a = 5 }`, `{"a":"5.0"}`, no},
		{`{ $.a != 5 }`, `{"a":"5"}`, no},
		{`{ $.a != 5 }`, `{"a":"x"}`, yes},
		{`{ $.a != 5 }`, `{"a":5}`, no},
		{`{ $.recipientAccountId = 012345678901 }`, `{"recipientAccountId":"012345678901"}`, yes},
		{`{ $.a = 9007199254740993 }`, `{"a":9007199254740992}`, no},
		{`{ $.a >= -1.5 }`, `{"a":-1.50}`, yes},
		{`{ $.a < 1e3 }`, `{"a":999.9}`, yes},
		{`{ $.a > 5 }`, `{"a":true}`, no},
		{`{ $.a <= 200000000000 }`, `{"a":"123456789012"}`, yes},
		{`{ $.a > 10 }`, `{"a":"9"}`, yes},
		// NULL, TRUE, FALSE, NOT EXISTS.
		{`{ $.a IS NULL }`, `{"a":null}`, yes},
		{`{ $.a IS NULL }`, `{}`, no},
		{`{ $.a NOT EXISTS }`, `{}`, yes},
		{`{ $.a NOT EXISTS }`, `{"a":null}`, no},
		{`{ $.a NOT EXISTS }`, `{"a":[]}`, no},
		{`{ $.a.b NOT EXISTS }`, `{"a":"x"}`, yes},
		{`{ $.a[*].b NOT EXISTS }`, `{"a":[{}]}`, yes},
		{`{ $.a[*].b NOT EXISTS }`, `{"a":[{},{"b":1}]}`, no},
		{`{ $.a IS TRUE }`, `{"a":true}`, yes},
		{`{ $.a IS TRUE }`, `{"a":"true"}`, no},
		{`{ $.a is false }`, `{"a":false}`, yes},
		// Regular expressions.
		{`{ $.a = %Trail% }`, `{"a":"CreateTrailX"}`, yes},
		{`{ $.a = %^[A-Z]{2,3}\d+\.x$% }`, `{"a":"ABC12.x"}`, yes},
		{`{ $.a != %^ab|cd$% }`, `{"a":"xcd"}`, no},
		{`{ $.a = %\x41% }`, `{"a":"bAb"}`, yes},
		{`{ $.a = %5% }`, `{"a":5}`, no},
		// Terms.
		{`ERROR`, `{"a":"an ERROR"}`, yes},
		{`error`, `{"a":"an ERROR"}`, no},
		{`"two words" one`, `{"a":"one two words"}`, yes},
		{`"two words" one`, `{"a":"two words"}`, no},
		{`?A1 ?B1`, `{"a":"B1"}`, yes},
		{`?A1 ?B1`, `{"a":"C1"}`, no},
		{`?A1 B1`, `{"a":"A1"}`, no},
		{`?A1 B1`, `{"a":"B1"}`, yes},
		{`?A1 ?B1 -"C 1"`, `{"a":"A1 C 1"}`, no},
		{`-ERROR`, `{"a":"x"}`, yes},
		{`-ERROR`, `{"a":"ERROR"}`, no},
		{`"\"a\": \"x\""`, `{"a": "x"}`, yes},
		{`"\"a\": \"x\""`, `{"a":"x"}`, no},
		{`%AUTHORI[SZ]ED%`, `{"a":"UNAUTHORIZED"}`, yes},
		{``, `{}`, yes},
		{`""`, `{}`, yes},
	}
	for _, tt := range tests {
		if got := compile(t, tt.pattern).match(t, tt.event); got != tt.want {
			t.Errorf("%s on %s: %t", tt.pattern, tt.event, got)
		}
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ pattern, want string }{
		{`{}`, "1:2: the pattern is empty"},
		{`[ip, user, ..., status=4*]`, "1:1: the space-delimited form"},
		{`{ $.a EXISTS }`, "1:7: there is no EXISTS, only NOT EXISTS: write $.a = *"},
		{`{ $.a IS NOT NULL }`, "1:10: there is no IS NOT: write $.a = *"},
		{`{ $.a IS nothing }`, `1:10: expected NULL, TRUE or FALSE after IS, not "nothing"`},
		{`{ $.a NOT NULL }`, `1:11: expected EXISTS after NOT, not "NULL"`},
		{`{ $.a LIKE x }`, `1:7: expected =, !=, <, <=, >, >=, IS or NOT EXISTS after $.a, not "LIKE"`},
		{`{ $.a == x }`, "1:7: there is no operator =="},
		{`{ NOT $.a = x }`, "1:3: there is no NOT before a condition"},
		{`{ eventName = x }`, "1:3: expected a selector, not \"eventName\": write $.eventName"},
		{`{ $.a = x and $.b = y }`, `1:11: expected && or || or }, not "and": write &&`},
		{`{ $.a = x | $.b = y }`, `1:11: expected && or || or }, not "|": write ||`},
		{`{ $.a = two words }`, `1:13: expected && or || or }, not "words": a value with blanks`},
		{`{ $.a = a,b }`, `1:10: ',' in a value without quotes`},
		{`{ $.a = 'x' }`, "1:9: values stand in double quotes (\"), not in '"},
		{`{ $.a = “x” }`, "1:9: values stand in double quotes (\"), not in “"},
		{`{ $.a = \"x\" }`, `1:9: expected a value, not \"`},
		{`{ $.a = "x }`, "1:9: the quote \" is not closed"},
		{`{ $.a = }`, `1:9: expected a value, not "}"`},
		{`{ $.a > x }`, "1:9: > compares numbers"},
		{`{ $.a > "5" }`, "1:9: > compares numbers"},
		{`{ ($.a = x }`, "1:12: expected ) for the ( at 1:3"},
		{`{ $.a = x) }`, "1:10: a ) that closes nothing"},
		{`{ $.a = x`, "1:10: expected && or || or the closing }"},
		{"{ $.a = x ||\n $.b }", `2:6: expected =, !=`},
		{`{ $.a = x } y`, `1:13: "y" after the closing }`},
		{`{ $ = x }`, "1:3: expected .name or ["},
		{`{ $. = x }`, "1:5: expected a property name"},
		{`{ $.a[x] = x }`, "1:6: expected [0], [*] or ['name']"},
		{`{ $.a[*].b[*] = x }`, "1:11: a selector may hold one *"},
		{`{ $.a[*]=1||$.b[*]=1||$.c[*]=1||$.* = 1 }`, "1:33: more than 3 selectors with a *"},
		{`{ $.a = %(a|b)% }`, "1:10: CloudWatch's regular expressions have no groups"},
		{`{ $.a = %é% }`, "1:10: CloudWatch's regular expressions are ASCII"},
		{`{ $.a = %a b% }`, "1:11: a blank in a regular expression"},
		{`{ $.a = %a!% }`, `1:11: '!' is not supported`},
		{`{ $.a = %\b% }`, `1:10: \b is not supported`},
		{`{ $.a = %[a% }`, "1:10: the [ is not closed"},
		{`{ $.a = %[[:alpha:]]% }`, "1:11: [ inside a character class"},
		{`{ $.a = %a{x}% }`, "1:11: expected {n}"},
		{`{ $.a = %a{2000}% }`, "1:10: error parsing regexp: invalid repeat count"},
		{`{ $.a = %a% || $.a = %b% || $.a = %c% }`, "1:35: more than 2 regular expressions"},
		{`{ $.a = %a`, "1:9: the regular expression is not closed"},
		{`$.a = x`, "1:1: conditions on properties stand in braces: write { $.a = x }"},
		{`two, words`, "1:4: ',' in a term without quotes"},
		{`?`, "1:2: expected a term"},
		{strings.Repeat("(", 2) + "x", `1:1: expected a term`},
		{"{" + strings.Repeat("(", 100), "1:66: parentheses nest deeper than 64"},
		{"{ $.a = x" + strings.Repeat(" || $.a = x", 1100) + "}", "more than 1024 conditions"},
		{strings.Repeat("x", MaxPattern+1), "longer than"},
		{"{ $.a = \xff }", "not UTF-8"},
	}
	for _, tt := range tests {
		_, _, err := Parse("f.yaml", tt.pattern, matcher.Pos{})
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60s: %v\nwant %s", tt.pattern, err, tt.want)
		}
	}
	_, _, err := Parse("f.yaml", "{ $.a EXISTS }", matcher.Pos{Line: 7, Col: 20})
	if err == nil || !strings.HasPrefix(err.Error(), "f.yaml:7:26: ") {
		t.Errorf("place of an error: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct{ pattern, want string }{
		{`{ $.additionalEventData.MFAUsed != "Yes" }`, "1:33: != does not hold where $.additionalEventData.MFAUsed is absent or null"},
		{`{ ($.errorCode != "x") || ($.errorCode NOT EXISTS) }`, ""},
		{`{ $.eventType != "AwsServiceEvent" }`, ""},
		{`{ $.a = Ev*ent }`, `1:9: a * inside "Ev*ent"`},
		{`{ $.a = *ent* }`, ""},
		{`{ $.a = true }`, "matched by IS TRUE"},
		{`{ $.a != * || $.a NOT EXISTS }`, "!= * never holds"},
		{`{ $.requestParameters != "x" || $.requestParameters NOT EXISTS }`, "1:26: $.requestParameters is an object"},
		{`{ $.a[*].b NOT EXISTS }`, "reaches nothing at all"},
		{`?A B`, "1:1: terms with ? are ignored"},
		{``, "matches every event"},
	}
	for _, tt := range tests {
		var got []string
		for _, w := range compile(t, tt.pattern).warnings {
			got = append(got, w.String())
		}
		if all := strings.Join(got, "\n"); tt.want == "" && len(got) > 0 || !strings.Contains(all, tt.want) {
			t.Errorf("%s: %q, want %q", tt.pattern, all, tt.want)
		}
	}
}

func TestExplainSpeaksTheLanguage(t *testing.T) {
	e := compile(t, `{ ($.eventName = ConsoleLogin) && ($.additionalEventData.MFAUsed != "Yes") }`)
	var ev cloudtrail.Event
	ev.Reset([]byte(`{"eventName":"ConsoleLogin","additionalEventData":{"MFAUsed":"Yes"}}`))
	ex, err := matcher.Explain(e.rule, &ev)
	if err != nil || ex.Held || len(ex.Parts) != 2 {
		t.Fatalf("%+v, %v", ex, err)
	}
	if p := ex.Parts[1]; p.Text != `$.additionalEventData.MFAUsed != "Yes"` || p.Held || len(p.Seen) != 1 || p.Seen[0] != `"Yes"` || p.Pos.Col != 36 {
		t.Errorf("%+v", p)
	}
}

// TestNamesAreIndexed: a pattern on names makes no other event a candidate.
func TestNamesAreIndexed(t *testing.T) {
	e := compile(t, `{ ($.eventSource = s3.amazonaws.com) && (($.eventName = PutBucketAcl) || ($.eventName = PutBucketPolicy)) }`)
	for event, want := range map[string]bool{
		`{"eventName":"PutBucketAcl","eventSource":"s3.amazonaws.com"}`: true,
		`{"eventName":"GetObject","eventSource":"s3.amazonaws.com"}`:    false,
	} {
		var ev cloudtrail.Event
		ev.Reset([]byte(event))
		if _, candidate, err := e.matcher.Match(nil, &ev); err != nil || candidate != want {
			t.Errorf("%s: candidate %t, %v", event, candidate, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{ ($.a = "x*") || $.b[0].c != 5 && $.d.* IS NULL }`, `{ $.a = %^[a-c]{1,2}\d|x$% }`, `?A -"b c" %x%`, `{$.['a.b'][*] NOT EXISTS}`,
		"{ $.a\n>= -1e5}", `[a, b]`, `{ $.a = “x” }`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, warnings, err := Parse("f", s, matcher.Pos{})
		if (n == nil) == (err == nil) || err != nil && len(warnings) > 0 {
			t.Fatalf("%q: %v, %v, %v", s, n, warnings, err)
		}
		if err == nil {
			compile(t, s).match(t, `{"a":"x","b":[1]}`)
		}
	})
}
