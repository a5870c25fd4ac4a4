//go:build unix

package chaos

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
)

// expected is the reference's outcome, held to the recount before anything runs.
func (r *trial) expected(tr *trafficOf) *outcome {
	r.t.Helper()
	alerts, dead, err := reference(r.t.Context(), tr, r.Sources)
	if err != nil {
		r.t.Fatal(err)
	}
	want := judged(alerts)
	lines, err := recount(tr)
	if err != nil {
		r.t.Fatal(err)
	}
	var own []string // of rules that the recount knows
	for _, line := range want.episodes {
		if rule, _, _ := strings.Cut(line, " "); rule != chainRule {
			own = append(own, line)
		}
	}
	var b strings.Builder
	if difference(&b, "episodes of the reference", lines, own); b.Len() > 0 {
		r.t.Fatalf("TRAILTIDE_CHAOS_SEED=%d: the reference does not say what the recount says:\n%s", r.Seed, &b)
	}
	chains := len(want.episodes) - len(own)
	r.t.Logf("to find: %d plain alerts, %d episodes, %d of them chained, %d absences, %d dead letters",
		len(want.plain), len(want.episodes), chains, len(want.silent), len(dead))
	if len(want.plain) < 100 || len(own) < 100 || chains < 5 || len(want.silent) < 4 || len(dead) < 5 {
		r.t.Fatal("that proves little")
	}
	r.dead = r.deadLines(dead)
	return want
}

// deadLines are what two runs have to agree on of dead letters: where they are,
// or what, if places are not known beforehand.
func (r *trial) deadLines(list []engine.InvalidEvent) (out []string) {
	for _, e := range list {
		place := e.Position
		if r.Input != nil {
			place = string(e.Raw)
		}
		out = append(out, place+" "+e.Reason)
	}
	return out
}

// judge reads everything once more, from the start, and compares.
func (r *trial) judge(f *follower, tr *trafficOf, want *outcome) {
	ctx := r.t.Context()
	read := func(topic string, isolation kgo.IsolationLevel) *content {
		c, err := r.c.read(ctx, topic, isolation)
		if err != nil {
			r.fail("%v", err)
		}
		return c
	}
	committed := read(r.names().Alerts(), kgo.ReadCommitted())
	alerts, broken := parsed(committed.records)
	problems := append(broken, histories(alerts)...)
	if diff := want.differs(judged(alerts)); diff != "" {
		problems = append(problems, diff)
	}
	shown, err := evidence(tr, alerts)
	if err != nil {
		r.fail("%v", err)
	}
	problems = append(problems, shown...)
	// Who reads all the time saw what a later one sees.
	if seen := f.seen(); !slices.EqualFunc(seen, committed.records, func(a, b *kgo.Record) bool { return a.Offset == b.Offset }) {
		problems = append(problems, fmt.Sprintf("a reader that was there saw %d alert records, a later one sees %d", len(seen), len(committed.records)))
	}
	if missing := r.hook.missing(alerts); len(missing) > 0 {
		problems = append(problems, fmt.Sprintf("%d notifications have not reached the sink: %s", len(missing), missing[:min(5, len(missing))]))
	}
	problems = append(problems, r.hook.broken...)

	var dead []string
	for _, rec := range read(r.names().Invalid(), kgo.ReadCommitted()).records {
		e, err := enginekafka.ParseInvalid(rec.Value)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		dead = append(dead, r.deadLines([]engine.InvalidEvent{e})...)
	}
	var b strings.Builder
	difference(&b, "dead letters", r.dead, dead)
	problems = append(problems, b.String())

	problems = append(problems, r.met(read)...)
	r.t.Logf("%d alert records; %s; %s", len(alerts), r.hook.summary(), r.crew.summary())
	for _, p := range problems {
		if p != "" {
			r.t.Error(p)
		}
	}
}

// met says whether the trial has met what it is about: transactions that were
// aborted, with records in them that nobody may take for true.
func (r *trial) met(read func(topic string, isolation kgo.IsolationLevel) *content) []string {
	type place struct {
		partition int32
		offset    int64
	}
	aborts, undone := 0, 0
	for _, topic := range []string{r.names().Alerts(), r.names().Repartition(), r.names().Invalid()} {
		all, seen := read(topic, kgo.ReadUncommitted()), read(topic, kgo.ReadCommitted())
		committed := make(map[place]bool, len(seen.records))
		for _, rec := range seen.records {
			committed[place{rec.Partition, rec.Offset}] = true
		}
		n := 0
		for _, rec := range all.records {
			if !committed[place{rec.Partition, rec.Offset}] {
				n++
			}
		}
		aborts, undone = aborts+all.aborts, undone+n
		r.t.Logf("%s: %d records, %d ends of transactions, %d aborts of %d records", topic, len(seen.records), all.commits, all.aborts, n)
	}
	if !r.Small && (aborts == 0 || undone == 0) {
		return []string{fmt.Sprintf("%d aborts, and a read_uncommitted reader sees %d records more: that proves nothing", aborts, undone)}
	}
	return nil
}
