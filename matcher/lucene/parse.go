package lucene

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

// Warning is a remark on a query that is taken all the same.
type Warning = native.Warning

// What a query may be at most.
const (
	MaxLength  = 64 << 10 // bytes
	MaxDepth   = 64       // nesting of groups
	MaxClauses = 4096
	maxWarns   = 100
)

// Vocabulary knows the names of CloudTrail events.
type Vocabulary interface {
	// KnownEvent says whether some service has an event of that name.
	KnownEvent(name string) bool
	// NearestEvent returns the known name that a person may have meant, or "".
	NearestEvent(name string) string
}

// Parser reads queries. The zero Parser is ready.
type Parser struct {
	// Events, if set, lets the parser warn of event names that no service has.
	Events Vocabulary
}

// Parse is Parser.Parse of the zero Parser.
func Parse(file, src string, pos matcher.Pos) (matcher.Node, []Warning, error) {
	return Parser{}.Parse(file, src, pos)
}

// Parse reads a query string. pos is where it begins in the file; without a
// line it is the file's beginning. An error is a *native.Error.
func (o Parser) Parse(file, src string, pos matcher.Pos) (matcher.Node, []Warning, error) {
	if pos.Line == 0 {
		pos.Line, pos.Col = 1, 1
	}
	pos.File = file
	p := &parser{src: src, pos: pos, events: o.Events, told: map[string]bool{}}
	switch {
	case len(src) > MaxLength:
		p.failf(0, "a query of more than %d KiB", MaxLength>>10)
	case !utf8.ValidString(src):
		p.failf(0, "the query is not UTF-8")
	case strings.TrimSpace(src) == "":
		p.failf(0, "the query is empty: it would match nothing")
	}
	var n matcher.Node
	if p.err == nil {
		n = p.all()
	}
	if p.err != nil {
		return nil, p.warnings, p.err
	}
	return n, p.warnings, nil
}

type parser struct {
	src      string
	pos      matcher.Pos
	events   Vocabulary
	at       int   // in src
	tok      token // the one in sight
	depth    int
	clauses  int
	warnings []Warning
	told     map[string]bool
	pipes    []int // where terms with a | in them are
	err      error // the first
	quiet    bool  // looking ahead: nothing is said, and errors go to quietErr
	quietErr error
}

// all reads the whole query.
func (p *parser) all() matcher.Node {
	p.next()
	n := p.query(&field{every: true})
	if p.err == nil && p.tok.kind != tokEnd {
		p.failf(p.tok.start, "%s", p.unexpected())
	}
	if p.err == nil && n == nil {
		p.failf(0, "nothing is left of the query: no term in it has a letter or a digit, so that it would match nothing")
	}
	return n
}

// next brings the next token in sight.
func (p *parser) next() {
	if p.err != nil {
		p.tok = token{start: len(p.src), end: len(p.src)}
		return
	}
	p.tok = p.lex()
	if p.err != nil {
		p.tok = token{start: len(p.src), end: len(p.src)}
	}
}

func (p *parser) unexpected() string {
	switch p.tok.kind {
	case tokEnd:
		return "expected a term, a phrase or a group at the end of the query"
	case tokClose:
		return ") closes nothing, or follows an operator; write \\) or quotes for the character"
	case tokColon:
		return "unexpected : — in a value write \\: or put the value in quotes"
	case tokAnd, tokOr:
		return "expected a term, a phrase or a group before " + p.src[p.tok.start:p.tok.end]
	default:
		return fmt.Sprintf("unexpected %q; in a value write a backslash before it, or quotes around the value", clip(p.src[p.tok.start:p.tok.end]))
	}
}

