package matcher

import (
	"bytes"
	"net/netip"
	"slices"
	"unsafe"

	"github.com/gaissmai/bart"
)

// CIDR holds for a string that is an IP address within one of prefixes. A text
// that is no IP address ("AWS Internal", a DNS name) is in none. IPv4-mapped
// IPv6 addresses count as the IPv4 address.
func CIDR(prefixes ...netip.Prefix) Op {
	c := &cidrSet{}
	for _, p := range prefixes {
		c.add(p)
	}
	return c
}

func (c *cidrSet) add(p netip.Prefix) {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	c.prefixes = append(c.prefixes, p.Masked())
	c.table.Insert(p.Masked())
}

type cidrSet struct {
	onText
	table    bart.Lite
	prefixes []netip.Prefix
}

func (c *cidrSet) eval(e *evaluator) bool {
	if !e.cur.isText {
		return false
	}
	a, ok := parseAddr(e.cur.text)
	return ok && c.table.Contains(a)
}

// parseAddr reads an IP address. Texts that cannot be one are refused before
// netip could allocate an error for them.
func parseAddr(text []byte) (netip.Addr, bool) {
	if a, ok := parseIPv4(text); ok {
		return a, true
	}
	if len(text) < 2 || len(text) > 64 || bytes.IndexByte(text, ':') < 0 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(unsafe.String(&text[0], len(text)))
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}

func parseIPv4(text []byte) (netip.Addr, bool) {
	var a [4]byte
	if len(text) < 7 || len(text) > 15 {
		return netip.Addr{}, false
	}
	octet, digits, n := 0, 0, 0
	for _, c := range text {
		switch {
		case isDigit(c):
			if digits > 0 && n == 0 {
				return netip.Addr{}, false // a leading zero
			}
			n = n*10 + int(c-'0')
			digits++
			if n > 255 {
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

func (c *cidrSet) canon(dst []byte) []byte { return canonTexts(dst, "cidr", false, c.texts()) }
func (c *cidrSet) words() string           { return textWords("in", false, c.texts()) }

func (c *cidrSet) texts() []string {
	texts := make([]string, len(c.prefixes))
	for i, p := range c.prefixes {
		texts[i] = p.String()
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
