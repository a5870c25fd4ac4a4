// Package vocabulary knows the words of CloudTrail: event sources, event names
// and the paths of a record. It is there to tell people of words that no event
// has; a word that it does not know may still be right, for services are newer
// than any list.
//
// The names come from the service models that AWS publishes with its SDKs
// (names.txt.gz, generated) and, for what is no API call, from AWS's
// documentation (supplement.txt and record.txt, by hand, each part with its
// origin). To bring the generated part up to date:
//
//	pip download botocore --no-deps
//	BOTOCORE=$PWD/botocore-1.44.5-py3-none-any.whl go generate ./matcher/vocabulary
package vocabulary

//go:generate go run ./gen -botocore $BOTOCORE -out names.txt.gz
