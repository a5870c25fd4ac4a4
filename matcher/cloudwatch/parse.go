package cloudwatch

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

// What a pattern may be at most. CloudWatch itself takes 1,024 characters, two
// regular expressions and three wildcard selectors.
const (
	MaxPattern    = 64 << 10 // bytes
	MaxDepth      = 64       // parentheses inside parentheses
	MaxConditions = 1024     // conditions, or terms
	MaxSteps      = 64       // steps of a selector
	MaxRegexes    = 2
	MaxWildcards  = 3 // selectors with a *
)

// Error is that of rule files.
type Error = native.Error

// Warning is that of rule files.
type Warning = native.Warning

// Parse reads a metric filter pattern: the JSON form when it begins with a
// brace, else the plain-term form. src begins at pos, whose File is set to file;
// of a zero pos the first character is line 1, column 1. An error is an *Error.
// Warnings come with a pattern that is usable; their Rule is not set.
func Parse(file, src string, pos matcher.Pos) (matcher.Node, []Warning, error) {
	pos.File = file
	if pos.Line == 0 {
		pos.Line, pos.Col = 1, 1
	}
	p := &parser{src: src, base: pos, exact: true}
	return p.parse()
}

type parser struct {
	src  string
	i    int // of the next byte
	base matcher.Pos
	// exact says that src stands in the file as it is, from base on.
	exact bool

	depth, conditions, regexes, wildcards int

	warnings []Warning
	differs  []differing     // conditions that are false where the property is absent
	covered  map[string]bool // selectors that the pattern tests with NOT EXISTS
}

// differing is a != that an absent property does not satisfy.
type differing struct {
	at       int
	selector string
}

func (p *parser) parse() (matcher.Node, []Warning, error) {
	if len(p.src) > MaxPattern {
		return nil, nil, p.errorf(0, "the pattern is longer than %d bytes", MaxPattern)
	}
	if !utf8.ValidString(p.src) {
		return nil, nil, p.errorf(0, "the pattern is not UTF-8")
	}
	p.covered = map[string]bool{}
	p.space()
	var n matcher.Node
	var err error
	switch rest := p.src[p.i:]; {
	case rest == "" || strings.TrimSpace(rest) == `""`:
		p.warnf(p.i, "the empty pattern matches every event")
		n = &matcher.And{Note: p.note(p.i, len(p.src))}
	case rest[0] == '{':
		n, err = p.json()
	case rest[0] == '[':
		err = p.errorf(p.i, "the space-delimited form [ … ] is for lines of text; CloudTrail events are JSON: write { $.field = value }")
	default:
		n, err = p.terms()
	}
	if err != nil {
		return nil, nil, err
	}
	for _, d := range p.differs {
		if !p.covered[d.selector] {
			p.warnf(d.at, "!= does not hold where %s is absent or null: add \"|| (%s NOT EXISTS)\" to match such events too", d.selector, d.selector)
		}
	}
	return n, p.warnings, nil
}

// pos returns the place of the byte at i.
func (p *parser) pos(i int) matcher.Pos {
	at := p.base
	if !p.exact {
		return at
	}
	before := p.src[:min(i, len(p.src))]
	if lines := strings.Count(before, "\n"); lines > 0 {
		at.Line += lines
		at.Col = 1
		before = before[strings.LastIndexByte(before, '\n')+1:]
	}
	at.Col += utf8.RuneCountInString(before)
	return at
}

func (p *parser) errorf(i int, format string, args ...any) error {
	msg := fmt.Sprintf(format, args...)
	if !p.exact {
		msg = fmt.Sprintf("character %d of the pattern: %s", 1+utf8.RuneCountInString(p.src[:min(i, len(p.src))]), msg)
	}
	return &Error{Pos: p.pos(i), Msg: msg}
}

// maxWarnings bounds what one pattern is warned of.
const maxWarnings = 20

func (p *parser) warnf(i int, format string, args ...any) {
	if len(p.warnings) < maxWarnings {
		p.warnings = append(p.warnings, Warning{Pos: p.pos(i), Msg: fmt.Sprintf(format, args...)})
	}
}

// note is the Note of the node that src[from:to] became.
func (p *parser) note(from, to int) matcher.Note {
	return matcher.Note{Label: strings.TrimSpace(p.src[from:to]), Pos: p.pos(from)}
}

func (p *parser) space() {
	for p.i < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.i]) >= 0 {
		p.i++
	}
}

// take goes over s if it is next.
func (p *parser) take(s string) bool {
	if strings.HasPrefix(p.src[p.i:], s) {
		p.i += len(s)
		return true
	}
	return false
}

// run goes over the characters that are in set, and returns them.
func (p *parser) run(in func(byte) bool) string {
	start := p.i
	for p.i < len(p.src) && in(p.src[p.i]) {
		p.i++
	}
	return p.src[start:p.i]
}

// next quotes what comes, for messages.
func (p *parser) next() string {
	rest := p.src[p.i:]
	if rest == "" {
		return "the end of the pattern"
	}
	word := rest
	if end := strings.IndexAny(rest, " \t\r\n)}"); end > 0 {
		word = rest[:end]
	}
	return "\"" + clip(word) + "\""
}

// clip shortens what a message quotes.
func clip(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:60], "") + "…"
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// countCondition counts one more condition or term.
func (p *parser) countCondition(at int) error {
	if p.conditions++; p.conditions > MaxConditions {
		return p.errorf(at, "more than %d conditions", MaxConditions)
	}
	return nil
}