// query reads clauses up to a closing bracket or the end. It returns nil when
// none of them has a meaning.
func (p *parser) query(f *field) matcher.Node {
	if p.depth++; p.depth > MaxDepth {
		p.failf(p.tok.start, "groups nest deeper than %d", MaxDepth)
		return nil
	}
	defer func() { p.depth-- }()
	start := p.tok.start
	var list clauses
	for first := true; p.err == nil && (first || p.tok.kind != tokEnd && p.tok.kind != tokClose); first = false {
		if p.clauses++; p.clauses > MaxClauses {
			p.failf(p.tok.start, "more than %d clauses", MaxClauses)
			return nil
		}
		if run, ok := p.run(f); ok {
			list.add(run)
			continue
		}
		var c clause
		if !first {
			c.conj = p.conjunction()
		}
		c.mod = p.modifier()
		c.start = p.tok.start
		c.node = p.clause(f)
		c.end = p.endOfLast(c.start)
		list.add(c)
	}
	if p.err != nil {
		return nil
	}
	return p.join(list, start, p.endOfLast(start))
}

// endOfLast returns where the token before the one in sight ended.
func (p *parser) endOfLast(start int) int {
	return max(start, start+len(strings.TrimRight(p.src[start:max(start, p.tok.start)], " \t\r\n")))
}

// run reads terms that only white space parts as the one value that they are
// on an exact field; an analyser would part them again.
// Semantics: Lucene 8 QueryParser, MultiTerm with splitOnWhitespace off, the
// default there and in Elasticsearch.
func (p *parser) run(f *field) (clause, bool) {
	if !f.exact || p.tok.kind != tokTerm || p.tok.wild {
		return clause{}, false
	}
	start, end, at := p.tok.start, p.tok.end, p.at
	quiet := p.quiet
	p.quiet = true
	var after token
	for next := p.lex(); next.kind == tokTerm && !next.wild && p.quietErr == nil; next = after {
		resume := p.at
		after = p.lex()
		switch {
		case p.quietErr != nil, after.kind == tokColon, after.kind == tokTilde, after.kind == tokCaret, after.kind == tokAnd,
			after.kind == tokOr, after.kind == tokTerm && after.raw == "*":
			after = token{}
			continue
		}
		end, at = next.end, resume
	}
	p.quiet, p.quietErr = quiet, nil
	if end == p.tok.end {
		p.at = at
		return clause{}, false
	}
	text := p.src[start:end]
	p.warnf(start, "on a .keyword field, %s is one value with its spaces, as Lucene and Elasticsearch read it: write OR between values", clip(text))
	p.at = at
	p.next()
	n := f.node(matcher.Equals(false, p.plain(start, text)), matcher.Note{Label: clipTo(text, maxLabel), Pos: p.place(start)})
	return clause{node: n, start: start, end: end}, true
}

func (p *parser) conjunction() conjunction {
	switch p.tok.kind {
	case tokAnd:
		p.next()
		return conjAnd
	case tokOr:
		p.next()
		return conjOr
	default:
		return conjNone
	}
}

func (p *parser) modifier() modifier {
	switch kind := p.tok.kind; kind {
	case tokPlus:
		p.next()
		return modRequired
	case tokMinus, tokNot:
		p.next()
		if kind == tokNot {
			return modNot
		}
		return modMinus
	default:
		return modNone
	}
}

// clause reads [field:] and a term, phrase, range or group.
func (p *parser) clause(f *field) matcher.Node {
	start, pipes := p.tok.start, len(p.pipes)
	if p.tok.kind == tokTerm {
		if name := p.tok; p.colonFollows() {
			if f = p.field(name); p.err != nil {
				return nil
			}
			p.next() // the colon
			p.next()
		}
	}
	value := p.tok.start
	if value != start { // the clause names its field
		defer func() { p.checkAlternation(f, pipes, start, value) }()
	}
	if p.tok.kind != tokOpen {
		return p.value(f, start)
	}
	open := p.tok.start
	p.next()
	n := p.query(f)
	if p.err != nil {
		return nil
	}
	if p.tok.kind != tokClose {
		p.failf(open, "the bracket opened here is not closed")
		return nil
	}
	p.next()
	p.boost()
	return n
}

// colonFollows says whether a colon stands behind the term in sight.
func (p *parser) colonFollows() bool {
	at := p.at
	p.skipSpace()
	follows := p.at < len(p.src) && p.src[p.at] == ':'
	p.at = at
	return follows
}

