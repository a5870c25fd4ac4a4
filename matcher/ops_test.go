package matcher

import (
	"net/netip"
	"testing"
)

func mustPrefix(t testing.TB, s string) netip.Prefix {
	t.Helper()
	p, err := netip.ParsePrefix(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustCompare(t testing.TB, rel Relation, operand string) Op {
	t.Helper()
	op, err := Compare(rel, operand, false)
	if err != nil {
		t.Fatal(err)
	}
	return op
}
