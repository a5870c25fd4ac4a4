package native

import (
	"errors"
	"net/netip"
	"regexp/syntax"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

func (r *reader) regex(e entry, fold bool) matcher.Op {
	var ops []matcher.Op
	for _, n := range r.operands(e.val, e.key) {
		texts := r.strings(n, e.key, false)
		if len(texts) == 0 {
			continue
		}
		expr := texts[0]
		if _, err := syntax.Parse(expr, syntax.Perl); err != nil {
			r.errorf(n, "regex: %s", regexProblem(err))
			continue
		}
		if fold {
			expr = "(?i:" + expr + ")"
		}
		op, err := matcher.Regex(expr, false)
		if err != nil {
			r.wrap(n, "regex", err)
			continue
		}
		ops = append(ops, op)
	}
	return oneOf(ops)
}

// lookAround names what RE2 does not have, by how it begins.
var lookAround = []struct{ start, name string }{
	{"(?=", "look-ahead"}, {"(?!", "negative look-ahead"}, {"(?<=", "look-behind"}, {"(?<!", "negative look-behind"}, {"(?>", "atomic group"},
}

func regexProblem(err error) string {
	var e *syntax.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	for _, l := range lookAround {
		if strings.HasPrefix(e.Expr, l.start) {
			return l.name + " " + l.start + "…) is not available: expressions are RE2"
		}
	}
	if e.Code == syntax.ErrInvalidEscape && len(e.Expr) > 1 && '1' <= e.Expr[1] && e.Expr[1] <= '9' {
		return "back-reference " + e.Expr + " is not available: expressions are RE2"
	}
	return e.Code.String() + ": `" + clip(e.Expr) + "`"
}

func (r *reader) cidr(e entry) matcher.Op {
	var prefixes []netip.Prefix
	for _, n := range r.operands(e.val, e.key) {
		texts := r.strings(n, e.key, false)
		if len(texts) == 0 {
			continue
		}
		p, err := netip.ParsePrefix(texts[0])
		if err != nil {
			if a, aerr := netip.ParseAddr(texts[0]); aerr == nil && a.Zone() == "" {
				r.errorf(n, "cidr: %q has no prefix length: write %q for that address alone", texts[0], netip.PrefixFrom(a, a.BitLen()).String())
				continue
			}
			r.errorf(n, "cidr: %q is no address range such as 203.0.113.0/24 or 2001:db8::/32", clip(texts[0]))
			continue
		}
		if p.Masked() != p {
			r.warnf(n, "cidr: %s has bits set beyond its prefix length and is read as %s", p, p.Masked())
		}
		prefixes = append(prefixes, p.Masked())
	}
	return matcher.CIDR(prefixes...)
}
