package matcher

import (
	"bytes"
	"net/netip"
)

// maxLooseIPv4 is the length of the longest text that is taken for an IPv4 address.
const maxLooseIPv4 = 15

// LooseCIDR is CIDR for languages that read addresses more freely: the numbers of
// an IPv4 address may have leading zeros, which do not make them octal
// (010.1.2.3 is 10.1.2.3). An IPv6 address has no zone and no dotted tail.
//
// Semantics: aws/event-ruler, CIDR and IP literals.
func LooseCIDR(prefixes ...netip.Prefix) Op {
	c := &cidrSet{}
	for _, p := range prefixes {
		c.add(p)
	}
	return &looseCIDR{c}
}

// ParseLooseAddr reads an address as LooseCIDR does; one that maps an IPv4 address
// into IPv6 is the IPv4 address.
func ParseLooseAddr(text string) (netip.Addr, bool) { return parseLooseAddr(v2b(text)) }

type looseCIDR struct{ *cidrSet }

func (c *looseCIDR) eval(e *evaluator) bool {
	if !e.cur.isText {
		return false
	}
	a, ok := parseLooseAddr(e.cur.text)
	return ok && c.table.Contains(a)
}

func parseLooseAddr(text []byte) (netip.Addr, bool) {
	switch {
	case bytes.IndexByte(text, ':') >= 0:
		if bytes.IndexByte(text, '.') >= 0 || bytes.IndexByte(text, '%') >= 0 {
			return netip.Addr{}, false
		}
		return parseAddr(text)
	case len(text) > maxLooseIPv4:
		return netip.Addr{}, false
	}
	var a [4]byte
	octet, digits, n := 0, 0, 0
	for _, c := range text {
		switch {
		case isDigit(c):
			digits++
			if n = n*10 + int(c-'0'); n > 255 {
				return netip.Addr{}, false
			}
		case c == '.' && digits > 0 && octet < 3:
			a[octet] = byte(n)
			octet, digits, n = octet+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	a[3] = byte(n)
	return netip.AddrFrom4(a), octet == 3 && digits > 0
}

func (c *looseCIDR) canon(dst []byte) []byte {
	return canonTexts(dst, "loose-cidr", false, c.texts())
}
