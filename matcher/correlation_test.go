package matcher

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

func named(id, event string) *Rule {
	return &Rule{ID: id, Enabled: true, Cond: &Field{Path: Keys("eventName"), Leaf: Leaf{Op: Equals(false, event)}}}
}

func correlation(id string, kind CorrelationKind, bounds []Bound, members ...string) *Correlation {
	c := &Correlation{
		Rule: &Rule{ID: id, Enabled: true, Pos: Pos{File: "c.yml", Line: 3}}, Kind: kind, Bounds: bounds, Window: time.Minute,
	}
	for _, m := range members {
		c.Members = append(c.Members, Member{RuleID: m})
	}
	return c
}

func atLeast(n float64) []Bound { return []Bound{{AtLeast, n}} }

func TestHitsOfCorrelations(t *testing.T) {
	silent := named("a", "A")
	silent.Silent = true
	off := correlation("off", CountEvents, atLeast(2), "a")
	off.Rule.Enabled = false
	mute := &Suppression{Cond: &Field{Path: Keys("who"), Leaf: Leaf{Op: Equals(false, "robot")}}, Reason: "robots", Rules: []string{"both"}}
	rs, err := Compile([]*Rule{silent, named("b", "B")}, Options{
		Suppress: []*Suppression{mute},
		Correlations: []*Correlation{
			correlation("both", Together, atLeast(2), "b", "a"), off,
			correlation("chain", CountEvents, atLeast(2), "both"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, raw := range []string{`{"eventName":"A"}`, `{"eventName":"B"}`, `{"eventName":"B","who":"robot"}`, `{"eventName":"C"}`} {
		var ev cloudtrail.Event
		ev.Reset([]byte(raw))
		hits, _, err := rs.NewMatcher().Match(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		line := ""
		for _, h := range hits {
			line += " " + h.Rule.ID
			if h.Member != nil {
				line += "/" + h.Member.RuleID
			}
			if h.Suppressed != nil {
				line += "!"
			}
		}
		got = append(got, line)
	}
	if d := cmp.Diff([]string{" both/a", " b both/b", " b both/b!", ""}, got); d != "" {
		t.Errorf("hits (-want +got):\n%s", d)
	}
	feeds := rs.Rule("both").Feeds()
	if len(feeds) != 1 || feeds[0].To != rs.Rule("chain") || rs.Rule("chain").Threshold.Correlation.Depth() != 1 {
		t.Errorf("feeds are %+v", feeds)
	}
	if rs.Rule("both").Cond == nil || len(rs.Rules()) != 5 {
		t.Error("the correlations' rules are not there")
	}
}

func TestBadCorrelations(t *testing.T) {
	grouped := correlation("c", CountEvents, atLeast(2), "inner")
	grouped.GroupBy = []string{"who"}
	grouped.Members[0].GroupBy = []cloudtrail.Path{{"who"}}
	uneven := correlation("c", CountEvents, atLeast(2), "a")
	uneven.GroupBy = []string{"who"}
	for name, tc := range map[string]struct {
		list []*Correlation
		want string
	}{
		"unknown":      {[]*Correlation{correlation("c", CountEvents, atLeast(2), "nobody")}, "there is no rule nobody"},
		"itself":       {[]*Correlation{correlation("c", CountEvents, atLeast(2), "c")}, "refers to itself"},
		"circle":       {[]*Correlation{correlation("c", CountEvents, atLeast(2), "d"), correlation("d", CountEvents, atLeast(2), "c")}, "refers to itself"},
		"taken":        {[]*Correlation{correlation("a", CountEvents, atLeast(2), "b")}, "already that of a rule"},
		"twice":        {[]*Correlation{correlation("c", CountEvents, atLeast(2), "b"), correlation("c", CountEvents, atLeast(2), "b")}, "already that of the correlation"},
		"same rule":    {[]*Correlation{correlation("c", InOrder, atLeast(2), "a", "a")}, "twice"},
		"part order":   {[]*Correlation{correlation("c", InOrder, atLeast(1), "a", "b")}, "of all its rules"},
		"upper alone":  {[]*Correlation{correlation("c", CountEvents, []Bound{{LessThan, 5}}, "a")}, "absent_for"},
		"fraction":     {[]*Correlation{correlation("c", CountEvents, atLeast(1.5), "a")}, "whole number"},
		"too many":     {[]*Correlation{correlation("c", Together, atLeast(3), "a", "b")}, "more rules"},
		"no value":     {[]*Correlation{correlation("c", SumOf, atLeast(3), "a")}, "fields"},
		"no condition": {[]*Correlation{correlation("c", CountEvents, nil, "a")}, "no condition"},
		"no members":   {[]*Correlation{correlation("c", CountEvents, atLeast(1))}, "too many or too few"},
		"huge":         {[]*Correlation{correlation("c", CountEvents, atLeast(1e6), "a")}, "65536"},
		"ungrouped":    {[]*Correlation{correlation("inner", CountEvents, atLeast(2), "a"), grouped}, "not grouped by who"},
		"uneven":       {[]*Correlation{uneven}, "group-by"},
	} {
		_, err := Compile([]*Rule{named("a", "A"), named("b", "B")}, Options{Correlations: tc.list})
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "c.yml:3: correlation ") {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestHashOfACorrelation(t *testing.T) {
	hash := func(change func(c *Correlation)) uint64 {
		c := correlation("c", Together, atLeast(2), "a", "b")
		change(c)
		rs, err := Compile([]*Rule{named("a", "A"), named("b", "B")}, Options{Correlations: []*Correlation{c}})
		if err != nil {
			t.Fatal(err)
		}
		return rs.Rule("c").Hash
	}
	same := hash(func(*Correlation) {})
	seen := map[uint64]bool{same: true}
	if hash(func(c *Correlation) { c.Rule.Title = "other" }) != same {
		t.Error("the title changes the hash")
	}
	for i, change := range []func(c *Correlation){
		func(c *Correlation) { c.Bounds = atLeast(1) },
		func(c *Correlation) { c.Kind = InOrder },
		func(c *Correlation) { c.Window++ },
		func(c *Correlation) { c.Members[0], c.Members[1] = c.Members[1], c.Members[0] },
		func(c *Correlation) {
			c.GroupBy = []string{"who"}
			c.Members[0].GroupBy = []cloudtrail.Path{{"x"}}
			c.Members[1].GroupBy = []cloudtrail.Path{{"y"}}
		},
	} {
		h := hash(change)
		if seen[h] {
			t.Errorf("change %d does not change the hash", i)
		}
		seen[h] = true
	}
}

func TestScaleNumberRoundsToTheNearest(t *testing.T) {
	limit := new(big.Rat).SetInt64(greatestNumber)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,8})?([eE][-+]?[0-9]{1,2})?`).Draw(t, "number")
		got, ok := ScaleNumber([]byte(text))
		if !ok || !json.Valid([]byte(text)) {
			t.Fatalf("%s is not read", text)
		}
		r, _ := new(big.Rat).SetString(text)
		r.Mul(r, big.NewRat(Scale, 1))
		diff := new(big.Rat).Sub(new(big.Rat).SetInt64(got), r)
		if new(big.Rat).Abs(r).Cmp(limit) >= 0 {
			if got != int64(r.Sign())*greatestNumber && math.Abs(float64(got)) < greatestNumber-10 {
				t.Fatalf("%s is %d", text, got)
			}
			return
		}
		if diff.Abs(diff).Cmp(big.NewRat(1, 2)) > 0 && math.Abs(float64(got)) < greatestNumber-20 {
			t.Fatalf("%s is %d", text, got)
		}
	})
	for _, text := range []string{"", "1x", "0x10", " 1", "NaN", "1.", "--1"} {
		if _, ok := ScaleNumber([]byte(text)); ok {
			t.Errorf("%q is a number", text)
		}
	}
}
