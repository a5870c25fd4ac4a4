package native

import (
	"slices"
	"strings"
)

// IsTopField says whether a CloudTrail record may have a field of that name at
// its top.
func IsTopField(name string) bool { return slices.Contains(topFields, name) }

// Nearest returns the one of valid that a person may have meant by word, "" if
// none is near.
func Nearest(word string, valid []string) string { return nearest(word, valid) }

// NearestTopField is Nearest of the fields at the top of a record.
func NearestTopField(name string) string { return nearest(name, topFields) }

// FieldEndingIn returns the first known path of a record whose last key is
// name, "" if there is none.
func FieldEndingIn(name string) string {
	for _, f := range sortedTextFields {
		if strings.HasSuffix(f, "."+name) {
			return f
		}
	}
	return ""
}
