package lease

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// world is a stream in a few words: "A B<A C<A,D" are shards with their
// parents; "!" behind one: closed.
func world(s string) map[string]Shard {
	var shards []Shard
	for word := range strings.FieldsSeq(s) {
		name, parents, _ := strings.Cut(word, "<")
		sh := Shard{ID: strings.TrimSuffix(name, "!"), Closed: strings.HasSuffix(name, "!")}
		if parents != "" {
			sh.Parents = strings.Split(parents, ",")
		}
		shards = append(shards, sh)
	}
	return shardsByID(shards)
}

// leases are rows: "A=SHARD_END B<A=17".
func leases(s string) []row {
	var rows []row
	for word := range strings.FieldsSeq(s) {
		name, at, _ := strings.Cut(word, "=")
		name, parents, _ := strings.Cut(name, "<")
		sh := Shard{ID: name}
		if parents != "" {
			sh.Parents = strings.Split(parents, ",")
		}
		rows = append(rows, newRow("", sh, at))
	}
	return rows
}

func TestMissingLeasesStartWhereNothingIsLostOrReadTwice(t *testing.T) {
	for name, c := range map[string]struct{ start, shards, rows, want string }{
		"empty table, from the start, closed shards too": {TrimHorizon, "A! B<A C<A", "", "A=TRIM_HORIZON; B=TRIM_HORIZON C=TRIM_HORIZON"},
		"empty table, from now":                          {Latest, "A! B<A C<A", "", "B=LATEST C=LATEST"},
		"empty table, from a time":                       {AtTimestamp, "A! B<A", "", "A=AT_TIMESTAMP; B=AT_TIMESTAMP"},
		"a child of a leased shard":                      {Latest, "A! B<A C<A", "A=5", "B=TRIM_HORIZON C=TRIM_HORIZON"},
		"two generations while nobody looked":            {Latest, "A! B!<A C<B D<B", "A=5", "B=TRIM_HORIZON; C=TRIM_HORIZON D=TRIM_HORIZON"},
		"a merge":                                        {Latest, "A! B! C<A,B", "A=5 B=SHARD_END", "C=TRIM_HORIZON"},
		"an ancestor that was cleaned up":                {TrimHorizon, "A! B!<A C<B", "C<B=7", ""},
		"and its other child":                            {Latest, "A! B<A C<A", "B<A=7", "C=TRIM_HORIZON"},
		"one half of a first listing":                    {Latest, "A! B<A C<A", "B<A=LATEST", "C=LATEST"},
		"one half, from a time":                          {AtTimestamp, "A! B<A", "A=AT_TIMESTAMP", "B=AT_TIMESTAMP"},
		"below one read since that time":                 {AtTimestamp, "A! B<A", "A=9", "B=TRIM_HORIZON"},
		"a parent that is gone":                          {Latest, "B<A C<A", "A=5", "B=TRIM_HORIZON C=TRIM_HORIZON"},
		"a child that waits for a lease":                 {Latest, "A! B<A", "B<A=TRIM_HORIZON", "A=TRIM_HORIZON"},
		"a parent that was left out":                     {TrimHorizon, "A! B<A", "B<A=LATEST", ""},
		"children out of order":                          {TrimHorizon, "C<B B!<A A!", "", "A=TRIM_HORIZON; B=TRIM_HORIZON; C=TRIM_HORIZON"},
		"a circle, which cannot be":                      {TrimHorizon, "A<B B<A", "", "A=TRIM_HORIZON B=TRIM_HORIZON"},
		"a lease without a word for where":               {TrimHorizon, "A", "A=", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, g := range newFamily("", c.start, world(c.shards), leases(c.rows)).missing() {
				slices.SortFunc(g, func(a, b row) int { return strings.Compare(a.key, b.key) })
				var words []string
				for _, r := range g {
					words = append(words, r.key+"="+r.checkpoint.Sequence)
				}
				got = append(got, strings.Join(words, " "))
			}
			if name == "a circle, which cannot be" {
				if len(got) == 0 {
					t.Error("nothing is leased")
				}
				return
			}
			if diff := cmp.Diff(c.want, strings.Join(got, "; ")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestShardAfterALongOutageStartsAtItsBeginning(t *testing.T) {
	old := newRow("", Shard{ID: "A", StartingHashKey: "0", EndingHashKey: "99"}, "5")
	listed := shardsByID([]Shard{ // the shards between are trimmed
		{ID: "D", Parents: []string{"C"}, StartingHashKey: "50", EndingHashKey: "74"},
		{ID: "E", StartingHashKey: "100", EndingHashKey: "199"},
	})
	got := map[string]string{}
	for _, g := range newFamily("", Latest, listed, []row{old}).missing() {
		for _, r := range g {
			got[r.shard] = r.checkpoint.Sequence
		}
	}
	if diff := cmp.Diff(map[string]string{"D": TrimHorizon, "E": Latest}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFinishedLeaseGoesWhenAllItsChildrenAreBegun(t *testing.T) {
	for name, c := range map[string]struct{ shards, rows, want string }{
		"children have checkpoints":         {"A! B<A C<A", "A=SHARD_END B<A=5 C<A=SHARD_END", "A"},
		"one child has none":                {"A! B<A C<A", "A=SHARD_END B<A=5 C<A=TRIM_HORIZON", ""},
		"one child has no lease":            {"A! B<A C<A", "A=SHARD_END B<A=5", ""},
		"no child is known":                 {"A!", "A=SHARD_END", ""},
		"it is not finished":                {"A! B<A", "A=9 B<A=5", ""},
		"a child is finished and gone":      {"A! B!<A C<B", "A=SHARD_END C<B=5", "A"},
		"it is trimmed":                     {"B<A", "A=SHARD_END B<A=5", "A"},
		"trimmed, a child is not begun":     {"B<A", "A=SHARD_END B<A=TRIM_HORIZON", ""},
		"one parent of a merge":             {"A! B! C<A,B", "A=SHARD_END B=7 C<A,B=TRIM_HORIZON", ""},
		"nothing is listed but its child's": {"C<B", "A=SHARD_END B<A=SHARD_END C<B=5", "A B"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, r := range newFamily("", TrimHorizon, world(c.shards), leases(c.rows)).over() {
				got = append(got, r.key)
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestChildIsLeasableWhenAllItsParentsAreFinished(t *testing.T) {
	start := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		shards, rows     string
		newer            time.Duration // the listing is so much newer than the lease
		leasable, judged bool
	}{
		"no parents":                         {"C", "C=TRIM_HORIZON", 0, true, true},
		"both parents finished":              {"A! B! C<A,B", "A=SHARD_END B=SHARD_END C<A,B=TRIM_HORIZON", 0, true, true},
		"the adjacent parent is not":         {"A! B! C<A,B", "A=SHARD_END B=7 C<A,B=TRIM_HORIZON", 0, false, true},
		"a parent has no checkpoint yet":     {"A! C<A", "A=TRIM_HORIZON C<A=TRIM_HORIZON", 0, false, true},
		"a begun child of an unfinished one": {"A! C<A", "A=7 C<A=9", 0, false, true},
		"a parent's lease is missing":        {"A! C<A", "C<A=TRIM_HORIZON", 0, false, false},
		"missing, and read on":               {"A! C<A", "C<A=5", 0, true, true},
		"missing and trimmed":                {"C<A", "C<A=TRIM_HORIZON", 0, true, true},
		"missing, the listing is too old":    {"X", "C<A=TRIM_HORIZON", 0, false, false},
		"missing, both of them trimmed":      {"X", "C<A=TRIM_HORIZON", 11 * time.Minute, true, true},
		"missing, the listing may be behind": {"X", "C<A=TRIM_HORIZON", time.Minute, false, false},
		"missing, its sister was read":       {"A! C<A D<A", "C<A=TRIM_HORIZON D<A=4", 0, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := listing{shards: world(c.shards)}
			if c.newer > 0 {
				l.after = start.Add(c.newer)
			}
			rows := map[string]row{}
			for _, r := range leases(c.rows) {
				rows[r.key] = r
			}
			finished := func(r row, parent string) bool {
				return newFamily("", "", l.shards, slices.Collect(maps.Values(rows))).leftOut(parent)
			}
			leasable, judged := l.leasable(rows["C"], rows, start, finished)
			if leasable != c.leasable || judged != c.judged {
				t.Errorf("leasable %v, judged %v; want %v, %v", leasable, judged, c.leasable, c.judged)
			}
		})
	}
}

// TestAnyHistoryOfReshardingIsReadOnceInOrder plays one reader over random
// reshards, listings that come late and trimming: every shard is read exactly
// once, after its parents, and in the end all leases but those of open shards are gone.
func TestAnyHistoryOfReshardingIsReadOnceInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stream := map[string]Shard{"0": {ID: "0"}, "1": {ID: "1"}}
		table := map[string]row{}
		read := map[string]bool{}
		next := 2
		openShards := func() []string {
			var ids []string
			for id, s := range stream {
				if !s.Closed {
					ids = append(ids, id)
				}
			}
			slices.Sort(ids)
			return ids
		}
		closeShard := func(id string) {
			s := stream[id]
			s.Closed = true
			stream[id] = s
		}
		born := func(parents ...string) {
			stream[strconv.Itoa(next)] = Shard{ID: strconv.Itoa(next), Parents: parents}
			next++
		}
		sync := func(most int) {
			f := newFamily("", TrimHorizon, maps.Clone(stream), slices.Collect(maps.Values(table)))
			missing := f.missing()
			for _, g := range missing {
				for _, r := range g {
					if most--; most < 0 {
						return // the worker died
					}
					if read[r.shard] {
						t.Fatalf("%s is leased again", r.shard)
					}
					table[r.shard] = r
				}
			}
			if len(missing) == 0 {
				for _, r := range f.over() {
					delete(table, r.shard)
				}
			}
		}
		consume := func(id string) {
			r, ok := table[id]
			l := listing{shards: maps.Clone(stream)}
			finished := func(r row, parent string) bool {
				return newFamily("", "", l.shards, slices.Collect(maps.Values(table))).leftOut(parent)
			}
			if !ok || r.finished() {
				return
			}
			if leasable, _ := l.leasable(r, table, time.Time{}, finished); !leasable {
				return
			}
			for _, p := range r.parents {
				if !read[p] {
					t.Fatalf("%s is read before its parent %s", id, p)
				}
			}
			if s, listed := stream[id]; s.Closed || !listed {
				r.checkpoint = Checkpoint{Sequence: ShardEnd}
				read[id] = true
			} else {
				r.checkpoint = Checkpoint{Sequence: "1"}
			}
			table[id] = r
		}
		sync(1 << 20)
		t.Repeat(map[string]func(*rapid.T){
			"split": func(t *rapid.T) {
				id := rapid.SampledFrom(openShards()).Draw(t, "shard")
				closeShard(id)
				born(id)
				born(id)
			},
			"merge": func(t *rapid.T) {
				ids := openShards()
				if len(ids) < 2 {
					t.Skip("one shard")
				}
				i := rapid.IntRange(0, len(ids)-2).Draw(t, "first")
				closeShard(ids[i])
				closeShard(ids[i+1])
				born(ids[i], ids[i+1])
			},
			"sync":    func(t *rapid.T) { sync(rapid.SampledFrom([]int{0, 1, 2, 1 << 20}).Draw(t, "leases before it dies")) },
			"consume": func(t *rapid.T) { consume(strconv.Itoa(rapid.IntRange(0, next-1).Draw(t, "shard"))) },
			"trim": func(t *rapid.T) { // what was read may go
				for id, s := range stream {
					if s.Closed && read[id] && !slices.ContainsFunc(s.Parents, func(p string) bool { return stream[p].ID != "" }) {
						delete(stream, id)
						return
					}
				}
			},
		})
		for range 2 * next {
			sync(1 << 20)
			for id := range next {
				consume(strconv.Itoa(id))
			}
		}
		for id, s := range stream {
			if s.Closed && !read[id] {
				t.Fatalf("%s was never read", id)
			}
			if _, leased := table[id]; leased == s.Closed {
				t.Fatalf("%s: closed %v, leased %v", id, s.Closed, leased)
			}
		}
		if len(table) != len(openShards()) {
			t.Fatalf("%d leases for %d open shards", len(table), len(openShards()))
		}
	})
}
