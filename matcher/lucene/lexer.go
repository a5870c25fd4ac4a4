package lucene

import (
	"strings"
	"unicode/utf8"
)

// kind is a kind of token.
type kind uint8

const (
	tokEnd kind = iota
	tokTerm
	tokPhrase
	tokRegexp
	tokRange
	tokOpen
	tokClose
	tokColon
	tokAnd
	tokOr
	tokNot
	tokPlus
	tokMinus
	tokCaret
	tokTilde
	tokBareOperator // + - ! with white space behind: a term without letters
)

// token is a part of the query, src[start:end].
type token struct {
	kind       kind
	start, end int
	raw        string // of a term, phrase or regexp: what stands between its signs
	wild       bool   // a term with * or ? in it
	lo, hi     bound  // of a range
}

// bound is one end of a range.
type bound struct {
	text      string // raw
	inclusive bool
	quoted    bool
}

// Signs that begin no term, besides white space.
const notInTerm = `!():^[]"{}~\/`

// lex returns the token at or after p.at and goes behind it.
func (p *parser) lex() token {
	p.skipSpace()
	t := token{start: p.at}
	if p.at == len(p.src) {
		t.end = p.at
		return t
	}
	two := p.src[p.at:min(p.at+2, len(p.src))]
	switch c := p.src[p.at]; {
	case c == '(':
		t.kind, p.at = tokOpen, p.at+1
	case c == ')':
		t.kind, p.at = tokClose, p.at+1
	case c == ':':
		t.kind, p.at = tokColon, p.at+1
	case c == '^':
		t.kind, p.at = tokCaret, p.at+1
	case c == '~':
		t.kind, p.at = tokTilde, p.at+1
	case c == '+' || c == '-' || c == '!':
		p.at++
		switch {
		case p.at < len(p.src) && p.spaceAt() > 0:
			t.kind = tokBareOperator
		case c == '+':
			t.kind = tokPlus
		case c == '-':
			t.kind = tokMinus
		default:
			t.kind = tokNot
		}
	case c == '"' || p.typographicAt() > 0:
		p.phrase(&t)
	case c == '/':
		p.regexp(&t)
	case c == '[' || c == '{':
		p.rangeToken(&t)
	case c == ']' || c == '}':
		p.failf(p.at, "%q closes nothing; write \\%c or quotes for the character", c, c)
	default:
		p.term(&t)
		switch raw := t.raw; {
		case raw == "AND" || raw == "&&":
			t.kind = tokAnd
		case raw == "OR" || raw == "||":
			t.kind = tokOr
		case raw == "NOT":
			t.kind = tokNot
		case two == "&&" || two == "||":
			p.warnf(t.start, "%q is one term: white space must stand behind the operator", clip(raw))
		}
	}
	t.end = p.at
	return t
}

func (p *parser) skipSpace() {
	for p.at < len(p.src) {
		n := p.spaceAt()
		if n == 0 {
			return
		}
		if n == 2 {
			p.once("nbsp", p.at, "a no-break space is taken for a space")
		}
		p.at += n
	}
}

// spaceAt returns the length of the white space at p.at, 0 if there is none.
func (p *parser) spaceAt() int {
	if p.at == len(p.src) {
		return 0
	}
	switch p.src[p.at] {
	case ' ', '\t', '\n', '\r':
		return 1
	}
	for _, s := range []string{"\u3000", "\u00a0"} {
		if strings.HasPrefix(p.src[p.at:], s) {
			return len(s)
		}
	}
	return 0
}

// typographicAt returns the length of the typographic quote at p.at, 0 if
// there is none.
func (p *parser) typographicAt() int {
	if p.src[p.at] < utf8.RuneSelf {
		return 0
	}
	switch r, n := utf8.DecodeRuneInString(p.src[p.at:]); r {
	case '“', '”', '„', '‟', '＂', '«', '»':
		return n
	}
	return 0
}

