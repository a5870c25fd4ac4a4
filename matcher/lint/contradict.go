package lint

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// contradiction says of tests of one field why no value, and no lack of one,
// satisfies them together.
func (c *checker) contradiction(tests scope) *reason {
	t := tests[0]
	if len(t.node.Path) == 0 || !plain(t) || c.holds(tests, "{}") {
		return nil
	}
	if why := c.mustLack(tests); why != nil {
		return why
	}
	if !c.words.Scalar(t.path) {
		return nil
	}
	texts, ok := domain(tests, false)
	if !ok {
		return nil
	}
	for _, text := range texts {
		for _, value := range values(text) {
			if c.holds(tests, event(t.node.Path, value)) {
				return nil
			}
		}
	}
	if c.holds(tests, event(t.node.Path, "null")) {
		return nil
	}
	if len(texts) == 0 {
		return &reason{
			pos: t.node.Note.Pos, kind: ExcludedByItself,
			msg: "can never match: no text satisfies the condition on " + t.path + " (" + clip(matcher.OpWords(firstPositive(tests).node.Op)) + ")",
		}
	}
	return &reason{
		pos: firstPositive(tests).node.Note.Pos, kind: Contradiction,
		msg: "can never match: the conditions on " + t.path + " exclude one another: " + describe(tests),
	}
}

// domain returns texts one of which is the field's value if the tests are to
// come true; ok is false when nothing bounds them.
func domain(tests scope, words bool) (texts []string, ok bool) {
	var fold []string
	folds := false
	careless := true // no test tells cases apart
	for _, t := range tests {
		careless = careless && matcher.IgnoresCase(t.node.Op)
		if t.negated || t.node.Absent || t.node.Null == matcher.NullTrue {
			continue
		}
		of, finite := matcher.TextsOf(t.node.Op, words)
		switch {
		case !finite:
		case of.Fold:
			if !folds || len(of.Texts) < len(fold) {
				fold, folds = of.Texts, true
			}
		case !ok || len(of.Texts) < len(texts):
			texts, ok = of.Texts, true
		}
	}
	if !ok && folds && careless {
		return fold, true
	}
	return texts, ok
}

// mustLack says why a field that must not be there must have a value as well.
func (c *checker) mustLack(tests scope) *reason {
	var lack *literal
	for i, t := range tests {
		if t.negated && !t.node.Absent && matcher.AsksPresence(t.node.Op) {
			lack = &tests[i]
		}
	}
	if lack == nil {
		return nil
	}
	for _, t := range tests {
		if t.node.Arrays != lack.node.Arrays {
			return nil
		}
	}
	for _, value := range []string{"null", "[]", "{}"} {
		if c.holds(tests, event(lack.node.Path, value)) {
			return nil
		}
	}
	for _, t := range tests {
		if !t.negated && !c.probe.Holds(t.node, "{}") && !matcher.AsksPresence(t.node.Op) && !textOnly(t) {
			return nil // an op that may see what a test of presence does not
		}
	}
	return &reason{
		pos: lack.node.Note.Pos, kind: Contradiction,
		msg: "can never match: the conditions on " + lack.path + " exclude one another: " + describe(tests),
	}
}

// textOnly says that the test needs a string or a number, not an object.
func textOnly(t literal) bool {
	return t.node.AsText&(matcher.TextObjects|matcher.TextArrays|matcher.TextObjectArrays) == 0
}

// values returns the JSON values whose text is text.
func values(text string) []string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return nil
	}
	out := []string{string(quoted)}
	switch lower := strings.ToLower(text); lower {
	case "true", "false":
		out = append(out, lower)
	default:
		if _, err := strconv.ParseFloat(text, 64); err == nil && json.Valid([]byte(text)) {
			out = append(out, text)
		}
	}
	return out
}

// event returns an event that has the value at a path of keys, and nothing else.
func event(path matcher.Path, value string) string {
	var b strings.Builder
	for _, step := range path {
		key, err := json.Marshal(step.Key)
		if err != nil {
			return "{}"
		}
		b.WriteByte('{')
		b.Write(key)
		b.WriteByte(':')
	}
	b.WriteString(value)
	b.WriteString(strings.Repeat("}", len(path)))
	return b.String()
}

func firstPositive(tests scope) literal {
	for _, t := range tests {
		if !t.negated {
			return t
		}
	}
	return tests[0]
}

// describe says in words what the tests ask for.
func describe(tests scope) string {
	var parts []string
	for _, t := range tests {
		words := clip(matcher.OpWords(t.node.Op))
		if t.negated {
			words = "not (" + words + ")"
		}
		if len(parts) == 4 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, words)
	}
	return strings.Join(parts, "; ")
}
