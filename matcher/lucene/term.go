package lucene

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

func (p *parser) termNode(f *field, t token, note matcher.Note) matcher.Node {
	if f.exists {
		return p.existenceOf(t, note)
	}
	if t.raw == "*" {
		if f.name == "" {
			p.warnf(t.start, "* alone matches every event")
		}
		return f.existence(note)
	}
	p.checkStray(f, t)
	if t.raw[0] == '>' || t.raw[0] == '<' {
		return p.comparison(f, t, note)
	}
	if t.wild {
		return p.wildcardNode(f, t, note)
	}
	if strings.Contains(t.raw, "|") {
		p.pipes = append(p.pipes, t.start)
	}
	text := p.plain(t.start, t.raw)
	if n, ok := p.cidr(f, t.start, text, note); ok {
		return n
	}
	p.checkTexts(f, t.start, []string{text})
	if f.exact {
		return f.node(matcher.Equals(false, text), note)
	}
	tokens := matcher.Tokens(text)
	if len(tokens) == 0 {
		p.warnf(t.start, "%q has no letter and no digit: nothing is left of it on an analysed field, and it is left out", clip(text))
		return nil
	}
	if len(tokens) > 1 && !strings.Contains(text, "|") {
		p.warnf(t.start, "%q is split into the words %s, any of which is enough: put it in quotes for all of them, in order",
			clip(text), clip(strings.Join(tokens, ", ")))
	}
	return hinted(f, tokens, text, f.node(analysed(matcher.AnyToken(matcher.Equals(false, tokens...)), text), note))
}

// hinted keeps a test of many fields from events in which none of words stands.
// Numbers have many spellings, and what is not ASCII none to look for.
func hinted(f *field, words []string, text string, n matcher.Node) matcher.Node {
	if !f.every && f.pattern == nil {
		return n
	}
	_, number := matcher.NumberText(matcher.EQ, text)
	if number && (len(words) != 1 || words[0] != text || text[0] == '0' || strings.Trim(text, "0123456789") != "") {
		return n
	}
	for _, w := range words {
		if strings.ContainsFunc(w, func(r rune) bool { return r >= 0x80 || r == '"' }) {
			return n
		}
	}
	// A number equal to a plain one begins with its digits, or has an exponent.
	return &matcher.RawHint{Node: n, Words: words, Exponents: number}
}

// analysed returns the operator of an analysed field: words judges strings;
// numbers and booleans are one term each, the text.
func analysed(words matcher.Op, text string) matcher.Op {
	words = matcher.ForKind(matcher.KindString, words)
	if text = matcher.Lower(text); text == "true" || text == "false" {
		return matcher.OneOf(words, matcher.ForKind(matcher.KindBool, matcher.Equals(false, text)))
	}
	if number, ok := matcher.NumberText(matcher.EQ, text); ok {
		return matcher.OneOf(words, number)
	}
	return words
}

func (p *parser) existenceOf(t token, note matcher.Note) matcher.Node {
	if t.kind == tokRegexp || t.kind == tokRange {
		p.failf(t.start, "expected the name of a field after _exists_:")
		return nil
	}
	if t.kind == tokTerm && t.wild && t.raw != "*" {
		p.failf(t.start, "%q: in the name of a field write \\* for any run of characters", clip(t.raw))
		return nil
	}
	if t.raw == "*" {
		return &matcher.And{Note: note}
	}
	f := p.named(t.start, t.raw)
	if p.err != nil {
		return nil
	}
	if f.exists {
		p.failf(t.start, "expected the name of a field after _exists_:")
		return nil
	}
	return f.existence(note)
}

// checkStray warns of a term without a field.
func (p *parser) checkStray(f *field, t token) {
	if f.name != "" {
		return
	}
	text := p.src[t.start:t.end]
	switch strings.ToLower(text) {
	case "and", "or", "not":
		p.warnf(t.start, "%q is a term to search for: the operator is %s", text, strings.ToUpper(text))
	default:
		p.warnf(t.start, "%s has no field: it is searched for in all fields", clip(text))
	}
}

func (p *parser) phraseNode(f *field, t token, note matcher.Note) matcher.Node {
	if f.exists {
		return p.existenceOf(t, note)
	}
	p.checkStray(f, t)
	text := p.plain(t.start, t.raw)
	if n, ok := p.cidr(f, t.start, text, note); ok {
		return n
	}
	p.checkTexts(f, t.start, []string{text})
	if f.exact {
		return f.node(matcher.Equals(false, text), note)
	}
	switch tokens := matcher.Tokens(text); len(tokens) {
	case 0:
		p.warnf(t.start, "%q has no letter and no digit: nothing is left of it on an analysed field, and it is left out", clip(text))
		return nil
	case 1:
		return hinted(f, tokens, text, f.node(analysed(matcher.AnyToken(matcher.Equals(false, tokens[0])), text), note))
	default:
		n := f.node(analysed(matcher.Phrase(tokens...), text), note)
		for _, t := range tokens { // each must be there
			n = hinted(f, []string{t}, text, n)
		}
		return n
	}
}

