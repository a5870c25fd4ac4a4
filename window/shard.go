package window

import (
	"math"

	"github.com/cespare/xxhash/v2"
)

// shard is one part of the store: its keys, their timers and its undo log.
// Nothing in it is shared with another shard but the journal.
type shard struct {
	table   index
	entries slab[entry]

	policies []Policy // of the keys, each once; never shrinks: there are as many as rules
	numbers  map[Policy]uint32
	last     uint32 // the one that was asked for last: most come in runs

	closing timers // when keys are due, of threshold keys when their first chain may close
	silence timers // the same of keys that are due only while the source is live
	idle    timers // of threshold keys by newest match; made when the memory bound first asks, nil before

	log  []before
	gone map[string]uint32 // keys removed in this interval: 1 + place in log
	kept Stats             // at the interval's beginning

	stats      Stats
	maxMembers int
	journal    *journal
	scratch    scratch
}

// before is an entry as the interval found it.
type before struct {
	image   entry
	existed bool
	n       uint32 // where the entry lives now
}

func newShard(maxMembers int, j *journal) *shard {
	return &shard{
		numbers:    map[Policy]uint32{},
		gone:       map[string]uint32{},
		maxMembers: maxMembers,
		journal:    j,
	}
}

// lookup finds the entry of key.
func lookup[K string | []byte](sh *shard, hash uint64, key K) (uint32, *entry) {
	x := &sh.table
	if x.n == 0 {
		return 0, nil
	}
	tag := tagOf(hash)
	for pos := x.home(tag); x.slots[pos] != 0; pos = x.next(pos) {
		if slotTag(x.slots[pos]) != tag {
			continue
		}
		n := slotNumber(x.slots[pos])
		if e := sh.entries.at(n); e.key == string(key) {
			return n, e
		}
	}
	return 0, nil
}

// create makes an entry without members. The interval's log knows that it was not there.
func (sh *shard) create(key string, hash uint64, p Policy) (uint32, *entry) {
	n, e := sh.place(entry{key: key, hash: hash, policy: sh.intern(p)})
	if at, ok := sh.gone[key]; ok {
		e.log = at
		delete(sh.gone, key)
		sh.log[at-1].n = n
		return n, e
	}
	sh.log = append(sh.log, before{image: entry{key: key, hash: hash}, n: n})
	e.log = uint32(len(sh.log))
	return n, e
}

// place gives an entry a number and makes it findable.
func (sh *shard) place(image entry) (uint32, *entry) {
	n := sh.entries.alloc()
	e := sh.entries.at(n)
	*e = image
	e.used = true
	sh.table.insert(tagOf(e.hash), n)
	return n, e
}

// displace is the reverse of place.
func (sh *shard) displace(n uint32, e *entry) {
	sh.table.remove(tagOf(e.hash), n)
	sh.entries.release(n)
}

// remove drops a touched key that is out of the stats already.
func (sh *shard) remove(n uint32, e *entry) {
	sh.gone[e.key] = e.log
	sh.displace(n, e)
}

// touch logs e before its first change in this interval.
func (sh *shard) touch(n uint32, e *entry) {
	if e.log != 0 {
		return
	}
	sh.log = append(sh.log, before{image: *e, existed: true, n: n})
	e.log = uint32(len(sh.log))
	e.shared = uint32(len(e.recs))
	if e.more != nil {
		e.more = e.more.clone()
	}
}

// weigh adds e to the stats or takes it out.
func (sh *shard) weigh(e *entry, sign int) {
	sh.stats.Keys += sign
	sh.stats.Members += sign * len(e.recs)
	sh.stats.Bytes += int64(sign) * e.size()
}

func (sh *shard) intern(p Policy) uint32 {
	if int(sh.last) < len(sh.policies) && sh.policies[sh.last] == p {
		return sh.last
	}
	if i, ok := sh.numbers[p]; ok {
		sh.last = i
		return i
	}
	i := uint32(len(sh.policies))
	sh.policies = append(sh.policies, p)
	sh.numbers[p] = i
	return i
}

// limit is how many members an episode of p may remember.
func (sh *shard) limit(p *Policy) int {
	if p.peaks() && p.Kind != PeakSum {
		return max(sh.maxMembers, int(p.Bounds.ceiling())+1)
	}
	return max(sh.maxMembers, p.N)
}

// inHand is the due time of an entry that Advance is about to handle.
const inHand = math.MinInt64

// schedule makes an appointment for e.
func (sh *shard) schedule(n uint32, e *entry, at int64) {
	e.due = at
	h := &sh.closing
	if sh.policies[e.policy].live() {
		h = &sh.silence
	}
	h.push(timer{at: at, tie: tagOf(e.hash), n: n})
	if len(*h) > 2*sh.table.n+minSlots {
		sh.reschedule()
	}
}

// reschedule makes the timers anew from what the entries say, which drops those that hold no longer.
func (sh *shard) reschedule() {
	sh.closing, sh.silence = sh.closing[:0], sh.silence[:0]
	sh.each(func(n uint32, e *entry) {
		if e.due == inHand {
			return
		}
		t := timer{at: e.due, tie: tagOf(e.hash), n: n}
		if sh.policies[e.policy].live() {
			sh.silence = append(sh.silence, t)
		} else {
			sh.closing = append(sh.closing, t)
		}
	})
	sh.closing.order()
	sh.silence.order()
}

// holds says whether an appointment still stands.
func (sh *shard) holds(t timer) bool {
	e := sh.entries.at(t.n)
	return e.used && e.due == t.at && tagOf(e.hash) == t.tie
}

func (sh *shard) each(fn func(n uint32, e *entry)) {
	for n := range sh.entries.used {
		if e := sh.entries.at(n); e.used {
			fn(n, e)
		}
	}
}

// commit ends the interval and keeps it.
func (sh *shard) commit() {
	for i := range sh.log {
		e := sh.entries.at(sh.log[i].n)
		if e.used && e.log == uint32(i+1) {
			e.log, e.shared = 0, 0
		}
	}
	sh.begin()
}

// rollback puts everything back to the interval's beginning.
func (sh *shard) rollback() {
	if len(sh.log) > 0 {
		for i := range sh.log {
			n := sh.log[i].n
			if e := sh.entries.at(n); e.used && e.log == uint32(i+1) {
				sh.displace(n, e)
			}
		}
		for i := range sh.log {
			if sh.log[i].existed {
				sh.place(sh.log[i].image)
			}
		}
		sh.idle = nil
		sh.reschedule()
	}
	sh.stats = sh.kept
	sh.begin()
}

func (sh *shard) begin() {
	clear(sh.log)
	sh.log = sh.log[:0]
	if cap(sh.log) > 1<<16 {
		sh.log = nil
	}
	clear(sh.gone)
	sh.kept = sh.stats
}

// dirty tells the state of every key changed in this interval.
func (sh *shard) dirty(buf []byte, fn func(key, state []byte)) []byte {
	for i := range sh.log {
		b := &sh.log[i]
		e := sh.entries.at(b.n)
		buf = append(buf[:0], b.image.key...)
		if e.used && e.log == uint32(i+1) {
			k := len(buf)
			buf = appendState(buf, &sh.policies[e.policy], e)
			fn(buf[:k:k], buf[k:])
		} else if b.existed {
			fn(buf, nil)
		}
	}
	return buf
}

func hashOf(key []byte) uint64 { return xxhash.Sum64(key) }
