package window

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// The encoded state of a key: version, kind, then varints and raw identities.
// A reader refuses what a newer version has written. Version 2 says more of the
// policy; states that do not need it are written as version 1, which programs
// before it read.
const (
	stateVersion  = 1
	policyVersion = 2
)

// plain says that version 1 says all of p.
func (p *Policy) plain() bool { return p.Kind <= Absence && p.Depth == 0 }

const flagUnder = 1

// appendPolicy appends what version 2 has beside version 1.
func appendPolicy(dst []byte, p *Policy) []byte {
	var flags byte
	if p.Under {
		flags |= flagUnder
	}
	dst = append(dst, flags, byte(p.Missing), p.Depth, byte(p.Bounds.Set))
	for _, v := range []uint64{uint64(p.Periods), uint64(p.Points), uint64(p.Percent)} {
		dst = binary.AppendUvarint(dst, v)
	}
	for _, v := range []int64{p.Bounds.Min, p.Bounds.Max, p.Bounds.Not} {
		dst = binary.AppendVarint(dst, v)
	}
	return dst
}

// policy reads what appendPolicy has written.
func (r *reader) policy(p *Policy) {
	flags := r.take(1)[0]
	p.Under, p.Missing = flags&flagUnder != 0, Missing(r.take(1)[0])
	p.Depth, p.Bounds.Set = r.take(1)[0], BoundSet(r.take(1)[0])
	periods, points, percent := r.uvarint(), r.uvarint(), r.uvarint()
	if flags&^flagUnder != 0 || periods > math.MaxUint16 || points > math.MaxUint16 || percent > math.MaxUint32 {
		r.fail(errCut)
	}
	p.Periods, p.Points, p.Percent = uint16(periods), uint16(points), uint32(percent)
	p.Bounds.Min, p.Bounds.Max, p.Bounds.Not = r.varint(), r.varint(), r.varint()
}

const (
	flagFired = 1 << iota
	flagCapped
)

func appendState(dst []byte, p *Policy, e *entry) []byte {
	version := byte(stateVersion)
	if !p.plain() {
		version = policyVersion
	}
	dst = append(dst, version, byte(p.Kind))
	dst = binary.AppendUvarint(dst, uint64(p.N))
	dst = binary.AppendUvarint(dst, uint64(p.Within))
	dst = binary.AppendUvarint(dst, uint64(p.Realert))
	if version == policyVersion {
		dst = appendPolicy(dst, p)
		judged := int64(math.MinInt64)
		if e.more != nil {
			judged = e.more.judged
		}
		dst = binary.AppendVarint(dst, judged)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.recs)))
	var t int64
	for i := range e.recs {
		r := &e.recs[i]
		if i == 0 {
			dst = binary.AppendVarint(dst, r.time)
		} else {
			dst = binary.AppendUvarint(dst, uint64(r.time)-uint64(t))
		}
		t = r.time
		dst = append(dst, r.id[:]...)
		dst = binary.LittleEndian.AppendUint32(dst, r.sum)
		if p.valued() {
			dst = binary.LittleEndian.AppendUint64(dst, e.more.vals[i])
		}
	}
	eps := e.episodes()
	dst = binary.AppendUvarint(dst, uint64(len(eps)))
	for i := range eps {
		ep := &eps[i]
		var flags byte
		if ep.fired {
			flags |= flagFired
		}
		if ep.capped {
			flags |= flagCapped
		}
		dst = append(dst, flags)
		dst = append(dst, ep.serial[:]...)
		dst = binary.AppendVarint(dst, ep.first)
		dst = binary.AppendUvarint(dst, uint64(ep.last)-uint64(ep.first))
		dst = binary.AppendVarint(dst, ep.firedAt)
		dst = binary.AppendVarint(dst, ep.told)
		dst = binary.AppendUvarint(dst, uint64(ep.thinAt))
	}
	return dst
}

var errCut = errors.New("the state is cut off or malformed")

// reader takes an encoded state apart. After the first error it answers zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err, r.b = err, nil
	}
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.fail(errCut)
		return make([]byte, n)
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(errCut)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail(errCut)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a number of things that take at least size bytes each.
func (r *reader) count(size int) int {
	v := r.uvarint()
	if v > uint64(len(r.b)/size) {
		r.fail(errCut)
		return 0
	}
	return int(v)
}

// later reads a time that is given as its distance from t.
func (r *reader) later(t int64) int64 {
	d := r.uvarint()
	if d > uint64(1<<63-1)-uint64(t) && t >= 0 || d > uint64(1<<63-1)+uint64(-t) && t < 0 {
		r.fail(errCut)
		return t
	}
	return int64(uint64(t) + d)
}

