package cloudtrail

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParsePath(t *testing.T) {
	for s, want := range map[string]Path{
		"eventName":            {"eventName"},
		"userIdentity.arn":     {"userIdentity", "arn"},
		`a."b.c".d`:            {"a", "b.c", "d"},
		`a.b\.c`:               {"a", "b.c"},
		`"a\"b\\c"`:            {`a"b\c`},
		`a\"b`:                 {`a"b`},
		"with space.é":         {"with space", "é"},
		`tags."aws:createdBy"`: {"tags", "aws:createdBy"},
	} {
		got, err := ParsePath(s)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("ParsePath(%s): %v %s", s, err, diff)
		}
	}
	for s, want := range map[string]string{
		"":       `path "": empty key`,
		".":      `path ".": empty key`,
		"a.":     `path "a.": empty key`,
		".a":     `path ".a": empty key`,
		"a..b":   `path "a..b": empty key`,
		`a."".b`: `path "a.\"\".b": empty key`,
		`a\`:     `path "a\\": ends in a backslash`,
		`"a`:     `path "\"a": missing closing quote`,
		`"a"b`:   `path "\"a\"b": "b" after a quoted key`,
		`a"b`:    `path "a\"b": a quote inside a key; write it as \"`,
	} {
		if p, err := ParsePath(s); err == nil || err.Error() != want {
			t.Errorf("ParsePath(%s) = %v, %v; want the error %s", s, p, err, want)
		}
	}
}

func TestPathRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Path(rapid.SliceOfN(rapid.StringMatching(`(?s)[ab."\\é ]{1,6}`), 1, 4).Draw(t, "path"))
		got, err := ParsePath(p.String())
		if diff := cmp.Diff(p, got); err != nil || diff != "" {
			t.Fatalf("%s: %v %s", p, err, diff)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{`a."b.c".d`, `a.b\.c`, `"`, `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil {
			return
		}
		again, err := ParsePath(p.String())
		if diff := cmp.Diff(p, again); err != nil || diff != "" {
			t.Fatalf("%q is written %s: %v %s", p, p, err, diff)
		}
	})
}
