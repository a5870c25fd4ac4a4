package eventbridge

import (
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// serviceLimit is what EventBridge itself accepts in numeric: ±5e9.
// Semantics: Amazon EventBridge user guide, numeric matching.
const serviceLimit = 5e9

// relations are the numeric operators.
var relations = map[string]matcher.Relation{"=": matcher.EQ, "<": matcher.LT, "<=": matcher.LE, ">": matcher.GT, ">=": matcher.GE}

// compare makes a comparison with a number that a double can hold, if perhaps
// with fewer digits. Digits are compared exactly.
func compare(rel matcher.Relation, v *value) (matcher.Op, error) {
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil || f == 0 && strings.ContainsAny(mantissa(v.text), "123456789") {
		return nil, v.errorf("%s is out of the range of numbers that compare (those of a 64-bit float)", clip(v.text))
	}
	op, err := matcher.Compare(rel, v.text, false)
	if err != nil {
		return nil, v.errorf("%v", err)
	}
	return op, nil
}

func mantissa(number string) string {
	m, _, _ := strings.Cut(strings.ToLower(number), "e")
	return m
}

// numeric reads ["op", number], or a range: a lower bound and an upper one.
func (c *compiler) numeric(v *value) (matcher.Op, error) {
	if v.kind != listValue {
		return nil, v.errorf("numeric must be an array such as [\">\", 0, \"<=\", 5], not %s", v.kind)
	}
	lower, bottom, err := c.bound(v, v.items, []string{"=", "<", "<=", ">", ">="})
	if err != nil || len(v.items) == 2 {
		return lower, err
	}
	if op := v.items[0].text; op != ">" && op != ">=" {
		return nil, v.items[2].errorf("nothing may follow %q and its number: a range is a lower bound and then an upper one", op)
	}
	upper, top, err := c.bound(v, v.items[2:], []string{"<", "<="})
	if err != nil {
		return nil, err
	}
	if len(v.items) > 4 {
		return nil, v.items[4].errorf("too many terms: a numeric range is a lower bound and an upper one")
	}
	if bottom.Cmp(top) >= 0 {
		return nil, v.errorf("the lower bound of a numeric range must be less than the upper one")
	}
	return matcher.Every(lower, upper), nil
}

// bound reads an operator and its number.
func (c *compiler) bound(v *value, items []*value, valid []string) (matcher.Op, *big.Rat, error) {
	if len(items) == 0 {
		return nil, nil, v.errorf("numeric is empty: an operator (%s) and a number are expected", strings.Join(valid, " "))
	}
	rel := items[0]
	if rel.kind != textValue || !slices.Contains(valid, rel.text) {
		shown := rel.kind.String()
		if rel.kind == textValue {
			shown = strconv.Quote(clip(rel.text))
		}
		return nil, nil, rel.errorf("an operator (%s) is expected here, not %s", strings.Join(valid, " "), shown)
	}
	if len(items) == 1 {
		return nil, nil, rel.errorf("%s lacks its number", rel.text)
	}
	operand := items[1]
	if operand.kind != numberValue {
		return nil, nil, operand.errorf("%s needs a number, not %s", rel.text, operand.kind)
	}
	op, err := compare(relations[rel.text], operand)
	if err != nil {
		return nil, nil, err
	}
	r, ok := new(big.Rat).SetString(operand.text)
	if !ok {
		return nil, nil, operand.errorf("%s is not a number", clip(operand.text))
	}
	if f, _ := r.Float64(); f > serviceLimit || f < -serviceLimit {
		c.warnf(operand.pos, "EventBridge itself refuses numbers beyond ±5e9 in numeric; here %s is compared all the same", clip(operand.text))
	}
	return op, r, nil
}

// cidr reads an address range. The address of a range may have host bits, which
// are ignored; a single address is no range.
func cidr(v *value) (matcher.Op, error) {
	address, mask, ok := strings.Cut(v.text, "/")
	if !ok || strings.Contains(mask, "/") {
		return nil, v.errorf("%q is no CIDR: an address, one / and the number of mask bits are expected", clip(v.text))
	}
	a, ok := matcher.ParseLooseAddr(address)
	if !ok {
		return nil, v.errorf("%q is no IP address", clip(address))
	}
	bits, err := strconv.ParseUint(mask, 10, 16)
	if err != nil {
		return nil, v.errorf("the mask bits of %q must be a number", clip(v.text))
	}
	if bits >= uint64(a.BitLen()) { //nolint:gosec // 32 or 128
		return nil, v.errorf("the mask of %q must have fewer than %d bits: for one address write it as a string, without {\"cidr\": …}", clip(v.text), a.BitLen())
	}
	return matcher.LooseCIDR(netip.PrefixFrom(a, int(bits)).Masked()), nil //nolint:gosec // below 128
}
