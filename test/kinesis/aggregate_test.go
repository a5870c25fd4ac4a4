//go:build unix

package kinesis

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/test/kinesispeers"
)

// What the helper aggregates is, byte by byte, what an independent library
// aggregates, and that library takes it apart again.
func TestAggregate(t *testing.T) {
	kinesispeers.Need(t)
	for _, tt := range []struct {
		name  string
		every int // which records have an explicit hash key; 0: none
		split bool
	}{
		{"without hash keys", 0, true},
		{"with hash keys", 1, true},
		{"mixed", 3, false}, // the library takes a hash key that is missing for the first
	} {
		t.Run(tt.name, func(t *testing.T) {
			var ours []kinesistest.UserRecord
			var theirs []kinesispeers.UserRecord
			for i := range 300 { // indexes of two bytes, keys that come again
				r := kinesistest.UserRecord{Key: fmt.Sprintf("k-%d", i%200), Data: fmt.Appendf(nil, "data \x00\xff %d", i)}
				if tt.every > 0 && i%tt.every == 0 {
					r.HashKey = fmt.Sprintf("%d00000000000000000000", i%7+1) // short numbers lose their order in JavaScript
				}
				ours = append(ours, r)
				theirs = append(theirs, kinesispeers.UserRecord{PartitionKey: r.Key, ExplicitHashKey: r.HashKey, Data: r.Data})
			}
			aggregate := kinesistest.Aggregate(ours...)
			if want := kinesispeers.Aggregate(t, theirs); !bytes.Equal(want, aggregate) {
				t.Errorf("%d bytes %.40x…, the library has %d %.40x…", len(aggregate), aggregate, len(want), want)
			}
			if !tt.split {
				return
			}
			if diff := cmp.Diff(theirs, kinesispeers.Deaggregate(t, aggregate)); diff != "" {
				t.Errorf("records (-aggregated +split):\n%s", diff)
			}
		})
	}
}
