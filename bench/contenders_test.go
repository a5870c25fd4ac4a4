package bench

import (
	"bytes"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fastjson"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// parsing parses each event with a parser that is used again: what an engine
// does that parses first and asks then.
func parsing(tb testing.TB, c corpus) measure.Contender {
	tb.Helper()
	tb.Helper()
	var p fastjson.Parser
	return measure.Contender{Name: "parse", Events: len(c.events), Run: func() {
		for _, raw := range c.events {
			if _, err := p.ParseBytes(raw); err != nil {
				tb.Fatal(err)
			}
		}
	}}
}

// hashing touches every byte of each event.
func hashing(c corpus) measure.Contender {
	var sum uint64
	return measure.Contender{Name: "xxhash", Events: len(c.events), Run: func() {
		for _, raw := range c.events {
			sum += xxhash.Sum64(raw)
		}
	}}
}

// splitting finds the lines of a text that holds each event on one.
func splitting(c corpus) measure.Contender {
	text := append(bytes.Join(c.events, []byte{'\n'}), '\n')
	var lines int
	return measure.Contender{Name: "lines", Events: len(c.events), Run: func() {
		for rest := text; len(rest) > 0; lines++ {
			rest = rest[bytes.IndexByte(rest, '\n')+1:]
		}
	}}
}

// matching matches each event.
func matching(tb testing.TB, name string, c corpus, rules []*matcher.Rule) measure.Contender {
	tb.Helper()
	tb.Helper()
	m := compile(tb, rules).NewMatcher()
	var ev cloudtrail.Event
	var hits []matcher.Hit
	return measure.Contender{Name: name, Events: len(c.events), Run: func() {
		for _, raw := range c.events {
			ev.Reset(raw)
			var err error
			if hits, _, err = m.Match(hits[:0], &ev); err != nil {
				tb.Fatal(err)
			}
		}
	}}
}
