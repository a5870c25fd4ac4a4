package window

// timer is an appointment with entry n. Equal times are ordered by the tie, a
// part of the key's hash, so that the order does not depend on entry numbers,
// which differ after a restart.
type timer struct {
	at  int64
	tie uint32
	n   uint32
}

func (a timer) before(b timer) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	if a.tie != b.tie {
		return a.tie < b.tie
	}
	return a.n < b.n
}

// timers is a min-heap. Appointments are not taken out when they move: whoever
// pops one checks whether it still holds.
type timers []timer

func (h *timers) push(t timer) {
	*h = append(*h, t)
	s := *h
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !t.before(s[up]) {
			break
		}
		s[i] = s[up]
		i = up
	}
	s[i] = t
}

func (h *timers) pop() timer {
	s := *h
	top := s[0]
	last := s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	if len(s) > 0 {
		s[0] = last
		s.sink(0)
	}
	return top
}

func (h timers) sink(i int) {
	t := h[i]
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if r := down + 1; r < len(h) && h[r].before(h[down]) {
			down = r
		}
		if !h[down].before(t) {
			break
		}
		h[i] = h[down]
		i = down
	}
	h[i] = t
}

// order makes a heap of any slice.
func (h timers) order() {
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.sink(i)
	}
}
