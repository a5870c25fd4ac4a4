package kinesistest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	statusCreating = "CREATING"
	statusActive   = "ACTIVE"
	statusUpdating = "UPDATING"
	statusDeleting = "DELETING"

	modeProvisioned = "PROVISIONED"
	modeOnDemand    = "ON_DEMAND"
)

// stream is one stream's life, from CreateStream to DeleteStream; one of the
// same name made later is another. Guarded by Server.mu.
type stream struct {
	name, arn string
	serial    int // of all streams of the server: tells apart those of one name
	created   time.Time
	mode      string
	retention time.Duration
	maxRecord int    // bytes
	floor     uint64 // the epochs of its shards are greater
	shards    []*shard
	open      []*shard // by hash key
	consumers map[string]*consumer
	status    string // until ready, then ACTIVE (or gone, if DELETING)
	ready     time.Time
}

func (st *stream) statusAt(now time.Time) string {
	if now.Before(st.ready) {
		return st.status
	}
	return statusActive
}

func (st *stream) shard(id string) *shard {
	var ix int
	if n, err := fmt.Sscanf(id, "shardId-%d", &ix); n != 1 || err != nil || ix < 0 || ix >= len(st.shards) {
		return nil
	}
	if sh := st.shards[ix]; sh.id == id {
		return sh
	}
	return nil
}

// shardFor is the open shard that owns a hash key.
func (st *stream) shardFor(key u128) *shard {
	i, found := slices.BinarySearchFunc(st.open, key, func(sh *shard, key u128) int {
		return cmp.Or(cmp.Compare(sh.from.hi, key.hi), cmp.Compare(sh.from.lo, key.lo))
	})
	if !found {
		i--
	}
	return st.open[i]
}

// record is one record. Its data is never changed.
type record struct {
	seq  sequence
	at   int64 // Unix milliseconds
	key  string
	data []byte
}

// shard is one shard. Its place in the family is guarded by Server.mu, what it
// holds by its own mu; closed by both.
type shard struct {
	stream           *stream
	id               string
	ix               uint32
	epoch            uint64
	from, to         u128
	created          time.Time
	parent, adjacent *shard
	children         []*shard

	mu      sync.Mutex
	closed  time.Time // zero while open
	records []record
	base    uint64 // how many records were trimmed: records[0] is the base-th
	bytes   int    // of data in records
	last    int64  // the newest arrival: time never runs back
	end     sequence
	changed chan struct{} // closed at the next change; nil if nobody waits
	reads   meter
	writes  meter
}

func (st *stream) addShard(from, to u128, now time.Time, parents ...*shard) *shard {
	ix := len(st.shards)
	sh := &shard{
		stream: st, id: fmt.Sprintf("shardId-%012d", ix), ix: uint32(ix),
		epoch: max(uint64(now.Unix()), st.floor+1), from: from, to: to, created: now,
	}
	for i, p := range parents {
		sh.epoch = max(sh.epoch, p.epoch+1)
		sh.last = max(sh.last, p.last)
		p.children = append(p.children, sh)
		if i == 0 {
			sh.parent = p
		} else {
			sh.adjacent = p
		}
	}
	st.shards = append(st.shards, sh)
	st.open = append(st.open, sh)
	slices.SortFunc(st.open, func(a, b *shard) int {
		return cmp.Or(cmp.Compare(a.from.hi, b.from.hi), cmp.Compare(a.from.lo, b.from.lo))
	})
	return sh
}

// first is the shard's starting sequence number: less than any record's.
func (sh *shard) first() sequence { return sh.number(0, flavourRecord, sh.created) }

// number is a sequence number of this shard after count records.
func (sh *shard) number(count uint64, flavour uint8, at time.Time) sequence {
	return sequenceParts{sh.epoch, sh.ix, count, flavour, uint64(at.Unix())}.sequence()
}

// next is the position after the newest record. With sh.mu held.
func (sh *shard) next() uint64 { return sh.base + uint64(len(sh.records)) }

// put appends a record; the caller gives data away. With sh.mu held.
func (sh *shard) put(key string, data []byte, now time.Time, bound int) sequence {
	sh.last = max(sh.last, now.UnixMilli())
	seq := sh.number(sh.next()+1, flavourRecord, now)
	sh.records = append(sh.records, record{seq, sh.last, key, data})
	sh.bytes += len(data)
	sh.trim(now, bound)
	sh.signal()
	return seq
}

// signal wakes who waits for the shard. With sh.mu held.
func (sh *shard) signal() {
	if sh.changed != nil {
		close(sh.changed)
		sh.changed = nil
	}
}

// wait answers a channel that is closed at the next change. With sh.mu held.
func (sh *shard) wait() <-chan struct{} {
	if sh.changed == nil {
		sh.changed = make(chan struct{})
	}
	return sh.changed
}

// trim drops what is older than the retention or beyond bound bytes (0: no
// bound). With sh.mu held.
func (sh *shard) trim(now time.Time, bound int) {
	horizon := now.Add(-sh.stream.retention).UnixMilli()
	n := 0
	for n < len(sh.records) && (sh.records[n].at < horizon || bound > 0 && sh.bytes > bound) {
		sh.bytes -= len(sh.records[n].data)
		sh.records[n] = record{}
		n++
	}
	sh.records = sh.records[n:]
	sh.base += uint64(n)
}

// after is the position of the first record whose number is at least seq, or
// greater than seq. With sh.mu held.
func (sh *shard) position(seq sequence, after bool) uint64 {
	i, _ := slices.BinarySearchFunc(sh.records, seq, func(r record, seq sequence) int {
		switch {
		case r.seq.less(seq) || after && r.seq == seq:
			return -1
		case r.seq == seq:
			return 0
		default:
			return 1
		}
	})
	return sh.base + uint64(i)
}

// positionAt is the position of the first record that arrived at ms or later.
// With sh.mu held.
func (sh *shard) positionAt(ms int64) uint64 {
	i, _ := slices.BinarySearchFunc(sh.records, ms, func(r record, ms int64) int {
		if r.at < ms {
			return -1
		}
		return 1
	})
	return sh.base + uint64(i)
}

// owns says whether a sequence number is one of this shard's.
func (sh *shard) owns(seq sequence) bool {
	p := seq.parts()
	return p.epoch == sh.epoch && p.shard == sh.ix
}

func streamARN(region, account, name string) string {
	return "arn:aws:kinesis:" + region + ":" + account + ":stream/" + name
}

// nameOfARN is the stream's name in the ARN of a stream or of its consumer.
func nameOfARN(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "kinesis" {
		return ""
	}
	name, ok := strings.CutPrefix(parts[5], "stream/")
	if !ok {
		return ""
	}
	name, _, _ = strings.Cut(name, "/")
	return name
}
