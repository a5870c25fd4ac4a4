package native

import (
	"strings"
	"testing"
)

func TestParseMatch(t *testing.T) {
	n, _, err := ParseMatch("expression", []byte("{eventName: [StopLogging, DeleteTrail], awsRegion: {not: us-east-1}}"))
	if err != nil || n == nil {
		t.Fatalf("%v %v", n, err)
	}
	for src, want := range map[string]string{
		"{evenName: [":           "expression:1:",
		"":                       "a match map is expected",
		"[a]":                    "expression:1:1",
		"{awsRegion: {nott: x}}": "did you mean",
	} {
		if _, _, err := ParseMatch("expression", []byte(src)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", src, err, want)
		}
	}
	if !HasRules([]byte("rules: []")) || HasRules([]byte("{eventName: rules}")) {
		t.Error("a rule file is not told from a match map")
	}
}
