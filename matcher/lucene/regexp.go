package lucene

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// rekind is a kind of regular expression.
type rekind uint8

const (
	reNone  rekind = iota // matches nothing
	reEmpty               // matches the empty text
	reClass               // one character of ranges
	reConcat
	reUnion
	reInter
	reNot
	reRepeat // least to most times; most < 0: no end
)

// re is a regular expression of Lucene's own syntax.
type re struct {
	kind        rekind
	ranges      []rune // pairs, ascending, apart
	subs        []*re
	least, most int
}

// Bounds of a regular expression.
const (
	maxRegexp      = 1000 // characters, as in Elasticsearch
	maxRegexpDepth = 100
	maxRepeat      = 1000
)

var anyChar = []rune{0, unicode.MaxRune}

// reparser reads a regular expression.
// Semantics: Lucene 8.7 RegExp with all of its operators; ^, $ and \d are not
// among them.
type reparser struct {
	src   []rune
	at    int
	depth int
	// literal are signs that other syntaxes give a meaning.
	literal []string
	special bool // has & or ~
}

func parseRegexp(src string) (*re, *reparser, error) {
	p := &reparser{src: []rune(src)}
	if len(p.src) > maxRegexp {
		return nil, nil, fmt.Errorf("a regular expression of more than %d characters", maxRegexp)
	}
	if len(p.src) == 0 {
		return &re{kind: reEmpty}, p, nil
	}
	x, err := p.union()
	if err == nil && p.at < len(p.src) {
		err = fmt.Errorf("unexpected %q", p.src[p.at])
	}
	if err != nil {
		return nil, nil, fmt.Errorf("regular expression, character %d: %w", p.at+1, err)
	}
	return x, p, nil
}

func (p *reparser) more() bool { return p.at < len(p.src) }

func (p *reparser) peek(set string) bool {
	return p.more() && strings.ContainsRune(set, p.src[p.at])
}

func (p *reparser) take(r rune) bool {
	if p.more() && p.src[p.at] == r {
		p.at++
		return true
	}
	return false
}

func (p *reparser) union() (*re, error) {
	if p.depth++; p.depth > maxRegexpDepth {
		return nil, errors.New("nests too deep")
	}
	defer func() { p.depth-- }()
	return p.list('|', p.inter, alternate)
}

func (p *reparser) inter() (*re, error) {
	return p.list('&', p.concat, func(subs []*re) *re {
		p.special = true
		return &re{kind: reInter, subs: subs}
	})
}

// list reads items with sep between them.
func (p *reparser) list(sep rune, item func() (*re, error), join func([]*re) *re) (*re, error) {
	var subs []*re
	for {
		x, err := item()
		if err != nil {
			return nil, err
		}
		subs = append(subs, x)
		if !p.take(sep) {
			break
		}
	}
	if len(subs) == 1 {
		return subs[0], nil
	}
	return join(subs), nil
}

func (p *reparser) concat() (*re, error) {
	var subs []*re
	for {
		x, err := p.repeat()
		if err != nil {
			return nil, err
		}
		subs = append(subs, x)
		if !p.more() || p.peek(")|&") {
			break
		}
	}
	return concat(subs...), nil
}

func (p *reparser) repeat() (*re, error) {
	x, err := p.complement()
	for err == nil && p.peek("?*+{") {
		p.at++
		switch p.src[p.at-1] {
		case '?':
			x = repeat(x, 0, 1)
		case '*':
			x = repeat(x, 0, -1)
		case '+':
			x = repeat(x, 1, -1)
		default:
			x, err = p.counted(x)
		}
	}
	return x, err
}

// counted reads n}, n,} or n,m}.
func (p *reparser) counted(x *re) (*re, error) {
	least, ok := p.integer()
	most := least
	if ok && p.take(',') {
		if most, ok = p.integer(); !ok {
			most, ok = -1, true
		}
	}
	switch {
	case !ok:
		return nil, errors.New("expected a number after {; write \\{ for the character")
	case !p.take('}'):
		return nil, errors.New("expected }")
	case least > maxRepeat || most > maxRepeat:
		return nil, fmt.Errorf("more than %d repetitions", maxRepeat)
	case most >= 0 && most < least:
		return nil, fmt.Errorf("{%d,%d}: the second number is less than the first", least, most)
	}
	return repeat(x, least, most), nil
}

func (p *reparser) integer() (int, bool) {
	start := p.at
	for p.peek("0123456789") {
		p.at++
	}
	n, err := strconv.Atoi(string(p.src[start:p.at]))
	return n, err == nil
}

