package matcher

import (
	"regexp/syntax"
	"unicode"
)

// ExpandRegexp lists the texts that re matches as a whole, when they are at
// most limit: (Delete|Put)(Group|Role)?Policy expands to six. Unless anchored
// says that only whole texts match, re itself must begin with ^ or \A and end
// with $ or \z. With fold, some part of re ignores case: the texts are to be
// read in any case. ok is false when there are more texts, or no end of them.
func ExpandRegexp(re *syntax.Regexp, anchored bool, limit int) (texts []string, fold, ok bool) {
	x := expansion{limit: limit}
	out, ok := x.expand(re)
	if !ok {
		return nil, false, false
	}
	for _, p := range out {
		if !anchored && (!p.begun || !p.ended) {
			return nil, false, false
		}
		texts = append(texts, p.text)
	}
	return texts, x.fold, true
}

type expansion struct {
	limit int
	fold  bool
}

// piece is a text and whether it must stand at the ends.
type piece struct {
	text         string
	begun, ended bool
}

func (x *expansion) expand(re *syntax.Regexp) ([]piece, bool) {
	switch re.Op {
	case syntax.OpNoMatch:
		return nil, true
	case syntax.OpEmptyMatch:
		return []piece{{}}, true
	case syntax.OpBeginText:
		return []piece{{begun: true}}, true
	case syntax.OpEndText:
		return []piece{{ended: true}}, true
	case syntax.OpLiteral:
		x.fold = x.fold || re.Flags&syntax.FoldCase != 0
		return []piece{{text: string(re.Rune)}}, true
	case syntax.OpCharClass:
		return x.class(re.Rune)
	case syntax.OpCapture:
		return x.expand(re.Sub[0])
	case syntax.OpQuest:
		return x.repeat(re.Sub[0], 0, 1)
	case syntax.OpRepeat:
		return x.repeat(re.Sub[0], re.Min, re.Max)
	case syntax.OpAlternate:
		var out []piece
		for _, sub := range re.Sub {
			more, ok := x.expand(sub)
			if !ok || len(out)+len(more) > x.limit {
				return nil, false
			}
			out = append(out, more...)
		}
		return out, true
	case syntax.OpConcat:
		out := []piece{{}}
		for _, sub := range re.Sub {
			more, ok := x.expand(sub)
			if !ok {
				return nil, false
			}
			if out, ok = x.join(out, more); !ok {
				return nil, false
			}
		}
		return out, true
	default: // runs, any character, word and line boundaries
		return nil, false
	}
}

func (x *expansion) class(ranges []rune) ([]piece, bool) {
	var out []piece
	for i := 0; i+1 < len(ranges); i += 2 {
		if int(ranges[i+1]-ranges[i]) >= x.limit-len(out) || ranges[i+1] > unicode.MaxRune {
			return nil, false
		}
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			out = append(out, piece{text: string(r)})
		}
	}
	return out, true
}

func (x *expansion) repeat(re *syntax.Regexp, least, most int) ([]piece, bool) {
	if most < 0 {
		return nil, false
	}
	one, ok := x.expand(re)
	if !ok {
		return nil, false
	}
	power := []piece{{}}
	var out []piece
	for i := 0; i <= most; i++ {
		if i > 0 {
			if power, ok = x.join(power, one); !ok {
				return nil, false
			}
		}
		if i >= least {
			if len(out)+len(power) > x.limit {
				return nil, false
			}
			out = append(out, power...)
		}
	}
	return out, true
}

// join appends every b to every a. A text cannot go on after its end nor begin
// anew: such pairs match nothing.
func (x *expansion) join(a, b []piece) ([]piece, bool) {
	if len(a)*len(b) > x.limit {
		return nil, false
	}
	var out []piece
	for _, p := range a {
		for _, q := range b {
			if p.ended && q.text != "" || q.begun && p.text != "" {
				continue
			}
			out = append(out, piece{p.text + q.text, p.begun || q.begun, p.ended || q.ended})
		}
	}
	return out, true
}
