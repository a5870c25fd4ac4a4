// Package sinktest is the conformance suite of sinks: what Sink promises in
// words, as tests that every sink runs.
package sinktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trailtide/trailtide/sinks"
)

// Receiver is the far end of a sink under test.
type Receiver interface {
	// Received returns the alerts that have arrived, in order, each as often as
	// it did.
	Received(t *testing.T) []*sinks.Alert
}

// Harness makes sinks for the suite. Each sink gets a receiver of its own. The
// suite closes the sinks.
type Harness struct {
	// New returns a sink whose receiver takes everything.
	New func(t *testing.T) (sinks.Sink, Receiver)
	// Refusing returns a sink whose receiver refuses the alerts for which refuse
	// is true, and takes the others. nil: such a receiver cannot be had.
	Refusing func(t *testing.T, refuse func(alertID string) bool) (sinks.Sink, Receiver)
	// Failing returns a sink whose receiver fails everything for now. nil: cannot be had.
	Failing func(t *testing.T) sinks.Sink
	// Stuck returns a sink whose receiver never answers. nil: cannot be had, or
	// the sink says that it cannot be interrupted.
	Stuck func(t *testing.T) sinks.Sink
	// Inexact is set by a sink whose receiver sees less than the whole alert:
	// only the alert IDs are compared.
	Inexact bool
}

// Alert returns the i-th alert of the suite: every field is set, and what comes
// from events is as nasty as events can be.
func Alert(i int) *sinks.Alert {
	at := time.Date(2026, 1, 2, 3, 4, 5, i, time.UTC)
	user := "\x1b[31mjané <script>&\u2028\"\\\n"
	return &sinks.Alert{
		AlertID: fmt.Sprintf("%032x", i), RuleID: "console-login", Title: "Console login", Severity: "high", Status: sinks.Firing,
		Time: at, FirstTime: at.Add(-time.Minute), LastTime: at, Count: 20, Distinct: 3,
		Group:   map[string]*string{"userIdentity.arn": &user, "errorCode": nil},
		Account: "111122223333", Region: "eu-west-1", User: user, SourceIP: "203.0.113.7",
		EventName: "ConsoleLogin", EventSource: "signin.amazonaws.com", EventID: fmt.Sprintf("e-%d", i),
		EventIDs: []string{"e-0", fmt.Sprintf("e-%d", i)}, Position: "events/0@7",
		Event:       json.RawMessage(`{"eventName":"ConsoleLogin","n":12345678901234567890,"s":"<&>é\\"}`),
		Events:      []json.RawMessage{json.RawMessage(`{"a":1}`), json.RawMessage(`{"a":2}`)},
		Description: "What it means.", Runbook: "What to do.", References: []string{"https://example.org/"},
		Tags: []string{"attack.t1110"}, Sinks: []string{"here"}, DetectedAt: at.Add(time.Second),
	}
}

// Alerts returns alerts from up to to, to not included.
func Alerts(from, to int) []*sinks.Alert {
	var out []*sinks.Alert
	for i := from; i < to; i++ {
		out = append(out, Alert(i))
	}
	return out
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	t.Run("delivers all", h.deliversAll)
	t.Run("nothing to deliver", h.nothing)
	t.Run("keeps nothing", h.keepsNothing)
	t.Run("refused alerts", h.refused)
	t.Run("failing receiver", h.failing)
	t.Run("cancelled", h.cancelled)
	t.Run("stuck receiver", h.stuck)
	t.Run("close", h.closes)
	t.Run("concurrent close", h.concurrentClose)
}

func closeSink(t *testing.T, s sinks.Sink) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// form is what of an alert is compared.
func (h Harness) form(a *sinks.Alert) string {
	if h.Inexact {
		return a.AlertID
	}
	return string(a.AppendJSON(nil))
}

// check reports alerts that are missing, changed or came unasked. Order within
// one alert ID is the receiver's business; more than once is allowed only by
// the caller.
func (h Harness) check(t *testing.T, r Receiver, want []*sinks.Alert) {
	t.Helper()
	var got, wanted []string
	for _, a := range r.Received(t) {
		got = append(got, h.form(a))
	}
	for _, a := range want {
		wanted = append(wanted, h.form(a))
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Errorf("received %d alerts, want %d\n got: %s\nwant: %s", len(got), len(wanted),
			strings.Join(got, "\n      "), strings.Join(wanted, "\n      "))
	}
}

func (h Harness) deliversAll(t *testing.T) {
	s, r := h.New(t)
	defer closeSink(t, s)
	var want []*sinks.Alert
	for _, batch := range [][]*sinks.Alert{Alerts(0, 1), Alerts(1, 4), Alerts(4, 60)} {
		if err := s.Write(t.Context(), batch); err != nil {
			t.Fatalf("write: %v", err)
		}
		want = append(want, batch...)
		h.check(t, r, want) // delivered means: the receiver has them now
	}
	large := Alert(60)
	large.Description = strings.Repeat("long ", 50_000)
	if err := s.Write(t.Context(), []*sinks.Alert{large}); err != nil {
		t.Fatalf("write a large alert: %v", err)
	}
	h.check(t, r, append(want, large))
}

