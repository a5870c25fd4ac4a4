package matcher

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
	fold  bool
	globs []*glob
}

func (*wildcard) op() {}

type glob struct{ tokens []GlobToken }

func newGlob(fold bool, tokens []GlobToken) *glob { return &glob{tokens} }
