package matcher

import (
	"bytes"
	"cmp"
	"strconv"
)

// decimal is an exact decimal number: ±0.d₁d₂d₃… × 10^exp, where d₁ and the
// last digit are not 0. Zero has no digits.
type decimal struct {
	neg bool
	exp int64
	// The digits are head followed by tail, so that those around a decimal
	// point need not be copied. They point into the text that was parsed.
	head, tail []byte
}

// maxExponent bounds what an exponent may say. CloudTrail has no such numbers;
// beyond it every number of one sign compares by exponent alone.
const maxExponent = 1 << 40

// parseDecimal reads a JSON number. The result points into s.
func parseDecimal(s []byte) (decimal, bool) {
	var d decimal
	i := 0
	if i < len(s) && s[i] == '-' {
		d.neg = true
		i++
	}
	start := i
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	whole := s[start:i]
	if len(whole) == 0 || len(whole) > 1 && whole[0] == '0' {
		return d, false
	}
	var frac []byte
	if i < len(s) && s[i] == '.' {
		i++
		start = i
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		if frac = s[start:i]; len(frac) == 0 {
			return d, false
		}
	}
	var e int64
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		neg := false
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			neg = s[i] == '-'
			i++
		}
		start = i
		for ; i < len(s) && isDigit(s[i]); i++ {
			e = min(e*10+int64(s[i]-'0'), maxExponent)
		}
		if i == start {
			return d, false
		}
		if neg {
			e = -e
		}
	}
	if i != len(s) {
		return d, false
	}
	d.set(whole, frac, e)
	return d, true
}

func (d *decimal) set(whole, frac []byte, e int64) {
	whole = bytes.TrimLeft(whole, "0")
	d.exp = e + int64(len(whole))
	if len(whole) == 0 {
		n := len(frac)
		frac = bytes.TrimLeft(frac, "0")
		d.exp -= int64(n - len(frac))
	}
	frac = bytes.TrimRight(frac, "0")
	if len(frac) == 0 {
		whole = bytes.TrimRight(whole, "0")
	}
	d.head, d.tail = whole, frac
	if len(whole) == 0 && len(frac) == 0 {
		d.neg, d.exp = false, 0
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (d *decimal) digits() int { return len(d.head) + len(d.tail) }

func (d *decimal) digit(i int) byte {
	if i < len(d.head) {
		return d.head[i]
	}
	return d.tail[i-len(d.head)]
}

// compare returns -1, 0 or 1 as d is less than, equal to or greater than b.
func (d *decimal) compare(b *decimal) int {
	if d.sign() != b.sign() || d.digits() == 0 {
		return cmp.Compare(d.sign(), b.sign())
	}
	c := cmp.Compare(d.exp, b.exp)
	for i := 0; c == 0 && (i < d.digits() || i < b.digits()); i++ {
		switch {
		case i >= d.digits():
			c = -1
		case i >= b.digits():
			c = 1
		default:
			c = cmp.Compare(d.digit(i), b.digit(i))
		}
	}
	return c * d.sign()
}

func (d *decimal) sign() int {
	switch {
	case d.digits() == 0:
		return 0
	case d.neg:
		return -1
	default:
		return 1
	}
}

// append appends the number in its one canonical form.
func (d *decimal) append(dst []byte) []byte {
	if d.neg {
		dst = append(dst, '-')
	}
	dst = append(dst, "0."...)
	dst = append(append(dst, d.head...), d.tail...)
	return strconv.AppendInt(append(dst, 'e'), d.exp, 10)
}
