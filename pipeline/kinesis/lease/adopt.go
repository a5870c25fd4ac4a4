package lease

// A table of one stream keys its leases otherwise than one of several. Where a
// stream was added or taken away, the leases under the new key go on from those
// under the other.

// same tells that a lease is of this stream, whatever its key.
func (i identity) same(r row) bool {
	if r.of.known() {
		return i == r.of
	}
	key, ok := parseIdentity(r.stream)
	return ok && i.known() && key.name == i.name && key.created == i.created/1000
}

// adopt takes in the leases of the stream under another key that have none under
// this one. Those that still count are missing.
func (f *family) adopt(rows []row) {
	for _, r := range rows {
		if _, have := f.rows[r.shard]; have || r.stream == f.stream || !f.of.same(r) {
			continue
		}
		f.kin[r.shard] = r
	}
	for id, r := range f.kin {
		f.rows[id] = r
		for _, p := range r.parents {
			f.join(p, id)
		}
		for _, c := range r.children {
			f.join(id, c)
		}
	}
}

// passedBy tells that a descendant has a lease under this key that was read or
// started after the shard: its own was deleted, and the other key's says nothing.
func (f *family) passedBy(id string) bool {
	return f.anyBelow(id, f.passed, func(r row) bool { return r.stream == f.stream && r.progressed() })
}