func (p *parser) phrase(t *token) {
	t.kind = tokPhrase
	typographic := p.typographicAt()
	if typographic > 0 {
		p.once("quotes", p.at, "typographic quotes are taken for plain ones (\"…\"); to Lucene they are characters like any other")
	}
	p.at += max(typographic, 1)
	start := p.at
	for p.at < len(p.src) {
		switch n := p.typographicAt(); {
		case p.src[p.at] == '\\':
			p.at++
			if p.at < len(p.src) {
				_, n := utf8.DecodeRuneInString(p.src[p.at:])
				p.at += n
			}
		case p.src[p.at] == '"', n > 0 && typographic > 0:
			t.raw = p.src[start:p.at]
			p.at += max(n, 1)
			return
		default:
			p.at += max(n, 1)
		}
	}
	p.failf(t.start, "the quote opened here is not closed")
}

func (p *parser) regexp(t *token) {
	t.kind = tokRegexp
	p.at++
	start := p.at
	for p.at < len(p.src) {
		switch p.src[p.at] {
		case '\\':
			p.at = min(p.at+2, len(p.src))
		case '/':
			t.raw = p.src[start:p.at]
			p.at++
			return
		default:
			p.at++
		}
	}
	p.failf(t.start, "the regular expression opened here is not closed; a / in a value needs quotes or a backslash (\\/)")
}

// term reads up to a sign that no term has.
func (p *parser) term(t *token) {
	t.kind = tokTerm
	start := p.at
	for p.at < len(p.src) {
		c := p.src[p.at]
		if c == '\\' {
			p.at++
			if p.at == len(p.src) {
				p.failf(p.at-1, "a backslash at the end escapes nothing")
				return
			}
			if n := p.typographicAt(); n > 0 || p.src[p.at] == '"' {
				p.once("escaped quote", p.at-1, `\" is a character of the value, not a quote: without the backslash it would begin a phrase`)
			}
			_, n := utf8.DecodeRuneInString(p.src[p.at:])
			p.at += n
			continue
		}
		if p.spaceAt() > 0 || strings.IndexByte(notInTerm, c) >= 0 || p.typographicAt() > 0 {
			break
		}
		t.wild = t.wild || c == '*' || c == '?'
		p.at++
	}
	t.raw = p.src[start:p.at]
}

// rangeToken reads [a TO b], with braces for ends that do not count.
func (p *parser) rangeToken(t *token) {
	t.kind = tokRange
	t.lo.inclusive = p.src[p.at] == '['
	p.at++
	p.bound(t, &t.lo)
	p.skipSpace()
	if !strings.HasPrefix(p.src[p.at:], "TO") {
		p.failf(p.at, "expected TO: a range is [from TO to]; write \\%c or quotes for the character", p.src[t.start])
		return
	}
	p.at += len("TO")
	if p.spaceAt() == 0 {
		p.failf(p.at, "expected white space after TO")
		return
	}
	p.bound(t, &t.hi)
	p.skipSpace()
	if p.at == len(p.src) || p.src[p.at] != ']' && p.src[p.at] != '}' {
		p.failf(p.at, "expected ] or } to close the range")
		return
	}
	t.hi.inclusive = p.src[p.at] == ']'
	p.at++
}

func (p *parser) bound(t *token, b *bound) {
	p.skipSpace()
	if p.err != nil || p.at == len(p.src) {
		p.failf(p.at, "expected an end of the range opened at character %d", t.start+1)
		return
	}
	if p.src[p.at] == '"' || p.typographicAt() > 0 {
		var q token
		p.phrase(&q)
		b.text, b.quoted = q.raw, true
		return
	}
	start := p.at
	for p.at < len(p.src) && p.spaceAt() == 0 && p.src[p.at] != ']' && p.src[p.at] != '}' {
		p.at++
	}
	if b.text = p.src[start:p.at]; b.text == "" {
		p.failf(start, "expected an end of the range; * leaves it open")
	}
}

// plain resolves the escapes of a raw text.
func (p *parser) plain(at int, raw string) string {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			b.WriteByte(raw[i])
			continue
		}
		if i++; i == len(raw) {
			p.failf(at, "a backslash at the end escapes nothing")
			return ""
		}
		if raw[i] != 'u' {
			b.WriteByte(raw[i])
			continue
		}
		r, ok := hex4(raw[i+1:])
		if !ok {
			p.failf(at, `\u needs four hexadecimal digits; write \\u for a backslash and a u`)
			return ""
		}
		b.WriteRune(r)
		i += 4
	}
	return b.String()
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[:4]) {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
