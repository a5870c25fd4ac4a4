//go:build unix

package chaos

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/trailtide/trailtide/pipeline/repartition"
)

// lates tells of the first events behind event time, as the markers before them
// in repartition partition 0 have it: what had event time leave them behind.
func (r *trial) lates(ctx context.Context) string {
	const lateness, most = 15 * time.Minute, 3
	var b strings.Builder
	reached := make(map[string]int64)
	told := make(map[string][]string) // by source partition
	var leaps []string
	mark, found := int64(math.MinInt64), 0
	err := r.eachRepartitioned(ctx, func(offset int64, decoded repartition.Record) {
		if ev := decoded.Event; ev != nil && ev.Timed {
			if mark > math.MinInt64 && ev.Time < mark-int64(lateness) && found < most {
				found++
				fmt.Fprintf(&b, "\n\toffset %d: an event of %s at %s is late, event time is %s less %v\n\t\t%s\n\t\tleaps: %s", offset, ev.Partition,
					clock(time.Unix(0, ev.Time)), clock(time.Unix(0, mark)), lateness, strings.Join(told[ev.Partition], "\n\t\t"), strings.Join(leaps[max(0, len(leaps)-12):], "\n\t\t"))
			}
			reached[ev.Partition] = max(ev.Reached, at(reached, ev.Partition))
		}
		m := decoded.Marker
		if m == nil {
			return
		}
		note := func(name, what string) {
			list := append(told[name], fmt.Sprintf("%d %s %s %s", offset, m.Writer, time.Unix(0, m.Written).UTC().Format("15:04:05.000"), what))
			told[name] = list[max(0, len(list)-40):]
		}
		for _, name := range m.Exists {
			if _, ok := reached[name]; !ok {
				reached[name] = repartition.NoTime
				note(name, "exists")
			}
		}
		for _, p := range m.Parts {
			if old, ok := reached[p.Name]; !ok || p.Reached > old {
				note(p.Name, fmt.Sprintf("at %s", clock(time.Unix(0, p.Reached))))
			}
			reached[p.Name] = max(p.Reached, at(reached, p.Name))
		}
		for _, name := range m.Closed {
			delete(reached, name)
			note(name, "closed")
		}
		least, who := int64(math.MaxInt64), ""
		for name, t := range reached {
			if t < least {
				least, who = t, name
			}
		}
		if len(reached) > 0 && least > mark {
			if mark > math.MinInt64 && least-mark > int64(5*time.Minute) {
				leaps = append(leaps, fmt.Sprintf("%d %s %s: from %s to %s of %s, closed %v, exists %d, open %d", offset, m.Writer,
					time.Unix(0, m.Written).UTC().Format("15:04:05.000"), clock(time.Unix(0, mark)), clock(time.Unix(0, least)), who, m.Closed, len(m.Exists), len(reached)))
			}
			mark = least
		}
	})
	if err != nil {
		return err.Error()
	}
	if found == 0 {
		return "\n\tno event"
	}
	return b.String()
}

func at(times map[string]int64, name string) int64 {
	if t, ok := times[name]; ok {
		return t
	}
	return repartition.NoTime
}
