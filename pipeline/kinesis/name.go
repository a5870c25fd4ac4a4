package kinesis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// streamName is what Kinesis allows as a stream's name.
var streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// target is a stream as the options name it.
type target struct {
	name   string // of the stream
	arn    string // "" if it is named only
	region string // of the ARN, "" otherwise
	label  string // of its partitions: the name, or ACCOUNT:REGION:NAME where it is taken
}

// parseTarget reads a name or an ARN of a stream.
func parseTarget(s string) (target, error) {
	if !strings.HasPrefix(s, "arn:") {
		if !streamName.MatchString(s) {
			return target{}, fmt.Errorf("%q is no name of a stream", s)
		}
		return target{name: s, label: s}, nil
	}
	a, err := arn.Parse(s)
	name, isStream := strings.CutPrefix(a.Resource, "stream/")
	if err != nil || a.Service != "kinesis" || !isStream || a.Region == "" || a.AccountID == "" || !streamName.MatchString(name) {
		return target{}, fmt.Errorf("%q is not like arn:aws:kinesis:REGION:ACCOUNT:stream/NAME", s)
	}
	return target{name: name, arn: s, region: a.Region, label: name}, nil
}

// parseTargets reads all of them. Of streams that share a name the one without
// an ARN keeps it as its label, else the first.
func parseTargets(all []string) ([]target, []error) {
	var targets []target
	var errs []error
	for _, s := range all {
		t, err := parseTarget(s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if slices.Contains(targets, t) {
			errs = append(errs, fmt.Errorf("%q is named twice", s))
			continue
		}
		targets = append(targets, t)
	}
	owner := make(map[string]int)
	for i, t := range targets {
		if first, taken := owner[t.name]; !taken || t.arn == "" && targets[first].arn != "" {
			owner[t.name] = i
		}
	}
	for i := range targets {
		t := &targets[i]
		if owner[t.name] != i && t.arn != "" {
			a, _ := arn.Parse(t.arn) // parsed before
			t.label = a.AccountID + ":" + a.Region + ":" + t.name
		}
	}
	return targets, errs
}

// consumerStream returns the stream's ARN inside a consumer's, "" if it is none.
func consumerStream(consumer string) string {
	a, err := arn.Parse(consumer)
	stream, rest, ok := strings.Cut(consumer, "/consumer/")
	if err != nil || a.Service != "kinesis" || !ok || rest == "" {
		return ""
	}
	if t, err := parseTarget(stream); err != nil || t.arn == "" {
		return ""
	}
	return stream
}
