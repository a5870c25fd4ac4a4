package kinesistest

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
)

const (
	maxGetRecords = 10_000
	maxGetBytes   = 10 << 20
)

// page is what one read brings.
type page struct {
	records []record
	next    uint64 // the position after them
	behind  int64  // milliseconds
	ended   bool   // the shard is closed, and next is its end
}

// read answers records from position on. With s.mu read-held.
func (s *Server) read(sh *shard, position uint64, limit, bytes int) page {
	now := s.now()
	sh.trim(now, s.opts.ShardBytes)
	position = min(max(position, sh.base), sh.next())
	rest, n, size := sh.records[position-sh.base:], 0, 0
	for n < len(rest) && n < limit {
		size += len(rest[n].data) + len(rest[n].key)
		if size > bytes && n > 0 {
			break
		}
		n++
	}
	p := page{records: rest[:n:n], next: position + uint64(n)}
	switch {
	case n < len(rest):
		p.behind = max(1, now.UnixMilli()-rest[n].at)
	case !sh.closed.IsZero():
		p.ended = true
	}
	return p
}

func (s *Server) getRecords(in *request) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	it, err := parseIterator(in.ShardIterator)
	if err != nil {
		return nil, invalidf("Invalid ShardIterator.")
	}
	if in.Limit < 0 || in.Limit > maxGetRecords {
		return nil, invalidf("Limit must be from 1 to %d", maxGetRecords)
	}
	st, err := s.find(it.stream, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if it.serial != st.serial {
		return nil, apiErrorf(ErrResourceNotFound, "Shard %s of a stream %s that was deleted", it.shard, it.stream)
	}
	now := s.now()
	if age := now.Sub(time.UnixMilli(it.issued)); age > s.opts.IteratorTTL {
		return nil, apiErrorf(ErrExpiredIterator, "Iterator expired. The iterator was created %v ago; the tolerance is %v.", age, s.opts.IteratorTTL)
	}
	sh, err := s.findShard(st, it.shard)
	if err != nil {
		return nil, err
	}
	sh.mu.Lock()
	if !sh.reads.allow(now, s.limits.Reads, 1, s.limits.ReadBytes) {
		sh.mu.Unlock()
		return nil, apiErrorf(ErrThroughput, "Rate exceeded for shard %s in stream %s under account %s.", sh.id, st.name, s.opts.Account)
	}
	p := s.read(sh, it.position, or(in.Limit, maxGetRecords), maxGetBytes)
	if in.plan.empty && len(p.records) > 0 {
		p = page{next: p.next - uint64(len(p.records)), behind: max(1, now.UnixMilli()-p.records[0].at)}
	}
	for _, r := range p.records {
		sh.reads.charge(len(r.data), s.limits.ReadBytes)
	}
	sh.mu.Unlock()

	out := p.append([]byte{'{'})
	if p.ended {
		children, err := json.Marshal(sh.childList())
		if err != nil {
			return nil, err
		}
		out = append(append(out, `,"ChildShards":`...), children...)
	} else {
		it.position, it.issued = p.next, now.UnixMilli()
		out = append(append(append(out, `,"NextShardIterator":"`...), it.token()...), '"')
	}
	return append(out, '}'), nil
}

// append writes the records and how far behind they are, as members of an
// object. By hand, for loads.
func (p page) append(out []byte) []byte {
	size := 64
	for _, r := range p.records {
		size += len(r.data)*4/3 + len(r.key) + 200
	}
	if cap(out)-len(out) < size {
		out = append(make([]byte, 0, len(out)+size+256), out...)
	}
	out = append(out, `"Records":[`...)
	for i, r := range p.records {
		if i > 0 {
			out = append(out, ',')
		}
		out = r.seq.append(append(out, `{"SequenceNumber":"`...))
		out = append(out, `","ApproximateArrivalTimestamp":`...)
		out = strconv.AppendInt(out, r.at/1000, 10)
		out = append(out, '.', byte('0'+r.at/100%10), byte('0'+r.at/10%10), byte('0'+r.at%10))
		out = appendString(append(out, `,"PartitionKey":`...), r.key)
		out = base64.StdEncoding.AppendEncode(append(out, `,"Data":"`...), r.data)
		out = append(out, `"}`...)
	}
	return strconv.AppendInt(append(out, `],"MillisBehindLatest":`...), p.behind, 10)
}

// appendString writes a string as JSON.
func appendString(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s)
			return append(out, quoted...)
		}
	}
	return append(append(append(out, '"'), s...), '"')
}
