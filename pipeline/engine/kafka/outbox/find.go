package outbox

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/sinks"
)

// Find reads the alerts topic for the newest state of the alert whose ID is id
// or, if only one does, begins with it: for a machine without the alert store.
// Errors are those of alertstore.Store.Get.
func Find(ctx context.Context, o Options, id string) (*sinks.Alert, error) {
	o = o.withDefaults()
	found := map[string][]byte{}
	err := o.scan(ctx, o.Names.Alerts(), func(r *kgo.Record) {
		if strings.HasPrefix(string(r.Key), id) {
			found[string(r.Key)] = r.Value
		}
	})
	if err != nil {
		return nil, err
	}
	value, exact := found[id]
	switch {
	case len(found) == 0 || id == "":
		return nil, alertstore.ErrNotFound
	case exact:
		return sinks.ParseAlert(value)
	case len(found) > 1:
		ids := slices.Sorted(maps.Keys(found))
		return nil, &alertstore.AmbiguousError{Prefix: id, IDs: ids[:min(len(ids), 5)]}
	}
	for _, value = range found {
		break
	}
	return sinks.ParseAlert(value)
}
