package kinesistest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Fault is something that goes wrong with some requests. The fields up to
// AccessKey say with which (empty: any), the next three with how many of those,
// and the rest what happens: one or several of them.
type Fault struct {
	Op        string // "GetRecords"
	Stream    string // a name
	Shard     string // an ID
	AccessKey string // the ID of the key that signed

	Skip  int // spare the first Skip
	Every int // of the rest, strike each Every-th only; 0 and 1: each
	Count int // strike this often, then never again; 0: for ever

	// Delay makes a request wait before it is looked at.
	Delay time.Duration
	// DropBefore and DropAfter cut the connection instead of answering, before
	// or after the request was carried out.
	DropBefore, DropAfter bool
	// Code answers with this error (Err…), and Message if set.
	Code, Message string

	// Cut, End and StreamCode end a subscription (SubscribeToShard) after
	// Events events: by cutting the connection inside the frame of the next,
	// in good order as when its time is up, or with an exception frame.
	Events     int
	Cut, End   bool
	StreamCode string

	// Duplicate and Shuffle list every shard twice, in no order (ListShards).
	// HideChildren and HideParents leave shards out that have parents, or
	// children: a listing that is stale, or ahead.
	Duplicate, Shuffle, HideChildren, HideParents bool

	// Empty answers GetRecords without records although there are some, with
	// an iterator that goes on at the same place.
	Empty bool
}

// Injected is a Fault at work.
type Injected struct {
	fault        Fault
	owner        *faults
	seen, struck int
}

// Inject makes a fault happen from now on, beside those that were injected
// before it.
func (s *Server) Inject(f Fault) *Injected {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	in := &Injected{fault: f, owner: &s.faults}
	s.faults.active = append(s.faults.active, in)
	return in
}

// Remove ends the fault.
func (in *Injected) Remove() {
	in.owner.mu.Lock()
	defer in.owner.mu.Unlock()
	in.owner.active = slices.DeleteFunc(in.owner.active, func(other *Injected) bool { return other == in })
}

// Hits is how many requests it has struck.
func (in *Injected) Hits() int {
	in.owner.mu.Lock()
	defer in.owner.mu.Unlock()
	return in.struck
}

// ClearFaults ends all faults.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = nil
}

// Calls counts the requests so far by operation, those struck by faults too.
func (s *Server) Calls() map[string]int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return maps.Clone(s.faults.calls)
}

// faults are those in force.
type faults struct {
	mu       sync.Mutex
	active   []*Injected
	calls    map[string]int
	requests int
}

func (f *faults) requestID() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", f.requests)
}

// plan is what is to happen to one request.
type plan struct {
	delay                     time.Duration
	dropBefore, dropAfter     bool
	err                       *apiError
	stream                    *Fault // a fault of the subscription
	duplicate, shuffle, empty bool
	hideChildren, hideParents bool
}

func (f *faults) plan(t target) *plan {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[t.op]++
	p := &plan{}
	for _, in := range f.active {
		if !in.strikes(t) {
			continue
		}
		ft := in.fault
		p.delay += ft.Delay
		p.dropBefore = p.dropBefore || ft.DropBefore
		p.dropAfter = p.dropAfter || ft.DropAfter
		if ft.Code != "" && p.err == nil {
			p.err = apiErrorf(ft.Code, "%s", or(ft.Message, "injected"))
		}
		if ft.Cut || ft.End || ft.StreamCode != "" {
			p.stream = &ft
		}
		p.duplicate = p.duplicate || ft.Duplicate
		p.shuffle = p.shuffle || ft.Shuffle
		p.hideChildren = p.hideChildren || ft.HideChildren
		p.hideParents = p.hideParents || ft.HideParents
		p.empty = p.empty || ft.Empty
	}
	return p
}

// strikes counts a request and says whether the fault is for it.
func (in *Injected) strikes(t target) bool {
	f := &in.fault
	if f.Op != "" && f.Op != t.op || f.Stream != "" && f.Stream != t.stream ||
		f.Shard != "" && f.Shard != t.shard || f.AccessKey != "" && f.AccessKey != t.accessKey ||
		f.Count > 0 && in.struck >= f.Count {
		return false
	}
	in.seen++
	nth := in.seen - f.Skip
	if nth <= 0 || f.Every > 1 && nth%f.Every != 0 {
		return false
	}
	in.struck++
	return true
}

// before waits as long as it must; false: the connection is to be cut.
func (p *plan) before(request, server context.Context) bool {
	if p.delay > 0 {
		timer := time.NewTimer(p.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-request.Done():
			return false
		case <-server.Done():
			return false
		}
	}
	return !p.dropBefore
}

// change spoils an answer.
func (p *plan) change(answer any) any {
	list, ok := answer.(*listShardsOutput)
	if !ok {
		return answer
	}
	if p.hideChildren {
		list.Shards = slices.DeleteFunc(list.Shards, func(sh shardJSON) bool { return sh.ParentShardID != "" })
	}
	if p.hideParents {
		list.Shards = slices.DeleteFunc(list.Shards, func(sh shardJSON) bool { return sh.SequenceNumberRange.EndingSequenceNumber != "" })
	}
	if p.duplicate {
		list.Shards = append(list.Shards, list.Shards...)
	}
	if p.shuffle {
		rand.Shuffle(len(list.Shards), func(i, j int) { list.Shards[i], list.Shards[j] = list.Shards[j], list.Shards[i] })
	}
	return list
}
