package fleet

import "testing"

func TestFleetAnswersAsOneWorkerDoes(t *testing.T) {
	rs := compile(t, busyRules)
	events := testEvents(t, 1, 20_000)
	want := final(reference(t, rs, events))
	if len(want) < 100 {
		t.Fatalf("only %d alerts to find", len(want))
	}
	c := testBroker(t)
	alerts := readAlerts(t, c)
	for _, name := range []string{"a", "b", "c"} {
		start(t, c, name, rs)
	}
	produce(t, testClient(t, c), events)
	alerts.waitFor(t, want)
}
