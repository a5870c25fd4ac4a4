// Package sigma reads Sigma rules, correlations and filters (specification
// 2.1) for CloudTrail and builds the matcher's nodes; it evaluates nothing and
// counts nothing. What is supported, and what was decided where the
// specification is silent, is in docs/languages/sigma.md.
//
// Parse reads one file. A Loader reads many: references between files, by id or
// by name, are resolved over all of them when it links.
package sigma
