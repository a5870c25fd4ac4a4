package engine_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/sinks"
)

// The last change of a key counts, whatever came before it and whether or not
// a failed commit has already asked for the entries.
func TestChangesKeepTheLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c engine.Changes
		want := map[string]string{}
		check := func() {
			got := map[string]string{}
			prev := ""
			for _, e := range c.Entries() {
				id := fmt.Sprintf("%d/%s", e.Table, e.Key)
				if id <= prev {
					t.Fatalf("entries are not sorted or not unique: %q after %q", id, prev)
				}
				prev = id
				got[id] = fmt.Sprintf("%t %s", e.Deleted, e.Value)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("entries (-want +got):\n%s", d)
			}
		}
		for i := range rapid.IntRange(0, 60).Draw(t, "steps") {
			table := engine.Table(rapid.IntRange(1, 4).Draw(t, "table"))
			key := []byte{byte('a' + rapid.IntRange(0, 5).Draw(t, "key"))}
			id := fmt.Sprintf("%d/%s", table, key)
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0:
				check()
			case 1, 2, 3:
				c.Delete(table, key)
				want[id] = "true "
			default:
				c.Put(table, key, fmt.Appendf(nil, "v%d", i))
				want[id] = fmt.Sprintf("false v%d", i)
			}
			if table == engine.Evidence {
				value, known := c.EvidenceOf(key)
				if w, ok := want[id]; ok != known || ok && w != fmt.Sprintf("%t %s", value == nil, value) {
					t.Fatalf("EvidenceOf(%s) = %q, %t; want %q, %t", key, value, known, w, ok)
				}
			}
		}
		check()
	})
}

func TestChangesCopyWhatIsBorrowed(t *testing.T) {
	c := engine.Changes{MaxRaw: 4}
	raw := []byte("broken frame")
	c.DeadLetter("f:1", "no JSON", raw)
	clear(raw)
	if got := c.Invalid[0]; !bytes.Equal(got.Raw, []byte("brok")) || got.Size != 12 {
		t.Errorf("kept %q of %d bytes, want %q of 12", got.Raw, got.Size, "brok")
	}
	a := &sinks.Alert{AlertID: "1", Count: 1}
	c.Alert(a, true, false)
	a.Count = 2
	c.Alert(a, true, true)
	c.Alert(a, false, false)
	if len(c.Alerts) != 2 || c.Alerts[0].Alert.Count != 1 || c.Alerts[1].Alert.Count != 2 {
		t.Errorf("alerts %+v, want states 1 and 2", c.Alerts)
	}
}
