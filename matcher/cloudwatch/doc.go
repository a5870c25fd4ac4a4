// Package cloudwatch reads CloudWatch Logs metric filter patterns, the JSON form
// { $.field = value } and the plain-term form, and lowers them into the matcher's
// nodes; it evaluates nothing. It also says what a CloudWatch alarm on such a
// filter's metric means as a threshold.
//
// Semantics: Amazon CloudWatch Logs User Guide, "Filter pattern syntax for metric
// filters"; where that is silent, docs/languages/cloudwatch.md names the decision.
package cloudwatch