// cidr reads a range of addresses as the value of a field of addresses.
func (p *parser) cidr(f *field, at int, text string, note matcher.Note) (matcher.Node, bool) {
	if !strings.Contains(text, "/") || p.err != nil {
		return nil, false
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || !f.ip {
		return nil, false
	}
	p.warnf(at, "%s is taken for a range of addresses, as Elasticsearch takes it where %s is mapped as ip; on a text field it would match nothing", prefix, f.name)
	return f.node(matcher.CIDR(prefix.Masked()), note), true
}

func (p *parser) wildcardNode(f *field, t token, note matcher.Note) matcher.Node {
	var globs []matcher.GlobToken
	raw := t.raw
	for raw != "" && p.err == nil {
		i := strings.IndexAny(raw, `*?\`)
		switch {
		case i < 0:
			i = len(raw)
		case raw[i] == '\\': // what it escapes is literal
			i = min(i+2, len(raw))
			for i < len(raw) && raw[i]&0xC0 == 0x80 {
				i++
			}
			if raw[i-1] == 'u' {
				i = min(i+4, len(raw))
			}
		case i == 0:
			kind := matcher.GlobRun
			if raw[0] == '?' {
				kind = matcher.GlobOne
			}
			globs = append(globs, matcher.GlobToken{Kind: kind})
			raw = raw[1:]
			continue
		}
		text := p.plain(t.start, raw[:i])
		if !f.exact {
			text = matcher.Lower(text)
			p.checkWord(t.start, p.src[t.start:t.end], text)
		}
		globs = append(globs, matcher.GlobToken{Kind: matcher.GlobLiteral, Text: text})
		raw = raw[i:]
	}
	if p.err != nil {
		return nil
	}
	op := matcher.Wildcard(false, globs)
	if !f.exact {
		op = eachTerm(op)
	}
	n := f.node(op, note)
	for _, g := range globs { // each text must be there
		if g.Text != "" && !strings.ContainsFunc(g.Text, func(r rune) bool { return r == '\\' || r == '/' || r < ' ' }) {
			n = hinted(f, []string{matcher.Lower(g.Text)}, "", n)
		}
	}
	return n
}

// eachTerm judges the words of strings, and numbers and booleans as they are.
func eachTerm(op matcher.Op) matcher.Op {
	return matcher.OneOf(
		matcher.ForKind(matcher.KindString, matcher.AnyToken(op)),
		matcher.ForKind(matcher.KindNumber|matcher.KindBool, op),
	)
}

// checkWord warns of a text that no word holds.
func (p *parser) checkWord(at int, written, text string) {
	if i := strings.IndexFunc(text, partsWords); i >= 0 {
		p.once("word "+written, at, "%s never matches: on an analysed field it is compared with single words, and no word holds %q; use a phrase in quotes or the field's .keyword",
			clip(written), text[i:i+1])
	}
}

// partsWords says that a character is in no token.
func partsWords(r rune) bool {
	inToken := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(`_.:,;'"`, r)
	return r < 0x80 && !inToken
}

// comparison reads >5, >=5, <5 and <=5.
func (p *parser) comparison(f *field, t token, note matcher.Note) matcher.Node {
	raw := t.raw[1:]
	equal := strings.HasPrefix(raw, "=")
	if equal {
		raw = raw[1:]
	}
	switch {
	case raw == "":
		p.failf(t.start, "expected a value right behind %s, without white space or quotes", t.raw)
		return nil
	case t.wild:
		p.failf(t.start, "%s: a wildcard has no order", clip(t.raw))
		return nil
	}
	b := bound{text: raw, inclusive: equal}
	open := bound{text: "*", inclusive: true}
	if t.raw[0] == '>' {
		return p.between(f, t, b, open, note)
	}
	return p.between(f, t, open, b, note)
}

func (p *parser) rangeNode(f *field, t token, note matcher.Note) matcher.Node {
	if f.exists {
		return p.existenceOf(t, note)
	}
	if f.name == "" {
		p.warnf(t.start, "%s has no field: it is searched for in all fields", clip(p.src[t.start:t.end]))
	}
	return p.between(f, t, t.lo, t.hi, note)
}

// between is the test that a value lies between two bounds.
func (p *parser) between(f *field, t token, lo, hi bound, note matcher.Note) matcher.Node {
	var exact, words, numbers []matcher.Op
	numeric := true
	for _, end := range []struct {
		bound
		rel, orEqual matcher.Relation
	}{{lo, matcher.GT, matcher.GE}, {hi, matcher.LT, matcher.LE}} {
		if end.text == "*" && !end.quoted {
			continue
		}
		text := p.plain(t.start, end.text)
		rel := end.rel
		if end.inclusive {
			rel = end.orEqual
		}
		p.checkBound(f, t.start, text, rel)
		exact = append(exact, matcher.CompareText(rel, text))
		words = append(words, matcher.CompareText(rel, matcher.Lower(text)))
		number, ok := matcher.NumberText(rel, text)
		numeric = numeric && ok
		numbers = append(numbers, number)
	}
	if p.err != nil {
		return nil
	}
	if len(exact) == 0 {
		return f.existence(note)
	}
	op := matcher.Every(exact...)
	if !f.exact {
		op = matcher.DateOr(op, matcher.AnyToken(matcher.Every(words...)))
	}
	op = matcher.ForKind(matcher.KindString, op)
	if numeric {
		op = matcher.OneOf(op, matcher.ForKind(matcher.KindNumber, matcher.Every(numbers...)))
	}
	return f.node(op, note)
}

func (p *parser) checkBound(f *field, at int, text string, rel matcher.Relation) {
	switch {
	case strings.HasPrefix(text, "now") || strings.Contains(text, "||"):
		p.failf(at, "date arithmetic (%s) is not available: a rule gives the same answer at any time", clip(text))
	case f.ip && isAddress(text):
		p.warnf(at, "addresses are compared as text here, so that 9.0.0.0 comes after 10.0.0.0: write %s:\"10.0.0.0/8\" for a range of them", f.name)
	case isDay(text) && (rel == matcher.LE || rel == matcher.GT):
		p.warnf(at, "dates are compared as text, and %sT00:00:00Z comes after %s: write the time as well", text, text)
	}
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func isDay(s string) bool {
	if len(s) != len("2006-01-02") || s[4] != '-' || s[7] != '-' {
		return false
	}
	_, err := strconv.Atoi(s[:4] + s[5:7] + s[8:])
	return err == nil
}
