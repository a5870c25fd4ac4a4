package alerting

import (
	"math"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/window"
)

// policyOf says how the window store counts for a threshold.
func policyOf(t *matcher.Threshold) window.Policy {
	p := window.Policy{N: t.Count, Within: t.Window, Realert: t.Realert}
	switch {
	case t.Correlation != nil:
		return correlationPolicy(t.Correlation)
	case t.Tumbling != nil:
		x := t.Tumbling
		p.Kind, p.Under, p.Missing = window.Tumbling, x.Under, missing[x.Missing]
		p.Periods, p.Points = clamp16(x.Periods), clamp16(x.Points)
	case t.AbsentFor > 0:
		p.Kind, p.N, p.Within = window.Absence, 0, t.AbsentFor
	case t.Distinct != nil:
		p.Kind = window.Distinct
	}
	return p
}

var missing = [...]window.Missing{
	matcher.MissingData: window.NoData, matcher.NotBreaching: window.NotBreaching,
	matcher.Breaching: window.Breaching, matcher.Ignore: window.Ignore,
}

func clamp16(n int) uint16 { return uint16(max(0, min(n, math.MaxUint16))) }

func correlationPolicy(c *matcher.Correlation) window.Policy {
	p := window.Policy{Within: c.Window, Realert: c.Realert, Depth: uint8(c.Depth())}
	if atOnce(c) {
		switch c.Kind {
		case matcher.CountEvents:
			p.Kind, p.N = window.Count, c.Least()
		case matcher.CountValues:
			p.Kind, p.N = window.Distinct, c.Least()
		case matcher.Together:
			p.Kind, p.N = window.Together, c.Least()
		case matcher.InOrder:
			p.Kind, p.N = window.InOrder, len(c.Members)
		default:
			p.Kind, p.Bounds = window.Sum, boundsOf(c)
		}
		return p
	}
	switch c.Kind {
	case matcher.CountEvents:
		p.Kind = window.PeakCount
	case matcher.CountValues:
		p.Kind = window.PeakDistinct
	case matcher.Together, matcher.InOrder:
		p.Kind = window.PeakTags
	case matcher.SumOf:
		p.Kind = window.PeakSum
	case matcher.AverageOf:
		p.Kind = window.Average
	case matcher.PercentileOf:
		p.Kind, p.Percent = window.Percentile, uint32(math.Round(c.Percent*100))
	}
	p.Bounds = boundsOf(c)
	return p
}

// atOnce says that a correlation fires as soon as its condition holds: nothing
// that comes later could change that.
func atOnce(c *matcher.Correlation) bool {
	switch c.Kind {
	case matcher.InOrder:
		return true
	case matcher.AverageOf, matcher.PercentileOf:
		return false
	case matcher.SumOf:
		b := boundsOf(c)
		return c.Lower() && b.Set == window.HasMin && b.Min >= 1
	default: // more matches only raise a count
		return c.Lower()
	}
}

// boundsOf states a correlation's condition in whole numbers. All but means are
// whole numbers themselves, so that their bounds can be closed.
func boundsOf(c *matcher.Correlation) window.Bounds {
	scale := 1.0
	if c.Kind.Numeric() {
		scale = matcher.Scale
	}
	var b window.Bounds
	least := func(v int64, open bool) {
		if b.Set&window.HasMin != 0 && b.Min > v {
			return
		}
		b.Set |= window.HasMin
		b.Min = v
		if open {
			b.Set |= window.MinOpen
		}
	}
	most := func(v int64, open bool) {
		if b.Set&window.HasMax != 0 && b.Max < v {
			return
		}
		b.Set |= window.HasMax
		b.Max = v
		if open {
			b.Set |= window.MaxOpen
		}
	}
	mean := c.Kind == matcher.AverageOf
	for _, bound := range c.Bounds {
		v := int64(math.Round(bound.Value * scale))
		switch bound.Op {
		case matcher.AtLeast:
			least(v, false)
		case matcher.MoreThan:
			if mean {
				least(v, true)
			} else {
				least(v+1, false)
			}
		case matcher.AtMost:
			most(v, false)
		case matcher.LessThan:
			if mean {
				most(v, true)
			} else {
				most(v-1, false)
			}
		case matcher.EqualTo:
			least(v, false)
			most(v, false)
		case matcher.NotEqualTo:
			b.Set |= window.HasNot
			b.Not = v
		}
	}
	return b
}
