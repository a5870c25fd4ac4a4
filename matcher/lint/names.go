package lint

import (
	"encoding/json"
	"iter"
	"slices"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

const (
	eventName   = "eventName"
	eventSource = "eventSource"
)

// unknownEvent says why no known event source has a known event that satisfies
// the tests of both fields.
func (c *checker) unknownEvent(names, sources scope) *reason {
	var known, from []string
	named := len(names) > 0 && !c.holds(names, "{}")
	sourced := len(sources) > 0 && !c.holds(sources, "{}")
	if sourced {
		texts, finite := domain(sources, false)
		if from = c.sourcesOf(sources, texts, finite); len(from) == 0 {
			return c.noSource(sources, texts, finite)
		}
	}
	// An event source of which nobody lists the events may have any.
	if slices.ContainsFunc(from, c.words.Open) {
		return nil
	}
	if !named {
		return nil
	}
	texts, finite := domain(names, true)
	ofThem := func(name string) bool { // one such name is enough
		return !sourced || slices.ContainsFunc(c.words.Sources(name), func(source string) bool { return slices.Contains(from, source) })
	}
	if !finite {
		if known = c.satisfying(names, eventName, c.words.Events(), ofThem); len(known) > 0 && ofThem(known[len(known)-1]) {
			return nil
		}
	} else {
		known = c.namesOf(names, texts)
	}
	if len(known) == 0 {
		return c.noName(names, texts, finite, from)
	}
	if !sourced {
		if finite {
			return c.partial(names, texts, known)
		}
		return nil
	}
	if slices.ContainsFunc(known, ofThem) {
		return nil
	}
	if len(from) > 3 {
		from = from[:3]
	}
	near := c.words.NearestIn(from[0], known[0])
	elsewhere := c.words.Sources(known[0])
	hint := meant(near)
	if near == "" {
		hint = "; " + clip(strings.Join(elsewhere[:min(3, len(elsewhere))], ", ")) + " has it"
	}
	return &reason{
		pos: firstPositive(names).node.Note.Pos, kind: NotOfSource,
		msg: "can never match: " + strings.Join(from, ", ") + " has no event " + clip(strings.Join(known[:min(5, len(known))], ", ")) + hint,
	}
}

// sourcesOf returns the known event sources that satisfy the tests. Where texts
// are all that do, only those are looked at.
func (c *checker) sourcesOf(tests scope, texts []string, finite bool) []string {
	if !finite || slices.ContainsFunc(tests, func(t literal) bool { return matcher.IgnoresCase(t.node.Op) }) {
		return c.satisfying(tests, eventSource, slices.Values(c.words.EventSources()), nil)
	}
	var out []string
	for _, text := range texts {
		if c.words.KnownSource(text) && c.holds(tests, quoted(eventSource, text)) {
			out = append(out, text)
		}
	}
	return out
}

// namesOf returns the known event names that satisfy the tests, when texts are
// all that do.
func (c *checker) namesOf(tests scope, texts []string) []string {
	var out []string
	for _, text := range texts {
		like := c.words.EventsLike(text)
		if c.words.KnownEvent(text) && !slices.Contains(like, text) {
			like = append(slices.Clone(like), text)
		}
		for _, name := range like {
			if c.holds(tests, quoted(eventName, name)) {
				out = append(out, name)
			}
		}
	}
	return out
}

// satisfying returns the words that satisfy the tests, and remembers them; it
// stops at one that is enough.
func (c *checker) satisfying(tests scope, field string, words iter.Seq[string], enough func(string) bool) []string {
	var b strings.Builder
	for _, t := range tests {
		if t.negated {
			b.WriteByte('!')
		}
		b.WriteString(matcher.Canonical(t.node))
	}
	key := b.String()
	if out, ok := c.names[key]; ok {
		if i := slices.IndexFunc(out, func(w string) bool { return enough != nil && enough(w) }); i >= 0 {
			return out[:i+1]
		}
		return out
	}
	var out []string
	for word := range words {
		if !c.holds(tests, quoted(field, word)) {
			continue
		}
		if out = append(out, word); enough != nil && enough(word) {
			return out
		}
	}
	c.names[key] = out
	return out
}

// quoted returns an event of one field; word needs no escapes.
func quoted(field, word string) string {
	return `{"` + field + `":"` + word + `"}`
}

func (c *checker) noSource(tests scope, texts []string, finite bool) *reason {
	why := &reason{pos: firstPositive(tests).node.Note.Pos, kind: UnknownSource}
	if !finite {
		why.msg = "can never match: no known event source satisfies the condition on eventSource (" + clip(describe(tests)) + ")"
		return why
	}
	why.msg = "can never match: no known event source is " + list(texts)
	for _, text := range texts {
		if near := c.words.NearestSource(text); near != "" {
			why.msg += meant(near)
			break
		}
	}
	return why
}

func (c *checker) noName(tests scope, texts []string, finite bool, from []string) *reason {
	why := &reason{pos: firstPositive(tests).node.Note.Pos, kind: UnknownEvent}
	if !finite {
		why.msg = "can never match: no known event has a name that satisfies the condition (" + clip(describe(tests)) + ")"
		return why
	}
	for _, text := range texts {
		if c.words.KnownEvent(text) || len(c.words.EventsLike(text)) > 0 && len(tests) > 1 {
			why.kind = Contradiction
			why.msg = "can never match: the conditions on eventName leave no known event: " + clip(describe(tests))
			return why
		}
	}
	why.msg = "can never match: no known event has the name " + list(texts)
	if parts := c.parts(texts, from); len(parts) > 0 {
		why.msg += "; | is a character like any other here: write " + list(parts) + " as a list, or a regular expression between slashes"
		return why
	}
	for _, text := range texts {
		near := ""
		if strings.ContainsFunc(text, notOfWord) {
			continue
		}
		for _, source := range from {
			if near = c.words.NearestIn(source, text); near != "" {
				break
			}
		}
		if near == "" {
			near = c.words.NearestEvent(text)
		}
		if near != "" {
			why.msg += meant(near)
			break
		}
	}
	return why
}

// maxParts bounds how many parts of texts are put together.
const maxParts = 32

// parts returns the known names in texts with bars in them, also those that two
// parts make together; nil if there is no bar or no name. from, if there are
// any, are the event sources that they must be of.
func (c *checker) parts(texts, from []string) []string {
	if !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "|") }) {
		return nil
	}
	var parts, out []string
	for _, text := range texts {
		parts = append(parts, strings.FieldsFunc(text, notOfWord)...)
	}
	known := func(name string) bool {
		return c.words.KnownEvent(name) &&
			(len(from) == 0 || slices.ContainsFunc(from, func(source string) bool { return c.words.KnownIn(source, name) }))
	}
	parts = parts[:min(len(parts), maxParts)]
	for _, head := range parts {
		if known(head) {
			out = append(out, head)
		}
		for _, tail := range parts {
			if known(head + tail) {
				out = append(out, head+tail)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func notOfWord(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// partial tells of names that AWS does not have because a word is missing in
// them: there is no AttachGateway, but AttachInternetGateway and others of one
// service, which has none of the names as they are. That another service happens
// to have some does not help.
func (c *checker) partial(tests scope, texts, known []string) *reason {
	var unknown []string
	for _, text := range texts {
		if !c.words.KnownEvent(text) {
			unknown = append(unknown, text)
		}
	}
	if len(unknown) == 0 || len(texts) < 2 || len(texts) > 64 || len(known) >= len(texts) {
		return nil
	}
	var example []string
	source := ""
	for _, candidate := range c.words.EventSources() {
		if found := c.longer(candidate, texts); len(found) == len(texts) {
			source, example = candidate, found
			break
		}
	}
	if source == "" {
		return nil
	}
	return &reason{
		pos: firstPositive(tests).node.Note.Pos, kind: PartialName,
		msg: "matches no event of " + source + ", whose names have one more word: it has " + strings.Join(example, ", ") +
			", and not " + list(unknown) + "; write the names out, or .* between the words",
	}
}

// longer returns of each text a name of the source that is the text with more
// inside, as long as the source has none of the texts.
func (c *checker) longer(source string, texts []string) []string {
	var out []string
	for _, text := range texts {
		if c.words.KnownIn(source, text) {
			return nil
		}
		i := verb(text)
		if i == 0 {
			return nil
		}
		name := c.words.Between(source, text[:i], text[i:])
		if name == "" {
			return nil
		}
		out = append(out, name)
	}
	return out
}

// verb returns the length of a name's first word, 0 if there is no second.
func verb(name string) int {
	for i := 1; i < len(name); i++ {
		if name[i] >= 'A' && name[i] <= 'Z' {
			return i
		}
	}
	return 0
}

// list shows some of the words.
func list(words []string) string {
	const most = 5
	var b strings.Builder
	for i, w := range words {
		if i == most {
			b.WriteString(", …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		q, err := json.Marshal(clip(w))
		if err != nil {
			continue
		}
		b.Write(q)
	}
	return b.String()
}
