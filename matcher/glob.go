package matcher

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

// GlobToken is one part of a wildcard pattern.
type GlobToken struct {
	Kind GlobKind
	Text string // of a GlobLiteral
}

// GlobKind says what a GlobToken stands for.
type GlobKind uint8

// The kinds of GlobToken.
const (
	GlobLiteral GlobKind = iota // Text
	GlobRun                     // any run of characters, also none
	GlobOne                     // exactly one character
)

// GlobSyntax says how ParseGlob reads a pattern.
type GlobSyntax struct {
	Question bool // ? stands for one character
	Escape   bool // \ before *, ? or \ makes it a character like any other
}

// ParseGlob splits pattern into tokens. It cannot fail: whatever is not
// special is literal.
func ParseGlob(pattern string, syntax GlobSyntax) []GlobToken {
	var tokens []GlobToken
	var lit []byte
	flush := func() {
		if len(lit) > 0 {
			tokens = append(tokens, GlobToken{Kind: GlobLiteral, Text: string(lit)})
			lit = lit[:0]
		}
	}
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*':
			flush()
			tokens = append(tokens, GlobToken{Kind: GlobRun})
		case c == '?' && syntax.Question:
			flush()
			tokens = append(tokens, GlobToken{Kind: GlobOne})
		case c == '\\' && syntax.Escape && i+1 < len(pattern) && isGlobSpecial(pattern[i+1]):
			i++
			lit = append(lit, pattern[i])
		default:
			lit = append(lit, c)
		}
	}
	flush()
	return tokens
}

func isGlobSpecial(c byte) bool { return c == '*' || c == '?' || c == '\\' }

// Wildcard holds for a string that matches one of patterns as a whole; with
// fold, ignoring case.
func Wildcard(fold bool, patterns ...[]GlobToken) Op {
	w := &wildcard{fold: fold}
	for _, p := range patterns {
		w.globs = append(w.globs, newGlob(fold, p))
	}
	return w
}

type wildcard struct {
	onText
	fold  bool
	globs []*glob
}

func (w *wildcard) eval(e *evaluator) bool {
	if !e.cur.isText {
		return false
	}
	text := e.text(w.fold)
	for _, g := range w.globs {
		if g.match(text) {
			return true
		}
	}
	return false
}

func (w *wildcard) canon(dst []byte) []byte { return canonTexts(dst, "like", w.fold, w.patterns()) }
func (w *wildcard) words() string           { return textWords("is like", w.fold, w.patterns()) }

func (w *wildcard) patterns() []string {
	patterns := make([]string, len(w.globs))
	for i, g := range w.globs {
		patterns[i] = g.String()
	}
	slices.Sort(patterns)
	return slices.Compact(patterns)
}

// glob is a wildcard pattern as the segments between its runs. Each segment is
// looked for at the leftmost place after the one before, which is enough: a
// match is found if there is one, and nothing is tried twice.
type glob struct {
	tokens   []GlobToken
	segments []globSegment
	// open says whether the pattern begins, ends with a run.
	openStart, openEnd bool
}

// globSegment is a part of a pattern without a run: literals with single
// characters between. It has a literal more than it has gaps; gaps[i] counts
// the characters between literals i and i+1.
type globSegment struct {
	literals []string
	gaps     []int
}

func newGlob(fold bool, tokens []GlobToken) *glob {
	g := &glob{}
	seg := globSegment{literals: []string{""}}
	content := false
	for i, t := range tokens {
		if fold && t.Kind == GlobLiteral {
			t.Text = Fold(t.Text)
		}
		g.tokens = append(g.tokens, t)
		last := len(seg.literals) - 1
		switch t.Kind {
		case GlobLiteral:
			seg.literals[last] += t.Text
			content = true
		case GlobOne:
			content = true
			if seg.literals[last] == "" && last > 0 {
				seg.gaps[last-1]++
			} else {
				seg.gaps = append(seg.gaps, 1)
				seg.literals = append(seg.literals, "")
			}
		case GlobRun:
			g.openStart = g.openStart || i == 0
			g.openEnd = i == len(tokens)-1
			if content {
				g.segments = append(g.segments, seg)
			}
			seg, content = globSegment{literals: []string{""}}, false
		}
	}
	if content {
		g.segments = append(g.segments, seg)
	}
	return g
}

// match says whether text as a whole matches.
func (g *glob) match(text []byte) bool {
	segments := g.segments
	if len(segments) == 0 {
		return g.openStart || len(text) == 0
	}
	if !g.openStart {
		n := segments[0].matchAt(text)
		if n < 0 {
			return false
		}
		text, segments = text[n:], segments[1:]
		if len(segments) == 0 {
			return g.openEnd || len(text) == 0
		}
	}
	middle := segments
	if !g.openEnd {
		middle = segments[:len(segments)-1]
	}
	for i := range middle {
		end := middle[i].find(text)
		if end < 0 {
			return false
		}
		text = text[end:]
	}
	return g.openEnd || segments[len(segments)-1].matchEnd(text)
}

// matchAt returns how many bytes at the start of text the segment takes, -1 if
// it does not match there.
func (s *globSegment) matchAt(text []byte) int {
	at := 0
	for i, lit := range s.literals {
		if i > 0 {
			for range s.gaps[i-1] {
				if at == len(text) {
					return -1
				}
				_, n := utf8.DecodeRune(text[at:])
				at += n
			}
		}
		if len(text)-at < len(lit) || string(text[at:at+len(lit)]) != lit {
			return -1
		}
		at += len(lit)
	}
	return at
}

// find returns where the leftmost match of the segment ends, -1 if there is none.
func (s *globSegment) find(text []byte) int {
	lead := v2b(s.literals[0])
	for at := 0; at <= len(text); {
		i := bytes.Index(text[at:], lead)
		if i < 0 {
			return -1
		}
		at += i
		if n := s.matchAt(text[at:]); n >= 0 {
			return at + n
		}
		_, n := utf8.DecodeRune(text[at:])
		at += max(n, 1)
	}
	return -1
}

// matchEnd says whether the segment matches at the very end of text.
func (s *globSegment) matchEnd(text []byte) bool {
	end := len(text)
	for i := len(s.literals) - 1; i >= 0; i-- {
		lit := s.literals[i]
		if !bytes.HasSuffix(text[:end], v2b(lit)) {
			return false
		}
		end -= len(lit)
		if i > 0 {
			for range s.gaps[i-1] {
				if end == 0 {
					return false
				}
				_, n := utf8.DecodeLastRune(text[:end])
				end -= n
			}
		}
	}
	return true
}

// String writes the pattern with special characters escaped.
func (g *glob) String() string {
	var b strings.Builder
	for _, t := range g.tokens {
		switch t.Kind {
		case GlobRun:
			b.WriteByte('*')
		case GlobOne:
			b.WriteByte('?')
		default:
			for i := range len(t.Text) {
				if isGlobSpecial(t.Text[i]) {
					b.WriteByte('\\')
				}
				b.WriteByte(t.Text[i])
			}
		}
	}
	return b.String()
}

// literal returns the only text that matches, if the pattern has no wildcard.
func (g *glob) literal() (string, bool) {
	text := ""
	for _, t := range g.tokens {
		if t.Kind != GlobLiteral {
			return "", false
		}
		text += t.Text
	}
	return text, true
}
