package sinks

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAppendJSONWithin(t *testing.T) {
	big := json.RawMessage(`{"big":"` + strings.Repeat("x", 1000) + `"}`)
	a := &Alert{AlertID: "a", Event: big, Events: []json.RawMessage{big, big}}
	tests := []struct {
		limit         int
		event, events bool
	}{
		{10_000, true, true},
		{2_500, true, false},
		{900, false, false},
		{1, false, false}, // it cannot get smaller
	}
	for _, tt := range tests {
		out := a.AppendJSONWithin([]byte("prefix"), tt.limit)
		got, err := ParseAlert(out[len("prefix"):])
		if err != nil {
			t.Fatal(err)
		}
		if (got.Event != nil) != tt.event || (got.Events != nil) != tt.events || got.EvidenceCut == tt.events {
			t.Errorf("limit %d: %s", tt.limit, out)
		}
		if len(out)-len("prefix") > tt.limit && tt.limit > 1 {
			t.Errorf("limit %d: %d bytes", tt.limit, len(out))
		}
	}
	if a.Event == nil || len(a.Events) != 2 || a.EvidenceCut {
		t.Error("the alert was changed")
	}
}
