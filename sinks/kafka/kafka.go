package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/sinks"
)

// overhead is room for key, headers and framing beside the value.
const overhead = 2_000

var errNoAnswer = errors.New("no answer in time")

// Sink produces with acks=all and idempotence. Safe for concurrent use.
type Sink struct {
	o  Options
	cl *kgo.Client

	stop  context.CancelFunc // ends the writes under way
	ended context.Context
	wg    sync.WaitGroup // writes under way
	mu    sync.Mutex     // orders wg.Add before wg.Wait
	gone  bool
}

// New returns a sink. It makes no connection: brokers that are away are a
// matter of Write.
func New(o Options) (*Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1_000_000
	}
	opts, err := o.KgoOpts()
	if err != nil {
		return nil, err
	}
	compression, err := codec(o.Compression)
	if err != nil {
		return nil, err
	}
	opts = append(opts,
		kgo.DefaultProduceTopic(o.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(compression),
		kgo.ProducerBatchMaxBytes(int32(o.MaxBytes)), //nolint:gosec // Validate bounds it
		kgo.ProducerLinger(0),
		// A write must end with its context. What was in flight then may arrive
		// after all and come again with the retry: at least once, as promised.
		kgo.AllowIdempotentProduceCancellation(),
	)
	cl, err := kgo.NewClient(append(opts, o.Extra...)...)
	if err != nil {
		return nil, fmt.Errorf("create Kafka client: %w", err)
	}
	s := &Sink{o: o, cl: cl}
	s.ended, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Write returns once every in-sync replica has the alerts, or says which of
// them have not arrived.
func (s *Sink) Write(ctx context.Context, alerts []*sinks.Alert) error {
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return fmt.Errorf("produce alerts: %w", kgo.ErrClientClosed)
	}
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()

	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	defer context.AfterFunc(s.ended, cancel)()

	records := make([]*kgo.Record, len(alerts))
	for i, a := range alerts {
		records[i] = s.record(a, s.o.MaxBytes-overhead)
	}
	var failed []sinks.Failure
	for i, err := range s.produce(ctx, records) {
		if errors.Is(err, kerr.MessageTooLarge) {
			err = s.produceSmaller(ctx, alerts[i], records[i])
		}
		if err != nil {
			failed = append(failed, sinks.Failure{Index: i, Err: classify(err)})
		}
	}
	return sinks.Partial(failed)
}

// record makes an alert's record, its value within limit bytes if leaving raw
// events out can achieve that.
func (s *Sink) record(a *sinks.Alert, limit int) *kgo.Record {
	return &kgo.Record{
		Key:   []byte(a.AlertID),
		Value: a.AppendJSONWithin(nil, limit),
		Headers: []kgo.RecordHeader{
			{Key: "alert_id", Value: []byte(a.AlertID)},
			{Key: "rule_id", Value: []byte(a.RuleID)},
			{Key: "severity", Value: []byte(a.Severity)},
			{Key: "status", Value: []byte(a.Status)},
		},
	}
}

// produce returns one error for each record, once all have one or ctx has
// ended: a record that is in flight then stays with the client, which can end
// it only when its request does, and counts as failed.
func (s *Sink) produce(ctx context.Context, records []*kgo.Record) []error {
	var (
		mu   sync.Mutex
		errs = make([]error, len(records))
		left = len(records)
		done = make(chan struct{})
	)
	for i := range errs {
		errs[i] = errNoAnswer
	}
	if left == 0 {
		return nil
	}
	for i, r := range records {
		s.cl.Produce(ctx, r, func(_ *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			errs[i] = err
			if left--; left == 0 {
				close(done)
			}
		})
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(errs) // the original may still change
}

// produceSmaller sends one alert by itself: the broker refused either the
// batch that it was in or the alert, because the topic's own limit is below
// ours. Then without raw events, and then it is too large for good.
func (s *Sink) produceSmaller(ctx context.Context, a *sinks.Alert, whole *kgo.Record) error {
	forms := []*kgo.Record{
		s.record(a, len(whole.Value)), s.record(a, len(whole.Value)-1), s.record(a, 0),
	}
	var err error
	for _, r := range forms {
		if err = s.produce(ctx, []*kgo.Record{r})[0]; !errors.Is(err, kerr.MessageTooLarge) {
			return err
		}
	}
	return err
}

// classify marks what no later attempt can mend. An unknown topic or a missing
// permission is not of that kind: an operator can.
func classify(err error) error {
	err = fmt.Errorf("produce alert: %w", err)
	if errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.InvalidRecord) || errors.Is(err, kerr.RecordListTooLarge) {
		return sinks.Permanent(err)
	}
	return err
}

// Close lets the writes under way finish until ctx ends, and then ends them.
func (s *Sink) Close(ctx context.Context) error {
	s.mu.Lock()
	s.gone = true
	s.mu.Unlock()
	defer context.AfterFunc(ctx, s.stop)()
	s.wg.Wait()
	s.stop()
	s.cl.Close()
	return nil
}
