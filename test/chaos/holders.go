//go:build unix

package chaos

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/repartition"
)

// holders are the source partitions that hold event time, as the markers in a
// repartition partition say: those that were not closed, the furthest behind first.
func (r *trial) holders(ctx context.Context) string {
	reached, told := make(map[string]int64), make(map[string]string)
	err := r.eachRepartitioned(ctx, func(_ int64, rec repartition.Record) {
		m := rec.Marker
		if m == nil {
			return
		}
		note := func(name, how string, t int64) {
			if old, ok := reached[name]; !ok || t > old {
				reached[name] = t
			}
			told[name] = fmt.Sprintf("%s at %s, %s", m.Writer, time.Unix(0, m.Written).UTC().Format("15:04:05.000"), how)
		}
		for _, name := range m.Exists {
			note(name, "exists", repartition.NoTime)
		}
		for _, p := range m.Parts {
			note(p.Name, fmt.Sprintf("live %t", p.Live), p.Reached)
		}
		for _, name := range m.Closed {
			delete(reached, name)
		}
	})
	if err != nil {
		return err.Error()
	}
	names := slices.SortedFunc(maps.Keys(reached), func(a, b string) int { return cmp.Compare(reached[a], reached[b]) })
	var b strings.Builder
	for _, name := range names {
		at := "no time"
		if reached[name] != repartition.NoTime {
			at = clock(time.Unix(0, reached[name]))
		}
		fmt.Fprintf(&b, "\n\t%s is at %s; told last by %s", name, at, told[name])
	}
	return b.String()
}

// eachRepartitioned calls f with each record of repartition partition 0 that is
// committed, and its offset.
func (r *trial) eachRepartitioned(ctx context.Context, f func(offset int64, rec repartition.Record)) error {
	all, err := r.c.read(ctx, r.names().Repartition(), kgo.ReadCommitted())
	if err != nil {
		return err
	}
	for _, rec := range all.records {
		if rec.Partition != 0 {
			continue
		}
		decoded, err := repartition.Decode(rec.Value, func(hash uint64) *alerting.Rule { return &alerting.Rule{Hash: hash} })
		if err != nil {
			return err
		}
		f(rec.Offset, decoded)
	}
	return nil
}
