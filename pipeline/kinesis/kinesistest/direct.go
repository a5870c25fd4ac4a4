package kinesistest

import (
	"fmt"
	"time"
)

// The methods of this file do what the API does without HTTP: to load and to
// reshape a stream. They panic where the API would answer with an error, and
// neither faults nor limits apply to them.

// Shard is a shard as a test sees it.
type Shard struct {
	ID       string
	Parents  []string // none, one, or two of a merge
	Children []string
	From, To string // hash keys, inclusive
	Open     bool
	Records  int // held now
}

// Record is a stored record.
type Record struct {
	Shard, Sequence, Key string
	Data                 []byte // borrowed: read only
	Arrived              time.Time
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("kinesistest: %v", err))
	}
	return v
}

// CreateStream makes a provisioned stream and answers its ARN.
func (s *Server) CreateStream(name string, shards int) string {
	must(s.createStream(&request{StreamName: name, ShardCount: shards}))
	return streamARN(s.opts.Region, s.opts.Account, name)
}

// DeleteStream deletes a stream with its consumers; subscriptions end.
func (s *Server) DeleteStream(name string) {
	must(s.deleteStream(&request{StreamName: name, EnforceConsumerDeletion: true}))
}

// Put puts a record and answers its shard and sequence number. The server
// keeps data, which must not be changed any more.
func (s *Server) Put(stream, key string, data []byte) (shard, seq string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := must(s.find(stream, ""))
	sh := must(s.route(st, key, "", len(data)))
	return sh.id, s.place(sh, key, data).String()
}

// PutTo is Put into a shard of the caller's choice, which must be open.
func (s *Server) PutTo(stream, shard, key string, data []byte) (seq string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sh := must(s.findShard(must(s.find(stream, "")), shard))
	if !sh.closed.IsZero() {
		panic("kinesistest: PutTo a closed shard " + shard)
	}
	return s.place(sh, key, data).String()
}

func (s *Server) place(sh *shard, key string, data []byte) sequence {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.put(key, data, s.now(), s.opts.ShardBytes)
}

// Shards lists a stream's shards in order of their IDs, expired ones too.
func (s *Server) Shards(stream string) []Shard {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Shard
	for _, sh := range must(s.find(stream, "")).shards {
		info := Shard{ID: sh.id, From: sh.from.String(), To: sh.to.String(), Open: sh.closed.IsZero()}
		for _, p := range []*shard{sh.parent, sh.adjacent} {
			if p != nil {
				info.Parents = append(info.Parents, p.id)
			}
		}
		for _, c := range sh.children {
			info.Children = append(info.Children, c.id)
		}
		sh.mu.Lock()
		info.Records = len(sh.records)
		sh.mu.Unlock()
		out = append(out, info)
	}
	return out
}

// Open lists the IDs of a stream's open shards in the order of their hash keys.
func (s *Server) Open(stream string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	for _, sh := range must(s.find(stream, "")).open {
		out = append(out, sh.id)
	}
	return out
}

// Records lists what a stream holds, shard by shard in order.
func (s *Server) Records(stream string) []Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Record
	for _, sh := range must(s.find(stream, "")).shards {
		sh.mu.Lock()
		for _, r := range sh.records {
			out = append(out, Record{sh.id, r.seq.String(), r.key, r.data, time.UnixMilli(r.at)})
		}
		sh.mu.Unlock()
	}
	return out
}

// SetRetention sets how long a stream keeps records, to any length.
func (s *Server) SetRetention(stream string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	must(s.find(stream, "")).retention = d
}

// Split divides an open shard in the middle of its hash keys.
func (s *Server) Split(stream, shard string) (lower, upper string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := must(s.find(stream, ""))
	sh := must(s.openShard(st, shard))
	a, b := st.split(sh, sh.from.middle(sh.to).next(), s.now())
	return a.id, b.id
}

// Merge joins two open shards whose hash keys touch.
func (s *Server) Merge(stream, shard, adjacent string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := must(s.find(stream, ""))
	a, b := must(s.openShard(st, shard)), must(s.openShard(st, adjacent))
	if !touch(a, b) {
		panic("kinesistest: " + shard + " and " + adjacent + " do not touch")
	}
	return st.merge(a, b, s.now()).id
}

// Scale splits and merges until there are n open shards of equal size.
func (s *Server) Scale(stream string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	must(s.find(stream, "")).scale(n, s.now())
}
