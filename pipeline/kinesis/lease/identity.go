package lease

import (
	"strconv"
	"strings"
)

// identity is a stream in all its life: shards of one that was deleted and made
// again have the names of those before. The zero value is unknown.
type identity struct {
	name    string // "account:stream"
	created int64  // Unix milliseconds
}

func (l Listing) identity() identity { return identity{l.Name, l.Created} }

func (i identity) String() string { return i.name + ":" + strconv.FormatInt(i.created, 10) }

// parseIdentity answers false for what no identity was written as.
func parseIdentity(s string) (identity, bool) {
	at := strings.LastIndexByte(s, ':')
	if at <= 0 {
		return identity{}, false
	}
	created, err := strconv.ParseInt(s[at+1:], 10, 64)
	i := identity{s[:at], created}
	return i, err == nil && i.String() == s
}

func (i identity) known() bool { return i.name != "" && i.created != 0 }

// another tells that a lease is certainly not of this stream, or of an earlier
// or a later one of its name. A lease that does not say is of any.
func (i identity) another(r row) bool { return i.known() && r.of.known() && i != r.of }

// before tells that a lease is of an earlier stream of the name. key is what
// this stream's leases are filed under.
func (i identity) before(r row, key string) bool {
	if r.stream == key {
		return i.another(r) && r.of.name == i.name && r.of.created < i.created
	}
	// Of several streams in a table the key tells, in seconds.
	old, ok := parseIdentity(r.stream)
	return ok && key != "" && i.known() && old.name == i.name && old.created < i.created/1000
}