func (h Harness) nothing(t *testing.T) {
	s, r := h.New(t)
	defer closeSink(t, s)
	if err := errors.Join(s.Write(t.Context(), nil), s.Write(t.Context(), []*sinks.Alert{})); err != nil {
		t.Errorf("an empty batch fails: %v", err)
	}
	h.check(t, r, nil)
}

// keepsNothing: the sink changes neither alerts nor slice, and what the caller
// does with them afterwards reaches nobody.
func (h Harness) keepsNothing(t *testing.T) {
	s, r := h.New(t)
	batch := Alerts(0, 5)
	given := slices.Clone(batch)
	if err := s.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for i, a := range given {
		if batch[i] != a {
			t.Errorf("element %d of the slice was changed", i)
		}
		if !bytes.Equal(a.AppendJSON(nil), Alert(i).AppendJSON(nil)) {
			t.Errorf("alert %d was changed", i)
		}
	}
	for i, a := range batch {
		*a = sinks.Alert{AlertID: "gone"}
		batch[i] = nil
	}
	if err := s.Write(t.Context(), Alerts(5, 6)); err != nil {
		t.Fatal(err)
	}
	closeSink(t, s)
	h.check(t, r, Alerts(0, 6))
}

func (h Harness) refused(t *testing.T) {
	if h.Refusing == nil {
		t.Skip("the receiver takes all or nothing")
	}
	bad := map[string]bool{Alert(1).AlertID: true, Alert(4).AlertID: true}
	s, r := h.Refusing(t, func(id string) bool { return bad[id] })
	defer closeSink(t, s)
	batch := Alerts(0, 6)
	err := s.Write(t.Context(), batch)
	var partial *sinks.PartialError
	if !errors.As(err, &partial) {
		t.Fatalf("want a PartialError, have %v", err)
	}
	var failed []int
	for _, f := range partial.Failed {
		failed = append(failed, f.Index)
		if !sinks.IsPermanent(f.Err) {
			t.Errorf("alert %d: the refusal is not permanent: %v", f.Index, f.Err)
		}
	}
	if !slices.Equal(failed, []int{1, 4}) {
		t.Errorf("failed alerts %v, want [1 4]", failed)
	}
	h.check(t, r, []*sinks.Alert{batch[0], batch[2], batch[3], batch[5]})
}

func (h Harness) failing(t *testing.T) {
	if h.Failing == nil {
		t.Skip("the receiver cannot be made to fail")
	}
	s := h.Failing(t)
	defer closeSink(t, s)
	err := s.Write(t.Context(), Alerts(0, 3))
	if err == nil {
		t.Fatal("a failing receiver, and no error")
	}
	errs := []error{err}
	var partial *sinks.PartialError
	if errors.As(err, &partial) {
		if len(partial.Failed) != 3 {
			t.Errorf("%d alerts failed, want 3", len(partial.Failed))
		}
		errs = partial.Unwrap()
	}
	for _, err := range errs {
		if sinks.IsPermanent(err) {
			t.Errorf("a failure that may pass is permanent: %v", err)
		}
	}
}

func (h Harness) cancelled(t *testing.T) {
	s, r := h.New(t)
	defer closeSink(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Write(ctx, Alerts(0, 2)); err == nil {
		h.check(t, r, Alerts(0, 2))
	} else if sinks.IsPermanent(err) {
		t.Errorf("a cancelled write is permanent: %v", err)
	}
}

func (h Harness) stuck(t *testing.T) {
	if h.Stuck == nil {
		t.Skip("the receiver cannot be made to hang")
	}
	s := h.Stuck(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := s.Write(ctx, Alerts(0, 20))
	if err == nil {
		t.Error("a stuck receiver, and no error")
	}
	if sinks.IsPermanent(err) {
		t.Errorf("an interrupted write is permanent: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("write went on for %v after its context had ended", took)
	}
	closeSink(t, s)
}

func (h Harness) closes(t *testing.T) {
	s, r := h.New(t)
	if err := s.Write(t.Context(), Alerts(0, 1)); err != nil {
		t.Fatal(err)
	}
	closeSink(t, s)
	closeSink(t, s) // a second time does no harm
	switch err := s.Write(t.Context(), Alerts(1, 2)); {
	case err == nil:
		t.Error("a closed sink takes alerts")
	case sinks.IsPermanent(err): // the next process can deliver them
		t.Errorf("a closed sink condemns alerts: %v", err)
	}
	h.check(t, r, Alerts(0, 1))
}

// concurrentClose: a write that answers nil has delivered, whenever the sink is
// closed.
func (h Harness) concurrentClose(t *testing.T) {
	s, r := h.New(t)
	var (
		wg        sync.WaitGroup
		mu        sync.Mutex
		delivered = map[string]bool{}
	)
	started := make(chan struct{}, 4)
	for g := range 4 {
		wg.Go(func() {
			for i := g * 100; i < g*100+20; i++ {
				batch := Alerts(i, i+1)
				err := s.Write(t.Context(), batch)
				if i == g*100 {
					started <- struct{}{}
				}
				if err != nil {
					return
				}
				mu.Lock()
				delivered[batch[0].AlertID] = true
				mu.Unlock()
			}
		})
	}
	<-started
	closeSink(t, s)
	wg.Wait()
	for _, a := range r.Received(t) {
		delete(delivered, a.AlertID)
	}
	for id := range delivered {
		t.Errorf("alert %s was said to be delivered and is not", id)
	}
}
