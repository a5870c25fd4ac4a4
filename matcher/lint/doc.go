// Package lint tells of rules that can never match a CloudTrail event, and of
// rules that are of no use beside others. It looks at compiled conditions, so
// that it is the same for every rule language. It never refuses a rule: what it
// does not know may be newer than what it knows.
//
// It proves little by little: what it cannot see through (regular expressions on
// free fields, conditions inside arrays, keyword searches) it takes as possible,
// so that a rule it calls dead is dead as far as the vocabulary is right.
package lint
