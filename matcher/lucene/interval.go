package lucene

import (
	"errors"
	"strconv"
	"strings"
)

// maxInterval is how many digits the numbers of an interval may have.
const maxInterval = 18

// interval reads n-m> after <: the decimal numbers from n to m. Numbers of one
// length stand for numbers of that length; otherwise zeros may lead.
func (p *reparser) interval() (*re, error) {
	start := p.at
	for p.more() && !p.peek(">") {
		p.at++
	}
	text := string(p.src[start:p.at])
	if !p.take('>') {
		return nil, errors.New("expected >")
	}
	a, b, ok := strings.Cut(text, "-")
	if !ok {
		return nil, errors.New("<" + text + ">: named automata are not available; write \\< for the character")
	}
	lo, err1 := strconv.ParseUint(a, 10, 64)
	hi, err2 := strconv.ParseUint(b, 10, 64)
	if err1 != nil || err2 != nil || len(a) > maxInterval || len(b) > maxInterval {
		return nil, errors.New("<" + text + ">: expected two numbers, as in <1-9>")
	}
	digits := 0
	if len(a) == len(b) {
		digits = len(a)
	}
	if lo > hi {
		lo, hi = hi, lo
	}
	if digits > 0 {
		return between(pad(lo, digits), pad(hi, digits)), nil
	}
	// Each length for itself, behind any zeros.
	var subs []*re
	for from := lo; ; {
		n := len(strconv.FormatUint(from, 10))
		last := uint64(1)
		for range n {
			last *= 10
		}
		to := min(hi, last-1)
		subs = append(subs, between(pad(from, n), pad(to, n)))
		if to == hi {
			break
		}
		from = to + 1
	}
	zeros := repeat(&re{kind: reClass, ranges: []rune{'0', '0'}}, 0, -1)
	return concat(zeros, alternate(subs)), nil
}

func pad(n uint64, digits int) string {
	s := strconv.FormatUint(n, 10)
	return strings.Repeat("0", max(digits-len(s), 0)) + s
}

// between matches the numbers from lo to hi, which have one length.
func between(lo, hi string) *re {
	if lo == "" {
		return &re{kind: reEmpty}
	}
	digit := func(a, b byte) *re { return &re{kind: reClass, ranges: []rune{rune(a), rune(b)}} }
	rest := len(lo) - 1
	if lo[0] == hi[0] {
		return concat(digit(lo[0], lo[0]), between(lo[1:], hi[1:]))
	}
	nines, zeros := strings.Repeat("9", rest), strings.Repeat("0", rest)
	subs := []*re{
		concat(digit(lo[0], lo[0]), between(lo[1:], nines)),
		concat(digit(hi[0], hi[0]), between(zeros, hi[1:])),
	}
	if lo[0]+1 < hi[0] {
		subs = append(subs, concat(digit(lo[0]+1, hi[0]-1), repeat(digit('0', '9'), rest, rest)))
	}
	return alternate(subs)
}
