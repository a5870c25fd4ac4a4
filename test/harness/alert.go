package harness

import (
	"bufio"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Alert is what the suites read of a line of --output ndjson.
type Alert struct {
	AlertID     string             `json:"alert_id"`
	RuleID      string             `json:"rule_id"`
	Title       string             `json:"title"`
	Severity    string             `json:"severity"`
	Status      string             `json:"status"`
	Time        *time.Time         `json:"time"`
	FirstTime   *time.Time         `json:"first_time"`
	LastTime    *time.Time         `json:"last_time"`
	Count       int                `json:"count"`
	Group       map[string]*string `json:"group"`
	Account     *string            `json:"account"`
	Region      *string            `json:"region"`
	User        *string            `json:"user"`
	SourceIP    *string            `json:"source_ip"`
	EventName   *string            `json:"event_name"`
	EventSource *string            `json:"event_source"`
	EventID     *string            `json:"event_id"`
	EventIDs    []string           `json:"event_ids"`
	Position    string             `json:"position"`
	Event       json.RawMessage    `json:"event"`
	MergedInto  string             `json:"merged_into"`
	Suppression string             `json:"suppression"`
}

// Dead is one line of a dead letter.
type Dead struct {
	Position string `json:"position"`
	Reason   string `json:"reason"`
	Raw      string `json:"raw"`
}

// Alerts parses NDJSON output.
func Alerts(t testing.TB, out string) []Alert {
	t.Helper()
	return parsed[Alert](t, out)
}

// DeadLetters parses NDJSON dead letters.
func DeadLetters(t testing.TB, out string) []Dead {
	t.Helper()
	return parsed[Dead](t, out)
}

func parsed[T any](t testing.TB, out string) []T {
	t.Helper()
	var all []T
	EachLine(t, out, func(line []byte) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("a line is not %T: %v\n%.300s", v, err, line)
		}
		all = append(all, v)
	})
	return all
}

// EachLine calls each with every line of a text.
func EachLine(t testing.TB, text string, each func([]byte)) {
	t.Helper()
	sc := bufio.NewScanner(strings.NewReader(text))
	sc.Buffer(nil, 1<<30)
	for sc.Scan() {
		each(sc.Bytes())
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
}