// version reads the version, from 1 to newest.
func (r *reader) version(newest byte) byte {
	v := r.take(1)[0]
	if r.err == nil && (v < 1 || v > newest) {
		r.fail(fmt.Errorf("the state has version %d, this program reads versions up to %d", v, newest))
	}
	return v
}

// decodeState fills e's members and episodes in. It takes nothing for granted:
// what it accepts keeps every promise of entry and episode.
func decodeState(state []byte, e *entry) (Policy, error) {
	r := &reader{b: state}
	version := r.version(policyVersion)
	kind, n := Kind(r.take(1)[0]), r.uvarint()
	within, realert := r.uvarint(), r.uvarint()
	if n > MaxN {
		r.fail(errCut)
	}
	p := Policy{Kind: kind, N: int(n), Within: time.Duration(within), Realert: time.Duration(realert)}
	judged := int64(math.MinInt64)
	if version == policyVersion {
		r.policy(&p)
		judged = r.varint()
	}
	if r.err == nil && p.plain() != (version == stateVersion) {
		r.fail(errCut)
	}
	if r.err == nil {
		if err := p.Validate(); err != nil {
			r.fail(err)
		}
	}
	if judged != math.MinInt64 && !p.trailing() && p.Kind != Tumbling {
		r.fail(errCut)
	}
	if p.trailing() || p.Kind == Tumbling {
		e.extra().judged = judged
	}
	r.members(&p, e)
	r.episodes(&p, e)
	if r.err == nil && len(r.b) > 0 {
		r.fail(fmt.Errorf("%d bytes too many", len(r.b)))
	}
	if r.err == nil && !sound(&p, e) {
		r.fail(errCut)
	}
	return p, r.err
}

func (r *reader) members(p *Policy, e *entry) {
	size := 1 + 16 + 4
	if p.valued() {
		size += 8
	}
	n := r.count(size)
	if n == 0 || p.Kind == Absence && n != 1 {
		r.fail(errCut)
		return
	}
	e.recs = make([]rec, n)
	if p.valued() {
		e.extra().vals = make([]uint64, n)
	}
	for i := range e.recs {
		x := &e.recs[i]
		if i == 0 {
			x.time = r.varint()
		} else {
			x.time = r.later(e.recs[i-1].time)
		}
		copy(x.id[:], r.take(16))
		x.sum = binary.LittleEndian.Uint32(r.take(4))
		if p.valued() {
			e.more.vals[i] = binary.LittleEndian.Uint64(r.take(8))
		}
		if r.err != nil {
			return
		}
		if i > 0 && e.recs[i-1].compare(x.time, &x.id) >= 0 {
			r.fail(errors.New("the members are not in order"))
			return
		}
	}
}

func (r *reader) episodes(p *Policy, e *entry) {
	n := r.count(1 + 16 + 5)
	if n == 0 || r.err != nil {
		return
	}
	eps := make([]episode, n)
	for i := range eps {
		ep := &eps[i]
		flags := r.take(1)[0]
		if flags&^(flagFired|flagCapped) != 0 {
			r.fail(errCut)
		}
		ep.fired, ep.capped = flags&flagFired != 0, flags&flagCapped != 0
		copy(ep.serial[:], r.take(16))
		ep.first = r.varint()
		ep.last = r.later(ep.first)
		ep.firedAt, ep.told = r.varint(), r.varint()
		thinAt := r.uvarint()
		if thinAt > 1<<30 || p.Kind == Absence && !ep.fired || p.peaks() && ep.fired {
			r.fail(errCut)
		}
		ep.thinAt = int32(thinAt)
	}
	e.extra().eps = eps
}

// sound checks what episode promises.
func sound(p *Policy, e *entry) bool {
	eps := e.episodes()
	if p.Kind == Absence {
		return len(eps) == 0 || len(eps) == 1 && eps[0].first == e.recs[0].time && eps[0].last == eps[0].first
	}
	if p.Kind == Tumbling {
		return tumblingSound(p, e)
	}
	k := 0
	for i := range eps {
		ep := &eps[i]
		if i > 0 && (ep.first <= eps[i-1].last || !apart(eps[i-1].last, ep.first, p.Within)) {
			return false
		}
		if i > 0 && eps[i-1].fired && ep.fired && eps[i-1].serial == ep.serial {
			return false
		}
		for ; k < len(e.recs) && e.recs[k].time < ep.first; k++ {
			if !apart(e.recs[k].time, ep.first, p.Within) {
				return false
			}
		}
		from := k
		for k < len(e.recs) && e.recs[k].time <= ep.last {
			k++
		}
		if from == k || k < len(e.recs) && !apart(ep.last, e.recs[k].time, p.Within) {
			return false
		}
	}
	return true
}
