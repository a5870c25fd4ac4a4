package kinesistest

import (
	"crypto/md5"
	"encoding/binary"
	"errors"
	"math/big"
	"math/bits"
)

// u128 is a hash key: an unsigned number of 128 bits.
type u128 struct{ hi, lo uint64 }

var maxHash = u128{^uint64(0), ^uint64(0)}

// hashOf is where a partition key falls: its MD5 as a big-endian number.
func hashOf(key string) u128 {
	sum := md5.Sum([]byte(key))
	return u128{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

func (a u128) less(b u128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a u128) next() u128 {
	lo, carry := bits.Add64(a.lo, 1, 0)
	return u128{a.hi + carry, lo}
}

func (a u128) prev() u128 {
	lo, borrow := bits.Sub64(a.lo, 1, 0)
	return u128{a.hi - borrow, lo}
}

// middle is halfway from a to b, rounded down.
func (a u128) middle(b u128) u128 {
	sum := new(big.Int).Add(a.big(), b.big())
	return fromBig(sum.Rsh(sum, 1))
}

func (a u128) big() *big.Int {
	n := new(big.Int).SetUint64(a.hi)
	return n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(a.lo))
}

func fromBig(n *big.Int) u128 {
	lo := new(big.Int).And(n, new(big.Int).SetUint64(^uint64(0)))
	return u128{new(big.Int).Rsh(n, 64).Uint64(), lo.Uint64()}
}

func (a u128) String() string { return a.big().String() }

// parseHash reads a decimal hash key.
func parseHash(s string) (u128, error) {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok || n.Sign() < 0 || n.BitLen() > 128 || s[0] == '+' || len(s) > 1 && s[0] == '0' {
		return u128{}, errors.New("no hash key")
	}
	return fromBig(n), nil
}

// uniform answers where n equal shards begin.
func uniform(n int) []u128 {
	starts := make([]u128, n)
	whole := new(big.Int).Lsh(big.NewInt(1), 128)
	part := whole.Div(whole, big.NewInt(int64(n)))
	for i := range starts {
		starts[i] = fromBig(new(big.Int).Mul(part, big.NewInt(int64(i))))
	}
	return starts
}
