package window

// admit makes room for a new key. A new key that waits for silence is not worth
// another key's state: at the bound it is refused.
func (s *Store) admit(p *Policy) bool {
	for s.keys >= s.opts.MaxKeys || s.bytes >= s.opts.MaxBytes {
		if p.live() || !s.evict(nil, 0) {
			return false
		}
	}
	return true
}

// shrink comes back to the bound after entry n of sh has grown. That entry stays.
func (s *Store) shrink(sh *shard, n uint32) {
	for s.bytes > s.opts.MaxBytes && s.evict(sh, n) {
	}
}

// evict pushes out the threshold key that has been idle for longest: the one
// whose newest match is the oldest. Entry n of but is spared. It reports false
// if there is none.
func (s *Store) evict(but *shard, n uint32) bool {
	var (
		idlest *shard
		victim timer
	)
	for _, sh := range s.shards {
		if t, ok := sh.idlest(sh == but, n); ok && (idlest == nil || t.before(victim)) {
			idlest, victim = sh, t
		}
	}
	if idlest == nil {
		return false
	}
	e := idlest.entries.at(victim.n)
	s.keys--
	s.bytes -= e.size()
	idlest.evict(victim.n, e)
	return true
}

// idlest finds the shard's idlest threshold key, which stays on top of the
// idle heap. The heap is put right only here.
func (sh *shard) idlest(spared bool, but uint32) (timer, bool) {
	if sh.idle == nil || len(sh.idle) > 2*sh.table.n+minSlots {
		sh.idle = make(timers, 0, sh.table.n+minSlots)
		sh.each(func(n uint32, e *entry) {
			if !sh.policies[e.policy].live() && len(e.recs) > 0 {
				sh.idle = append(sh.idle, timer{at: e.newest(), tie: tagOf(e.hash), n: n})
			}
		})
		sh.idle.order()
	}
	var aside []timer
	defer func() {
		for _, t := range aside {
			sh.idle.push(t)
		}
	}()
	for len(sh.idle) > 0 {
		t := sh.idle[0]
		e := sh.entries.at(t.n)
		if !e.used || tagOf(e.hash) != t.tie || len(e.recs) == 0 || sh.policies[e.policy].live() {
			sh.idle.pop()
			continue
		}
		if now := e.newest(); now != t.at {
			sh.idle.pop()
			t.at = now
			sh.idle.push(t)
			continue
		}
		if spared && t.n == but {
			aside = append(aside, sh.idle.pop())
			continue
		}
		return t, true
	}
	return timer{}, false
}

// evict drops a threshold key and tells what becomes of its chains.
func (sh *shard) evict(n uint32, e *entry) {
	p := &sh.policies[e.policy]
	sh.weigh(e, -1)
	sh.touch(n, e)
	if p.Kind == Tumbling {
		sh.giveUp(e, p, Evicted)
	}
	for p.Kind != Tumbling && len(e.recs) > 0 {
		hi, _, episode := firstChain(e, p)
		sh.leave(e, p, hi, episode, Evicted)
	}
	sh.remove(n, e)
	sh.stats.Evictions++
}
