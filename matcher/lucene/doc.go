// Package lucene reads Lucene query strings, as users of Elasticsearch,
// OpenSearch and Coralogix write them, and lowers them into matcher's nodes.
//
// Semantics: Lucene 8 classic QueryParser with default operator OR, and
// Elasticsearch's query_string where it goes further (_exists_, f:*, f:>5, purely
// negative queries). docs/languages/lucene.md lists every decision.
package lucene
