package outbox

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/alertstore"
	"github.com/trailtide/trailtide/pipeline/control"
	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// store runs a Store over a file until stop.
func (f *fleet) store(path string) (s *Store, stop func()) {
	f.t.Helper()
	o := f.options()
	o.Registerer = prometheus.NewRegistry()
	s, err := NewStore(f.t.Context(), path, sqlite.Options{}, o)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return s, func() {
		f.t.Helper()
		cancel()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			f.t.Errorf("stop the store: %v", err)
		}
	}
}

func stored(t *testing.T, s *Store) []string {
	t.Helper()
	out := []string{}
	for a, err := range s.File().List(t.Context(), alertstore.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a.AlertID)
	}
	slices.Sort(out)
	return out
}

// say writes into the control topic as the command does.
func (f *fleet) say(r *control.Record) {
	f.t.Helper()
	o := control.Options{Client: client.Options{Brokers: f.cluster.ListenAddrs()}, Topic: f.names.Control(), MetadataMinAge: 50 * time.Millisecond}
	if err := control.Send(f.t.Context(), o, r); err != nil {
		f.t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	f := newFleet(t, 2)
	path := filepath.Join(t.TempDir(), "alerts.db")
	f.tell("a", "-quiet", "b@1")
	f.transact(kgo.TryAbort, "aborted")
	at := time.Now()
	f.say(&control.Record{Action: control.Ack, AlertID: "a", By: "jane", At: at})
	s, stop := f.store(path)
	until(t, "three alerts", func() bool { return slices.Equal(stored(t, s), []string{"-quiet", "a", "b"}) })
	until(t, "an ack", func() bool {
		records, _, err := s.File().Controls(t.Context(), 0)
		return err == nil && len(records) == 1 && records[0].By == "jane"
	})
	until(t, "the group shows no lag", func() bool {
		lag, err := f.adm.Lag(t.Context(), f.names.StoreGroup())
		return err == nil && lag.Error() == nil && lag[f.names.StoreGroup()].Lag.Total() == 0
	})
	stop()

	// The file knows where it stands, whatever the group says.
	if _, err := f.adm.DeleteGroups(t.Context(), f.names.StoreGroup()); err != nil {
		t.Fatal(err)
	}
	f.tell("c")
	ignore := &control.Record{
		Action: control.Ignore, AlertID: "c", Scope: control.ScopeOf(alertOf("c")), At: at, Until: at.Add(time.Hour),
	}
	f.say(ignore)
	f.say(&control.Record{Action: control.Unignore, Scope: ignore.Scope, At: at.Add(time.Minute)})
	s, stop = f.store(path)
	until(t, "the fourth alert", func() bool { return slices.Equal(stored(t, s), []string{"-quiet", "a", "b", "c"}) })
	until(t, "the lifted ignore", func() bool {
		records, _, err := s.File().Controls(t.Context(), 0)
		return err == nil && len(records) == 2 && records[1].Until.Equal(at.Add(time.Minute))
	})
	stats, err := s.File().Stats(t.Context())
	if err != nil || stats.AlertsSaved != 4 || stats.OutboxRows != 0 {
		t.Errorf("stats %+v, %v", stats, err)
	}
	stop()

	// Another file begins at the oldest.
	s, stop = f.store(filepath.Join(t.TempDir(), "other.db"))
	until(t, "all alerts in a new file", func() bool { return len(stored(t, s)) == 4 })
	stop()
}

// TestStoreFellOff: retention removes what the store has not read yet.
func TestStoreFellOff(t *testing.T) {
	f := newFleet(t, 1)
	path := filepath.Join(t.TempDir(), "alerts.db")
	f.tell("a") // 0, marker 1
	s, stop := f.store(path)
	until(t, "one alert", func() bool { return len(stored(t, s)) == 1 })
	stop()
	f.tell("b", "c", "d") // 2, 3, 4
	f.truncate(t, 4)
	s, stop = f.store(path)
	until(t, "the alert that is left", func() bool { return slices.Equal(stored(t, s), []string{"a", "d"}) })
	// The marker after a counts, if it was not read.
	if n := metric(s.o.Registerer.(*prometheus.Registry), "trailtide_store_lost_total"); n < 2 || n > 3 {
		t.Errorf("%v lost, want b and c", n)
	}
	stop()
}

// TestStoreWritesOn: what is stored does not wait for reading the file.
func TestStoreWritesOn(t *testing.T) {
	f := newFleet(t, 1)
	path := filepath.Join(t.TempDir(), "alerts.db")
	f.tell("a")
	s, stop := f.store(path)
	until(t, "one alert", func() bool { return len(stored(t, s)) == 1 })
	if err := s.File().Close(); err != nil {
		t.Fatal(err)
	}
	f.tell("b")
	f.tell("c")
	saved := func() bool {
		return metric(s.o.Registerer.(*prometheus.Registry), "trailtide_store_alerts_total") == 3
	}
	until(t, "alerts of a file that cannot be read", saved)
	stop()
	s, stop = f.store(path)
	defer stop()
	if got := stored(t, s); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("the file has %v", got)
	}
}

// TestStoreLag: alerts that the file does not take show.
func TestStoreLag(t *testing.T) {
	f := newFleet(t, 1)
	path := filepath.Join(t.TempDir(), "alerts.db")
	f.tell("a")
	s, stop := f.store(path)
	defer stop()
	lag := func() float64 { return metric(s.o.Registerer.(*prometheus.Registry), "trailtide_store_lag_records") }
	until(t, "one alert", func() bool { return len(stored(t, s)) == 1 && lag() == 0 })
	other, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	held, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	f.tell("b", "c")
	until(t, "two alerts and a marker of lag", func() bool { return lag() >= 3 })
	if err := held.Rollback(); err != nil {
		t.Fatal(err)
	}
	until(t, "no lag", func() bool { return lag() == 0 })
	if got := stored(t, s); len(got) != 3 {
		t.Errorf("stored %v", got)
	}
}

// TestFollow: what is said reaches the book of every worker.
func TestFollow(t *testing.T) {
	f := newFleet(t, 1)
	at := time.Now()
	f.say(&control.Record{Action: control.Close, AlertID: "a", At: at})
	fo, err := control.Follow(control.Options{
		Client: client.Options{Brokers: f.cluster.ListenAddrs()}, Topic: f.names.Control(), MetadataMinAge: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- fo.Run(ctx) }()
	<-fo.Loaded()
	if why, muted := fo.Muted(alertOf("a")); !muted || why != control.Closed {
		t.Errorf("a closed alert: %s, %t", why, muted)
	}
	if _, muted := fo.Muted(alertOf("b")); muted {
		t.Error("an alert that nobody spoke of is muted")
	}
	scope := control.ScopeOf(alertOf("b"))
	f.say(&control.Record{Action: control.Ignore, AlertID: "b", Scope: scope, At: at, Until: at.Add(time.Hour)})
	muted := func() bool { _, is := fo.Muted(alertOf("b")); return is }
	until(t, "b is ignored", muted)
	f.say(&control.Record{Action: control.Unignore, Scope: scope, At: at})
	until(t, "b is told again", func() bool { return !muted() })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