// boost reads ^N, which changes no verdict.
func (p *parser) boost() {
	if p.tok.kind != tokCaret {
		return
	}
	at := p.tok.start
	p.skipSpace()
	rest := p.src[p.at:]
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	if fraction := strings.TrimPrefix(rest[digits:], "."); len(fraction) < len(rest)-digits {
		if n := len(fraction) - len(strings.TrimLeft(fraction, "0123456789")); n > 0 {
			p.at += 1 + n
		}
	}
	if digits == 0 {
		p.failf(at, "expected a number after ^; in a value write \\^ or quotes")
		return
	}
	p.at += digits
	p.warnf(at, "the boost %s is ignored: it orders results and changes no verdict", p.src[at:p.at])
	p.next()
}

// value reads a term, a phrase, a regular expression or a range.
func (p *parser) value(f *field, start int) matcher.Node {
	t := p.tok
	var build func(label matcher.Note) matcher.Node
	switch t.kind {
	case tokTerm:
		build = func(note matcher.Note) matcher.Node { return p.termNode(f, t, note) }
	case tokPhrase:
		build = func(note matcher.Note) matcher.Node { return p.phraseNode(f, t, note) }
	case tokRegexp:
		build = func(note matcher.Note) matcher.Node { return p.regexpNode(f, t, note) }
	case tokRange:
		build = func(note matcher.Note) matcher.Node { return p.rangeNode(f, t, note) }
	case tokBareOperator:
		sign := p.src[t.start:t.end]
		p.warnf(t.start, "%q with white space behind it is a term of its own and no operator: write it right before the clause", sign)
		p.next()
		if f.exact { // Lucene's term holds the space as well
			return f.node(matcher.Equals(false, sign+" "), matcher.Note{Label: sign, Pos: p.place(start)})
		}
		return nil
	default:
		p.failf(t.start, "%s", p.unexpected())
		return nil
	}
	p.next()
	switch {
	case p.tok.kind == tokTilde && t.kind == tokPhrase:
		p.failf(p.tok.start, "proximity (\"…\"~N) is not available")
		return nil
	case p.tok.kind == tokTilde:
		p.failf(p.tok.start, "fuzzy search (~) is not available: write the spellings, or a wildcard")
		return nil
	}
	p.boost()
	if p.err != nil {
		return nil
	}
	if p.tok.kind == tokColon {
		hint := ""
		if t.wild {
			hint = "; in the name of a field write \\*"
		}
		p.failf(p.tok.start, "unexpected : after %q: in a value write \\: or put the value in quotes%s", clip(p.src[t.start:t.end]), hint)
		return nil
	}
	return build(matcher.Note{Label: clipTo(p.src[start:t.end], maxLabel), Pos: p.place(start)})
}

// maxLabel is how much of the query stands for a clause in explanations, in bytes.
const maxLabel = 120

// place returns the position of the byte at.
func (p *parser) place(at int) matcher.Pos {
	pos := p.pos
	before := p.src[:min(at, len(p.src))]
	if i := strings.LastIndexByte(before, '\n'); i >= 0 {
		pos.Line += strings.Count(before, "\n")
		pos.Col = 1
		before = before[i+1:]
	}
	pos.Col += utf8.RuneCountInString(before)
	return pos
}

func (p *parser) failf(at int, format string, args ...any) {
	if p.quiet {
		p.quietErr = errAhead
		return
	}
	if p.err == nil {
		p.err = &native.Error{Pos: p.place(at), Msg: fmt.Sprintf(format, args...)}
	}
}

func (p *parser) warnf(at int, format string, args ...any) {
	if len(p.warnings) < maxWarns && !p.quiet {
		p.warnings = append(p.warnings, Warning{Pos: p.place(at), Msg: fmt.Sprintf(format, args...)})
	}
}

// once is warnf for what is said once a query.
func (p *parser) once(key string, at int, format string, args ...any) {
	if !p.told[key] && !p.quiet {
		p.told[key] = true
		p.warnf(at, format, args...)
	}
}

var errAhead = errors.New("what lies ahead is not right")

func clip(s string) string { return clipTo(s, 60) }

func clipTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
