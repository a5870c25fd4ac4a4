package kinesistest

import (
	"math/bits"
)

// sequence is a sequence number: like the service's own, 56 decimal digits, so
// that numbers order like strings, increasing within a shard, greater in a
// child than in its parents, with gaps.
//
// From the top: 4 bits (always 2), 36 bits epoch of the shard (its creation in
// seconds), 4 bits of the shard's number, 64 bits count within the shard, 8
// bits flavour, 36 bits time of the put in seconds, 32 bits the shard's number,
// 4 bits version (always 2).
type sequence struct{ hi, mid, lo uint64 }

const (
	sequenceDigits = 56
	// The flavours: what a number stands for besides a record.
	flavourRecord   = 0
	flavourProgress = 0xfe // a continuation: after its count's record, before the next
	flavourEnd      = 0xff
	countEnd        = 1<<63 - 1
)

// sequenceParts are what a sequence number says.
type sequenceParts struct {
	epoch   uint64
	shard   uint32
	count   uint64
	flavour uint8
	seconds uint64
}

func (p sequenceParts) sequence() sequence {
	s := p.seconds & (1<<36 - 1)
	return sequence{
		hi:  2<<56 | (p.epoch&(1<<36-1))<<20 | uint64(p.shard&15)<<16 | p.count>>48,
		mid: p.count<<16 | uint64(p.flavour)<<8 | s>>28,
		lo:  s<<36 | uint64(p.shard)<<4 | 2,
	}
}

func (q sequence) parts() sequenceParts {
	return sequenceParts{
		epoch:   q.hi >> 20 & (1<<36 - 1),
		shard:   uint32(q.lo >> 4),
		count:   q.hi<<48 | q.mid>>16,
		flavour: uint8(q.mid >> 8),
		seconds: q.mid&255<<28 | q.lo>>36,
	}
}

func (q sequence) less(r sequence) bool {
	switch {
	case q.hi != r.hi:
		return q.hi < r.hi
	case q.mid != r.mid:
		return q.mid < r.mid
	default:
		return q.lo < r.lo
	}
}

const ten19 = 1e19 // the greatest power of ten in 64 bits

// append writes the number in decimal.
func (q sequence) append(to []byte) []byte {
	var digits [sequenceDigits]byte
	n := [3]uint64{q.hi, q.mid, q.lo}
	at := len(digits)
	for at > 0 {
		var rest uint64
		for i := range n {
			n[i], rest = bits.Div64(rest, n[i], ten19)
		}
		for i := 0; i < 19 && at > 0; i++ {
			at--
			digits[at] = byte('0' + rest%10)
			rest /= 10
		}
	}
	return append(to, digits[:]...)
}

func (q sequence) String() string { return string(q.append(nil)) }

// parseSequence reads a number that a server like this one wrote.
func parseSequence(s string) (sequence, bool) {
	if len(s) != sequenceDigits {
		return sequence{}, false
	}
	var q sequence
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return sequence{}, false
		}
		carry := uint64(s[i] - '0')
		for _, limb := range []*uint64{&q.lo, &q.mid, &q.hi} {
			high, low := bits.Mul64(*limb, 10)
			sum, over := bits.Add64(low, carry, 0)
			*limb, carry = sum, high+over
		}
		if carry != 0 {
			return sequence{}, false
		}
	}
	return q, q.hi>>56 == 2 && q.lo&15 == 2
}
