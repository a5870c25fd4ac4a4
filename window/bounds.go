package window

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// Bounds is what a value must satisfy: all that are set. The values of matches
// and these are whole numbers; whoever counts in fractions scales both.
type Bounds struct {
	Set BoundSet
	Min int64 // at least; with MinOpen more
	Max int64 // at most; with MaxOpen less
	Not int64 // anything but
}

// BoundSet says which of the bounds are set.
type BoundSet uint8

// The bounds. MinOpen and MaxOpen belong to HasMin and HasMax.
const (
	HasMin BoundSet = 1 << iota
	HasMax
	HasNot
	MinOpen
	MaxOpen
)

// greatest is the greatest absolute value of a bound.
const greatest = math.MaxInt64 - 1

func (b *Bounds) validate() error {
	switch s := b.Set; {
	case s&(HasMin|HasMax|HasNot) == 0 || s > HasMin|HasMax|HasNot|MinOpen|MaxOpen:
		return fmt.Errorf("unknown or no bounds %b", s)
	case s&HasMin == 0 && (s&MinOpen != 0 || b.Min != 0),
		s&HasMax == 0 && (s&MaxOpen != 0 || b.Max != 0),
		s&HasNot == 0 && b.Not != 0:
		return errors.New("a bound that is not set has a value")
	}
	for _, v := range []int64{b.Min, b.Max, b.Not} {
		if v > greatest || v < -greatest {
			return fmt.Errorf("bound %d is too great", v)
		}
	}
	return nil
}

// ceiling is the greatest of the bounds: what is above it satisfies them all or
// never will.
func (b *Bounds) ceiling() int64 {
	c := int64(0)
	if b.Set&HasMin != 0 {
		c = max(c, b.Min)
	}
	if b.Set&HasMax != 0 {
		c = max(c, b.Max)
	}
	if b.Set&HasNot != 0 {
		c = max(c, b.Not)
	}
	return c
}

// judge judges a value by how it compares with a bound: cmp answers below,
// equal or above 0.
func (b *Bounds) judge(cmp func(bound int64) int) bool {
	if b.Set&HasMin != 0 {
		if c := cmp(b.Min); c < 0 || c == 0 && b.Set&MinOpen != 0 {
			return false
		}
	}
	if b.Set&HasMax != 0 {
		if c := cmp(b.Max); c > 0 || c == 0 && b.Set&MaxOpen != 0 {
			return false
		}
	}
	return b.Set&HasNot == 0 || cmp(b.Not) != 0
}

// holds says whether v satisfies the bounds.
func (b *Bounds) holds(v int64) bool {
	return b.judge(func(bound int64) int {
		switch {
		case v < bound:
			return -1
		case v > bound:
			return 1
		}
		return 0
	})
}

// wide is an integer of 128 bits, wide enough for any sum here.
type wide struct {
	hi int64
	lo uint64
}

func (a wide) plus(v int64) wide {
	lo, carry := bits.Add64(a.lo, uint64(v), 0)
	return wide{a.hi + v>>63 + int64(carry), lo}
}

func (a wide) minus(v int64) wide {
	lo, borrow := bits.Sub64(a.lo, uint64(v), 0)
	return wide{a.hi - v>>63 - int64(borrow), lo}
}

func (a wide) compare(b wide) int {
	switch {
	case a.hi < b.hi || a.hi == b.hi && a.lo < b.lo:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// clamp is the nearest int64.
func (a wide) clamp() int64 {
	switch {
	case a.hi == int64(a.lo)>>63:
		return int64(a.lo)
	case a.hi < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// times is v * n; n is not negative.
func times(v int64, n int) wide {
	if v >= 0 {
		hi, lo := bits.Mul64(uint64(v), uint64(n))
		return wide{int64(hi), lo}
	}
	hi, lo := bits.Mul64(-uint64(v), uint64(n))
	lo, borrow := bits.Sub64(0, lo, 0)
	return wide{-int64(hi) - int64(borrow), lo}
}
