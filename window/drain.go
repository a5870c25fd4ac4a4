package window

// Drain calls fn with what happened since the last Drain, in the order in which
// it did. An open episode is told once, as it is now, at the place of its first
// change; one that fired and ended meanwhile is told as Fired and then again
// with its end. The Change is valid during the call, and fn must not use the
// store.
func (s *Store) Drain(fn func(*Change)) {
	for i := range s.journal.items {
		h := &s.journal.items[i]
		if h.void {
			continue
		}
		c := Change{
			Policy: h.policy, Type: h.typ, Serial: h.serial, Into: h.into, Notify: h.notify, Returned: h.returned,
		}
		s.buf = append(s.buf[:0], h.key...)
		c.Key = s.buf
		if h.last != nil {
			s.describe(&c, &h.last.ep, h.last.recs)
			c.Values, c.Kept = h.last.values, h.last.kept
		} else {
			s.current(&c, h)
		}
		fn(&c)
	}
	s.journal.drained()
}

// current fills c in from an open episode.
func (s *Store) current(c *Change, h *happening) {
	sh := s.shards[h.hash&s.mask]
	_, e := lookup(sh, h.hash, h.key)
	if e == nil {
		panic("window: an open episode has no key")
	}
	for i := range e.more.eps {
		ep := &e.more.eps[i]
		if !ep.fired || ep.serial != h.serial {
			continue
		}
		lo, hi := e.within(ep.first, ep.last)
		s.describe(c, ep, e.recs[lo:hi])
		if vals := e.values(); vals != nil {
			c.Values = sh.distinct(&h.policy, vals[lo:hi])
		}
		return
	}
	panic("window: an open episode is gone without an end")
}

func (s *Store) describe(c *Change, ep *episode, recs []rec) {
	c.First, c.Last, c.FiredAt, c.Capped = ep.first, ep.last, ep.firedAt, ep.capped
	c.Count = len(recs)
	if ep.capped {
		c.Count = max(c.Count, s.opts.MaxMembers, c.Policy.N)
	}
	s.members = s.members[:0]
	for i := range recs {
		s.members = append(s.members, Member{Time: recs[i].time, ID: recs[i].id})
	}
	c.Members = s.members
}
