package kinesistest

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// consumer is a registered consumer of enhanced fan-out. Guarded by Server.mu.
type consumer struct {
	stream    *stream
	name, arn string
	created   time.Time
	ready     time.Time // CREATING until then
	subs      map[string]*subscription
	began     map[string]time.Time // by shard: the newest subscription
}

// end closes all subscriptions with an exception.
func (c *consumer) end(code string) {
	for _, sub := range c.subs {
		sub.end(code)
	}
}

type consumerJSON struct {
	ConsumerName, ConsumerARN, ConsumerStatus string
	ConsumerCreationTimestamp                 float64
	StreamARN                                 string `json:",omitempty"`
}

func (s *Server) describeConsumer(c *consumer) consumerJSON {
	status := statusActive
	if s.now().Before(c.ready) {
		status = statusCreating
	}
	return consumerJSON{ConsumerName: c.name, ConsumerARN: c.arn, ConsumerStatus: status, ConsumerCreationTimestamp: stamp(c.created)}
}

func (s *Server) registerStreamConsumer(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find("", in.StreamARN)
	if err != nil {
		return nil, err
	}
	if !streamName.MatchString(in.ConsumerName) {
		return nil, apiErrorf(ErrValidation, "ConsumerName %q is no name", in.ConsumerName)
	}
	if st.consumers[in.ConsumerName] != nil {
		return nil, apiErrorf(ErrResourceInUse, "Consumer under stream %s already exists for account %s with ConsumerName %s", st.name, s.opts.Account, in.ConsumerName)
	}
	if len(st.consumers) >= 20 {
		return nil, apiErrorf(ErrLimitExceeded, "Stream %s has 20 consumers already", st.name)
	}
	now := s.now()
	c := &consumer{
		stream: st, name: in.ConsumerName, arn: fmt.Sprintf("%s/consumer/%s:%d", st.arn, in.ConsumerName, now.Unix()),
		created: now, ready: now.Add(s.opts.StatusDelay),
		subs: make(map[string]*subscription), began: make(map[string]time.Time),
	}
	st.consumers[c.name] = c
	d := s.describeConsumer(c)
	d.ConsumerStatus = statusCreating
	return map[string]any{"Consumer": d}, nil
}

// findConsumer answers a consumer by its ARN, or by its stream's and its name.
// With s.mu held.
func (s *Server) findConsumer(in *request) (*consumer, error) {
	if in.ConsumerARN == "" && (in.StreamARN == "" || in.ConsumerName == "") {
		return nil, invalidf("ConsumerARN, or StreamARN and ConsumerName, are required")
	}
	arn := in.StreamARN
	if arn == "" {
		arn = streamARN(s.opts.Region, s.opts.Account, nameOfARN(in.ConsumerARN))
	}
	st, err := s.find("", arn)
	if err != nil {
		return nil, err
	}
	for _, c := range st.consumers {
		if (in.ConsumerARN == "" || c.arn == in.ConsumerARN) && (in.ConsumerName == "" || c.name == in.ConsumerName) {
			return c, nil
		}
	}
	return nil, apiErrorf(ErrResourceNotFound, "Consumer %s%s under stream %s not found.", in.ConsumerARN, in.ConsumerName, st.name)
}

func (s *Server) deregisterStreamConsumer(in *request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.findConsumer(in)
	if err != nil {
		return nil, err
	}
	c.end(ErrResourceNotFound)
	delete(c.stream.consumers, c.name)
	return nil, nil
}

func (s *Server) describeStreamConsumer(in *request) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, err := s.findConsumer(in)
	if err != nil {
		return nil, err
	}
	d := s.describeConsumer(c)
	d.StreamARN = c.stream.arn
	return map[string]any{"ConsumerDescription": d}, nil
}

type listConsumersOutput struct {
	Consumers []consumerJSON
	NextToken string `json:",omitempty"`
}

func (s *Server) listStreamConsumers(in *request) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st, err := s.find("", in.StreamARN)
	if err != nil {
		return nil, err
	}
	limit := or(in.MaxResults, 100)
	out := &listConsumersOutput{Consumers: []consumerJSON{}}
	for _, name := range slices.Sorted(maps.Keys(st.consumers)) {
		if name <= in.NextToken {
			continue
		}
		if len(out.Consumers) == limit {
			out.NextToken = out.Consumers[limit-1].ConsumerName
			break
		}
		out.Consumers = append(out.Consumers, s.describeConsumer(st.consumers[name]))
	}
	return out, nil
}