func (p *reparser) complement() (*re, error) {
	if p.take('~') {
		if p.depth++; p.depth > maxRegexpDepth {
			return nil, errors.New("nests too deep")
		}
		defer func() { p.depth-- }()
		p.special = true
		x, err := p.complement()
		return &re{kind: reNot, subs: []*re{x}}, err
	}
	if !p.take('[') {
		return p.simple()
	}
	negated := p.take('^')
	var ranges []rune
	for first := true; first || p.more() && !p.peek("]"); first = false {
		lo, err := p.char()
		if err != nil {
			return nil, err
		}
		hi := lo
		if p.take('-') {
			if hi, err = p.char(); err != nil {
				return nil, err
			}
		}
		if hi < lo {
			return nil, fmt.Errorf("[%c-%c]: the range is empty; write \\- for the character", lo, hi)
		}
		ranges = append(ranges, lo, hi)
	}
	if !p.take(']') {
		return nil, errors.New("expected ]")
	}
	ranges = joinRanges(ranges)
	if negated {
		ranges = otherRanges(ranges)
	}
	return &re{kind: reClass, ranges: ranges}, nil
}

func (p *reparser) simple() (*re, error) {
	switch {
	case p.take('.'):
		return &re{kind: reClass, ranges: anyChar}, nil
	case p.take('#'):
		return &re{kind: reNone}, nil
	case p.take('@'):
		return repeat(&re{kind: reClass, ranges: anyChar}, 0, -1), nil
	case p.take('"'):
		start := p.at
		for p.more() && !p.peek(`"`) {
			p.at++
		}
		text := p.src[start:p.at]
		if !p.take('"') {
			return nil, errors.New(`expected "`)
		}
		return literal(text), nil
	case p.take('('):
		if p.take(')') {
			return &re{kind: reEmpty}, nil
		}
		x, err := p.union()
		if err == nil && !p.take(')') {
			err = errors.New("expected )")
		}
		return x, err
	case p.take('<'):
		return p.interval()
	}
	if p.peek("^$") || p.peek(`\`) && p.at+1 < len(p.src) && strings.ContainsRune("dDwWsSbBAz", p.src[p.at+1]) {
		sign := string(p.src[p.at])
		if sign == `\` {
			sign += string(p.src[p.at+1])
		}
		if !slices.Contains(p.literal, sign) {
			p.literal = append(p.literal, sign)
		}
	}
	r, err := p.char()
	return &re{kind: reClass, ranges: []rune{r, r}}, err
}

// char reads one character, which a backslash makes plain.
func (p *reparser) char() (rune, error) {
	p.take('\\')
	if !p.more() {
		return 0, errors.New("unexpected end")
	}
	p.at++
	return p.src[p.at-1], nil
}

func concat(subs ...*re) *re {
	var out []*re
	for _, x := range subs {
		switch x.kind {
		case reNone:
			return x
		case reEmpty:
		case reConcat:
			out = append(out, x.subs...)
		default:
			out = append(out, x)
		}
	}
	switch len(out) {
	case 0:
		return &re{kind: reEmpty}
	case 1:
		return out[0]
	}
	return &re{kind: reConcat, subs: out}
}

func alternate(subs []*re) *re { return &re{kind: reUnion, subs: subs} }

func repeat(x *re, least, most int) *re {
	return &re{kind: reRepeat, subs: []*re{x}, least: least, most: most}
}

func literal(text []rune) *re {
	var subs []*re
	for _, r := range text {
		subs = append(subs, &re{kind: reClass, ranges: []rune{r, r}})
	}
	return concat(subs...)
}

// joinRanges sorts pairs and melts those that touch.
func joinRanges(ranges []rune) []rune {
	type pair struct{ lo, hi rune }
	var pairs []pair
	for i := 0; i < len(ranges); i += 2 {
		pairs = append(pairs, pair{ranges[i], ranges[i+1]})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return int(a.lo - b.lo) })
	var out []rune
	for _, p := range pairs {
		if n := len(out); n > 0 && p.lo <= out[n-1]+1 {
			out[n-1] = max(out[n-1], p.hi)
			continue
		}
		out = append(out, p.lo, p.hi)
	}
	return out
}

func otherRanges(ranges []rune) []rune {
	var out []rune
	next := rune(0)
	for i := 0; i < len(ranges); i += 2 {
		if next < ranges[i] {
			out = append(out, next, ranges[i]-1)
		}
		next = ranges[i+1] + 1
	}
	if next <= unicode.MaxRune {
		out = append(out, next, unicode.MaxRune)
	}
	return out
}
