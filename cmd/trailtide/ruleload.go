package main

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/builtin"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/pipeline/enrich"
)

// ruleChoice says which rules to load.
type ruleChoice struct {
	paths     []string
	noBuiltin bool
	disable   []string // rule IDs, * stands for any text
	enable    []string
	// placeholders are the values of %name% in Sigma rules; assigned are more of
	// them, as NAME=VALUE,VALUE.
	placeholders map[string][]string
	assigned     []string
	enrich       enrich.Options // what country, list and account conditions look into
	lists        []string       // more lists, as NAME=FILE
}

func (c *ruleChoice) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVarP(&c.paths, "rules", "r", nil, "rule file or directory; may be given several times")
	f.BoolVar(&c.noBuiltin, "no-builtin", false, "leave the built-in rules out")
	f.StringArrayVar(&c.disable, "disable", nil, "switch a rule off, by ID; * stands for any text")
	f.StringArrayVar(&c.assigned, "placeholder", nil, "NAME=VALUE,VALUE of a %NAME% in Sigma rules")
	f.StringVar(&c.enrich.CountryDB, "country-db", "", "MaxMind-format file for conditions on countries")
	f.StringVar(&c.enrich.Accounts, "accounts", "", "account names: CSV, or an export of AWS Organizations")
	f.StringVar(&c.enrich.AWSIPRanges, "aws-ip-ranges", "", "Amazon's ip-ranges.json, for the lists aws_ip_ranges and aws_ip_ranges/SERVICE")
	f.StringArrayVar(&c.lists, "list", nil, "NAME=FILE of values, patterns and CIDRs for conditions on lists")
	f.StringArrayVar(&c.enable, "enable", nil, "switch a rule on, by ID; * stands for any text")
}

// loadedRules are rules as they were read, and compiled.
type loadedRules struct {
	set      *matcher.Ruleset
	suppress []*matcher.Suppression // global ones
	warnings []native.Warning
	notes    []string // documents that were left out
	// correlations are over the rules of set.
	correlations []*matcher.Correlation
	files        []string         // read
	dirs         []string         // searched
	enrich       matcher.Enricher // nil: none
}

// loadRules reads and compiles. All errors are reported at once; files and dirs
// are there even with an error, for a watcher.
func loadRules(c ruleChoice) (*loadedRules, error) {
	placeholders, err := parsePlaceholders(c.assigned)
	if err != nil {
		return &loadedRules{}, err
	}
	for name, values := range c.placeholders {
		placeholders[name] = values
	}
	l, rules, err := readRules(c.paths, placeholders)
	errs := []error{err}
	if !c.noBuiltin {
		pack, err := native.Loader{}.LoadFS(builtin.FS(), ".")
		errs = append(errs, err)
		for _, r := range pack.Rules {
			r.Builtin = true
		}
		rules = append(rules, pack.Rules...)
		l.suppress = append(l.suppress, pack.Suppress...)
	}
	errs = append(errs, toggle(rules, c.enable, true), toggle(rules, c.disable, false))
	if err := errors.Join(errs...); err != nil {
		return l, err
	}
	if len(rules) == 0 {
		return l, errors.New("there are no rules: name some with --rules, or leave the built-in ones in")
	}
	opts := matcher.Options{Suppress: l.suppress, Correlations: l.correlations}
	sources, err := c.enrichment()
	if err != nil {
		return l, err
	}
	l.files = append(l.files, sources.Files()...)
	if !sources.Empty() {
		e, err := enrich.Open(sources)
		if err != nil {
			return l, err
		}
		opts.Enrich, l.enrich = e, e
	}
	l.set, err = matcher.Compile(rules, opts)
	return l, err
}

// toggle switches the rules that a pattern names on or off. A pattern that
// names none is an error: a mistyped ID would leave the rule as it was.
func toggle(rules []*matcher.Rule, patterns []string, on bool) error {
	var errs []error
	for _, p := range patterns {
		found := false
		for _, r := range rules {
			if ok, err := path.Match(p, r.ID); err == nil && ok {
				r.Enabled, found = on, true
			}
		}
		if !found {
			errs = append(errs, fmt.Errorf("no rule has the ID %q", p))
		}
	}
	return errors.Join(errs...)
}

// enrichment joins the sources with the lists of the command line.
func (c *ruleChoice) enrichment() (enrich.Options, error) {
	o := c.enrich
	o.Lists = maps.Clone(o.Lists)
	for _, a := range c.lists {
		name, file, ok := strings.Cut(a, "=")
		if !ok || name == "" || file == "" {
			return o, fmt.Errorf("--list: %q is not NAME=FILE", a)
		}
		if o.Lists == nil {
			o.Lists = make(map[string]string)
		}
		o.Lists[name] = file
	}
	return o, nil
}

// parsePlaceholders reads NAME=VALUE,VALUE.
func parsePlaceholders(assigned []string) (map[string][]string, error) {
	out := make(map[string][]string)
	for _, a := range assigned {
		name, values, ok := strings.Cut(a, "=")
		if !ok || name == "" || values == "" {
			return nil, fmt.Errorf("--placeholder: %q is not NAME=VALUE,VALUE", a)
		}
		out[strings.Trim(name, "%")] = strings.Split(values, ",")
	}
	return out, nil
}
