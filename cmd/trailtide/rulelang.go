package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/cloudwatch"
	"github.com/trailtide/trailtide/matcher/eventbridge"
	"github.com/trailtide/trailtide/matcher/lint"
	"github.com/trailtide/trailtide/matcher/lucene"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/matcher/sigma"
	"github.com/trailtide/trailtide/matcher/vocabulary"
)

// nativeLoader reads native rules, whose conditions may be written in the other
// languages. warn gets what those say.
func nativeLoader(warn func(native.Warning)) native.Loader {
	return native.Loader{Languages: map[string]native.Language{
		"cloudwatch":  cloudwatch.Language(warn),
		"eventbridge": eventbridge.Language(eventbridge.Options{}, warn),
		"lucene":      lucene.Parser{}.Language(warn),
	}}
}

// readRules reads native and Sigma rules, which may lie side by side: every file
// is told by what is in it.
func readRules(paths []string, placeholders map[string][]string) (*loadedRules, []*matcher.Rule, error) {
	l := &loadedRules{}
	sig, sigmaErr := sigma.LoadFiles(paths, sigma.Options{Placeholders: placeholders})
	own, nativeErr := nativeLoader(func(w native.Warning) { l.warnings = append(l.warnings, w) }).LoadFiles(sig.Other)
	l.warnings = append(append(l.warnings, own.Warnings...), sig.Warnings...)
	for _, s := range sig.Skipped {
		l.notes = append(l.notes, s.String())
	}
	l.files, l.dirs, l.suppress = sig.Files, sig.Dirs, own.Suppress
	rules, correlations := sig.Lower()
	l.correlations = correlations
	return l, append(own.Rules, rules...), errors.Join(sigmaErr, nativeErr)
}

// queryRules reads an expression in a language as rules: one, or of files all
// that are in them. The IDs mean nothing.
func queryRules(language, name, expression string, placeholders map[string][]string) ([]*matcher.Rule, []native.Warning, error) {
	var node matcher.Node
	var warnings []native.Warning
	var err error
	switch language {
	case "native":
		if native.HasRules([]byte(expression)) {
			set, err := nativeLoader(func(w native.Warning) { warnings = append(warnings, w) }).Parse(name, []byte(expression))
			return conditions(set.Rules), append(warnings, set.Warnings...), err
		}
		node, warnings, err = native.ParseMatch(name, []byte(expression))
	case "sigma":
		node, warnings, err = sigma.Query(name, []byte(expression), sigma.Options{Placeholders: placeholders})
	case "cloudwatch":
		node, warnings, err = cloudwatch.Parse(name, strings.TrimRight(expression, "\r\n"), matcher.Pos{})
	case "eventbridge":
		node, warnings, err = eventbridge.Parse(name, []byte(expression))
	case "lucene":
		node, warnings, err = lucene.Parser{Events: vocabulary.Default()}.Parse(name, strings.TrimRight(expression, "\r\n"), matcher.Pos{})
	default:
		return nil, nil, fmt.Errorf("--language: %q is not native, sigma, cloudwatch, eventbridge or lucene", language)
	}
	if err != nil {
		return nil, warnings, err
	}
	return []*matcher.Rule{{ID: "query", Enabled: true, Cond: node}}, warnings, nil
}

// namelessRules reads an EventBridge pattern for objects that need not be
// CloudTrail records: one with a detail is an EventBridge event as it is. It
// costs more than the plain form, which serves every object with an event name.
func namelessRules(language, name, expression string) ([]*matcher.Rule, error) {
	if language != "eventbridge" {
		return nil, nil
	}
	node, _, err := eventbridge.ParseWith(name, []byte(expression), eventbridge.Options{Envelopes: true})
	if err != nil {
		return nil, err
	}
	return []*matcher.Rule{{ID: "query", Enabled: true, Cond: node}}, nil
}

// conditions leaves of rules what a search needs: whether an event matches.
func conditions(rules []*matcher.Rule) []*matcher.Rule {
	out := make([]*matcher.Rule, len(rules))
	for i, r := range rules {
		out[i] = &matcher.Rule{ID: fmt.Sprintf("query-%d", i), Enabled: true, Cond: r.Cond, Pos: r.Pos}
	}
	return out
}

// remarks are what the readers and the linter have to say of rules that load.
func (l *loadedRules) remarks() []string {
	var out []string
	for _, w := range l.warnings {
		out = append(out, w.String())
	}
	if l.set != nil {
		for _, f := range lint.Check(l.set.Rules(), l.suppress, nil) {
			out = append(out, f.String())
		}
	}
	return out
}
