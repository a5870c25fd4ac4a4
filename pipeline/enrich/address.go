package enrich

import "net/netip"

// maxAddress is the length of the longest text that may be an address.
const maxAddress = 64

// parseAddress reads an address; one that maps an IPv4 address into IPv6 is the
// IPv4 address. Texts that are none are refused before netip makes an error.
func parseAddress(text string) (netip.Addr, bool) {
	if len(text) < 2 || len(text) > maxAddress {
		return netip.Addr{}, false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F', c == '.', c == ':':
		default:
			return netip.Addr{}, false
		}
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// unmapped returns the prefix as addresses are looked up: without host bits, and
// of IPv4 where it maps that into IPv6.
func unmapped(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}
