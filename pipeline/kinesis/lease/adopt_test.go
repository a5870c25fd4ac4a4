package lease

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Leases under the new key go on where those under the other key stand.
func TestLeasesUnderAnotherKeyAreAdopted(t *testing.T) {
	me := identity{"1:trail", 1700000000123}
	for name, c := range map[string]struct{ shards, other, rows, want string }{
		"none under the new key":         {"A B", "A=5 B=TRIM_HORIZON", "", "A=5 B=TRIM_HORIZON"},
		"closed, its children unread":    {"A! B<A C<A", "A=5", "", "A=5; B=TRIM_HORIZON C=TRIM_HORIZON"},
		"read to its end":                {"A! B<A C<A", "A=SHARD_END B<A=TRIM_HORIZON", "", "A=SHARD_END; B=TRIM_HORIZON C=TRIM_HORIZON"},
		"its lease was deleted there":    {"A! B<A", "B<A=7", "", "B=7"},
		"and here, with a child begun":   {"A! B<A", "A=5 B<A=TRIM_HORIZON", "B<A=9", ""},
		"some were adopted":              {"A B C", "A=5 B=6 C=LATEST", "A=8", "B=6 C=LATEST"},
		"a parent was not, its child is": {"A! B<A", "A=SHARD_END B<A=TRIM_HORIZON", "B<A=TRIM_HORIZON", "A=SHARD_END"},
		"trimmed":                        {"B<A", "A=SHARD_END B<A=3", "", "B=3"},
	} {
		t.Run(name, func(t *testing.T) {
			for stream, other := range map[string]string{"1:trail:1700000000": "", "": "1:trail:1700000000"} {
				var rows []row
				for _, r := range leases(c.rows) {
					r.stream, r.key, r.of = stream, leaseKey(stream, r.shard), me
					rows = append(rows, r)
				}
				for i, r := range leases(c.other) {
					r.stream, r.key, r.of = other, leaseKey(other, r.shard), me
					if other != "" && i == 0 {
						r.of = identity{} // as the KCL writes it: the key tells
					}
					rows = append(rows, r)
				}
				f := newFamily(stream, Latest, world(c.shards), rows)
				f.of = me
				f.adopt(rows)
				var got []string
				for _, g := range f.missing() {
					slices.SortFunc(g, func(a, b row) int { return strings.Compare(a.key, b.key) })
					var words []string
					for _, r := range g {
						if r.stream != stream || r.of != me {
							t.Errorf("made %+v", r)
						}
						words = append(words, r.shard+"="+r.checkpoint.Sequence)
					}
					got = append(got, strings.Join(words, " "))
				}
				if diff := cmp.Diff(c.want, strings.Join(got, "; ")); diff != "" {
					t.Errorf("key %q, -want +got:\n%s", stream, diff)
				}
				for _, r := range f.over() {
					if r.stream != stream {
						t.Errorf("%s is to be deleted", r.key)
					}
				}
			}
		})
	}
	// Another stream's are not, nor those that do not say.
	rows := leases("A=5 B=6")
	rows[0].of = identity{"1:trail", 1700000000124}
	f := newFamily("1:trail:1700000000", Latest, world("A B"), rows)
	f.of = me
	f.adopt(rows)
	for _, g := range f.missing() {
		for _, r := range g {
			if r.checkpoint.Sequence != Latest {
				t.Errorf("%s starts at %s", r.key, r.checkpoint.Sequence)
			}
		}
	}
}
