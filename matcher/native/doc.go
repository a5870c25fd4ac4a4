// Package native reads Trailtide's own rule language: YAML files of rules,
// each a condition on one event and perhaps a threshold over many. It parses
// strictly and reports every problem of a file set at once, each with file,
// line and column; it builds the matcher's nodes and evaluates nothing.
//
// The language is described in docs/rules.md.
package native
