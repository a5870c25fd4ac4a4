package matcher

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// CIDR holds for a string that is an IP address within one of prefixes. A text
// that is no IP address ("AWS Internal", a DNS name) is in none. IPv4-mapped
// IPv6 addresses count as the IPv4 address.
func CIDR(prefixes ...netip.Prefix) Op {
	c := &cidrSet{}
	for _, p := range prefixes {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		c.prefixes = append(c.prefixes, p.Masked())
		c.table.Insert(p.Masked())
	}
	return c
}

type cidrSet struct {
	table    bart.Lite
	prefixes []netip.Prefix
}

func (*cidrSet) op() {}
