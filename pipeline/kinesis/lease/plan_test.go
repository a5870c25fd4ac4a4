package lease

import (
	"fmt"
	"testing"
	"time"
)

// round0 is a standing in which others hold so many leases, I hold mine and some are free.
func round0(mine, free int, others ...int) standing {
	st := standing{me: "me", count: map[string]int{"me": mine}, owned: map[string][]row{}, kept: mine}
	for i, n := range others {
		w := fmt.Sprintf("w%d", i)
		st.count[w] = n
		for j := range n {
			st.owned[w] = append(st.owned[w], row{key: fmt.Sprintf("%s-%d", w, j), owner: w})
		}
	}
	for i := range free {
		st.free = append(st.free, row{key: fmt.Sprintf("free-%d", i)})
	}
	return st
}

func TestPlanTakesUpToTheFairShareAndAsksForWhatIsShort(t *testing.T) {
	for name, c := range map[string]struct {
		st         standing
		room       int
		take, asks int
	}{
		"alone":                            {round0(0, 10), 99, 10, 0},
		"free ones up to the share":        {round0(2, 10, 4, 4), 99, 5, 0},
		"rounded up":                       {round0(0, 11, 0), 99, 6, 0},
		"no more than the share":           {round0(5, 1, 2), 99, 0, 0},
		"no more than there is room":       {round0(0, 10), 3, 3, 0},
		"short by many":                    {round0(0, 0, 30, 30), 99, 0, 20},
		"short by many after what is free": {round0(0, 6, 27, 27), 99, 6, 14},
		"short, no room":                   {round0(0, 0, 30, 30), 7, 0, 7},
		"at the floor, one has two more":   {round0(2, 0, 4, 2), 99, 0, 1},
		"at the floor, all have one more":  {round0(2, 0, 3, 3), 99, 0, 0},
		"even":                             {round0(3, 0, 3, 3), 99, 0, 0},
		"more than others":                 {round0(9, 0, 3, 3), 99, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := makePlan(c.st, c.room)
			if len(p.take) != c.take || len(p.ask) != c.asks {
				t.Errorf("takes %d and asks for %d; want %d and %d", len(p.take), len(p.ask), c.take, c.asks)
			}
			least, most, seen := 1000, 0, map[string]bool{}
			for w, n := range c.st.count {
				if w == "me" {
					continue
				}
				for _, r := range p.ask {
					if r.owner == w {
						n--
					}
				}
				least, most = min(least, n), max(most, n)
			}
			for _, r := range append(p.take, p.ask...) {
				if seen[r.key] {
					t.Errorf("%s twice", r.key)
				}
				seen[r.key] = true
			}
			if len(p.ask) > 1 && most-least > 1 {
				t.Errorf("the others are left with %d to %d", least, most)
			}
		})
	}
}

func TestLeasesThatNobodyTakesAreTakenBeyondTheFairShare(t *testing.T) {
	st := round0(6, 4, 2) // the other is full
	if p := makePlan(st, 99); len(p.take) != 0 {
		t.Errorf("takes %d at once", len(p.take))
	}
	st.overdue = st.free
	if p := makePlan(st, 99); len(p.take) == 0 {
		t.Error("leaves them for ever")
	}
	if p := makePlan(st, 1); len(p.take) != 1 {
		t.Errorf("takes %d where there is room for one", len(p.take))
	}
}

func TestWorkersTakeFromDifferentPlaces(t *testing.T) {
	a, b := round0(0, 100, 0), round0(0, 100, 0)
	b.me = "w0"
	taken := map[string]bool{}
	for _, p := range []plan{makePlan(a, 99), makePlan(b, 99)} {
		for _, r := range p.take {
			if taken[r.key] {
				t.Fatalf("both take %s", r.key)
			}
			taken[r.key] = true
		}
	}
	if len(taken) != 100 {
		t.Errorf("%d of 100 are taken", len(taken))
	}
}

func TestOwnerGrantsNoMoreThanItCanSpare(t *testing.T) {
	st := round0(0, 0, 0, 0, 0)
	st.kept = 9 // all asked for by three workers
	for i := range 9 {
		w := fmt.Sprintf("w%d", i%3)
		st.asked = append(st.asked, row{key: fmt.Sprint(i), owner: "me", handOver: w})
		st.count[w]++
	}
	granted, declined := st.grants(map[string]bool{"0": true})
	if len(granted) != 6 || len(declined) != 2 {
		t.Errorf("grants %d and declines %d; want 6 and 2, one of nine is on its way and two stay", len(granted), len(declined))
	}
	if st.count["me"] != 2 {
		t.Errorf("%d count as mine; want the 2 that were declined", st.count["me"])
	}
}

func TestReleasedLeaseIsKeptForTheOneThatAsked(t *testing.T) {
	start := time.Unix(1000, 0)
	b := &board{failover: 10 * time.Second}
	listings := map[string]listing{"": {shards: world("A B C")}}
	rows := leases("A=1 B=1 C=1")
	rows[0].handOver = "other"
	rows[1].handOver = "me"
	rows[2].owner, rows[2].handOver = "me", "" // written as mine, though I do not serve it
	b.observe(rows, start)
	at := func(d time.Duration) standing { return b.stand(rows, "me", nil, listings, start.Add(d)) }
	if st := at(time.Second); len(st.free) != 0 || len(st.back) != 2 || st.count["other"] != 1 || st.count["me"] != 2 {
		t.Errorf("a second later: %+v", st)
	}
	if st := at(10 * time.Second); len(st.free) != 1 || st.free[0].key != "A" {
		t.Errorf("after the failover time, the other is gone: %+v", st)
	}
}
