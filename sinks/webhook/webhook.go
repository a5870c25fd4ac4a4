package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/trailtide/trailtide/sinks"
)

// downAfter is how many requests in a row may fail as if the receiver were
// down before the rest of the batch is left for later. One slow alert alone
// does not make a receiver look dead.
const downAfter = 3

var (
	errClosed   = errors.New("the sink is closed")
	errOvertake = errors.New("an earlier state of the alert is not delivered yet")
)

// Sink posts alerts. Safe for concurrent use.
type Sink struct {
	o      Options
	url    *url.URL
	client *http.Client
	now    func() time.Time
	seed   maphash.Seed
	closed atomic.Bool
}

// New returns a sink. It makes no connection.
func New(o Options) (*Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	u, err := url.Parse(o.URL.Reveal())
	if err != nil {
		return nil, errors.New("url: cannot be parsed")
	}
	setDefault(&o.Batch, 1)
	setDefault(&o.Concurrency, 4)
	setDefault(&o.Timeout, 10*time.Second)
	setDefault(&o.MaxBytes, 1<<20)
	tlsConfig, err := o.TLS.Config()
	if err != nil {
		return nil, err
	}
	proxy := http.ProxyFromEnvironment
	if o.Proxy != "" {
		p, err := url.Parse(o.Proxy.Reveal())
		if err != nil {
			return nil, errors.New("proxy: cannot be parsed")
		}
		proxy = http.ProxyURL(p)
	}
	client := &http.Client{
		Timeout: o.Timeout,
		Transport: &http.Transport{
			Proxy: proxy, TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true, DisableCompression: true,
			MaxIdleConnsPerHost: o.Concurrency, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		},
		// A redirect would carry alert and signature to a place nobody chose.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Sink{o: o, url: u, client: client, now: time.Now, seed: maphash.MakeSeed()}, nil
}

func setDefault[T int | time.Duration](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

// Write posts the alerts in lanes that work at once; all states of one alert
// go through one lane, in order.
func (s *Sink) Write(ctx context.Context, alerts []*sinks.Alert) error {
	if s.closed.Load() {
		return fmt.Errorf("post alerts: %w", errClosed)
	}
	lanes := make([][]int, s.o.Concurrency)
	for i, a := range alerts {
		l := maphash.String(s.seed, a.AlertID) % uint64(len(lanes))
		lanes[l] = append(lanes[l], i)
	}
	errs := make([]error, len(alerts)) // each element is written by one lane
	var wg sync.WaitGroup
	for _, l := range lanes {
		if len(l) > 0 {
			wg.Go(func() { s.lane(ctx, alerts, l, errs) })
		}
	}
	wg.Wait()
	var failed []sinks.Failure
	for i, err := range errs {
		if err != nil {
			failed = append(failed, sinks.Failure{Index: i, Err: err})
		}
	}
	return sinks.Partial(failed)
}

// lane posts the alerts of the given indices, Batch of them a request.
func (s *Sink) lane(ctx context.Context, alerts []*sinks.Alert, lane []int, errs []error) {
	held := map[string]bool{} // alert IDs of which a state waits for its retry
	down, last := 0, error(nil)
	for len(lane) > 0 {
		chunk := lane[:min(len(lane), s.o.Batch)]
		lane = lane[len(chunk):]
		var group []*sinks.Alert
		var members []int
		for _, i := range chunk {
			switch {
			case down >= downAfter:
				errs[i] = fmt.Errorf("%w: %w", sinks.ErrNotTried, last)
			case held[alerts[i].AlertID]:
				errs[i] = fmt.Errorf("%w: %w", sinks.ErrNotTried, errOvertake)
			default:
				group, members = append(group, alerts[i]), append(members, i)
			}
		}
		if len(group) == 0 {
			continue
		}
		away, err := s.post(ctx, group)
		for _, i := range members {
			errs[i] = err
			held[alerts[i].AlertID] = err != nil && !sinks.IsPermanent(err)
		}
		if away {
			down, last = down+1, err
			if ctx.Err() != nil {
				down = downAfter
			}
		} else {
			down = 0
		}
	}
}

// post sends one request. away is true when it is the receiver that seems to
// be down or busy, rather than this request that it does not like.
func (s *Sink) post(ctx context.Context, alerts []*sinks.Alert) (away bool, err error) {
	body := s.body(alerts)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url.String(), bytes.NewReader(body))
	if err != nil {
		return false, sinks.Permanent(fmt.Errorf("post to %s: %w", s.url.Host, hideURL(err)))
	}
	for name, value := range s.o.Headers {
		req.Header.Set(name, value.Reveal())
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "trailtide")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(headerIdempotency, idempotencyKey(alerts))
	timestamp, signature := sign(s.o.Secrets, s.now(), body)
	req.Header.Set(headerTimestamp, timestamp)
	if signature != "" {
		req.Header.Set(headerSignature, signature)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return true, fmt.Errorf("post to %s: %w", s.url.Host, hideURL(err))
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	return s.judge(resp)
}

func (s *Sink) body(alerts []*sinks.Alert) []byte {
	var body []byte
	if s.o.Batch == 1 {
		body = alerts[0].AppendJSONWithin(nil, s.o.MaxBytes)
	} else {
		body = append(body, '[')
		for i, a := range alerts {
			if i > 0 {
				body = append(body, ',')
			}
			body = a.AppendJSONWithin(body, s.o.MaxBytes)
		}
		body = append(body, ']')
	}
	if !utf8.Valid(body) { // from a raw event; receivers refuse what is not UTF-8
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	return body
}

// maxAnswer bounds what is read of an answer's body, in bytes.
const maxAnswer = 16 << 10

func (s *Sink) judge(resp *http.Response) (away bool, err error) {
	// Read to keep the connection; more than that, and it is closed. What the
	// read meets does not matter: the status has been given.
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	code := resp.StatusCode
	if code >= 200 && code <= 299 {
		return false, nil
	}
	err = fmt.Errorf("post to %s: status %d", s.url.Host, code)
	if len(answer) > 0 {
		err = fmt.Errorf("%w: %.200q", err, answer[:min(len(answer), 200)])
	}
	switch {
	case code >= 300 && code <= 399:
		return false, fmt.Errorf("%w (redirects are not followed, set the final url)", err)
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly || code >= 500:
	case code == http.StatusTooManyRequests:
		away = true
	default:
		return false, sinks.Permanent(err)
	}
	switch code {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		away = true
	}
	if after, ok := sinks.ParseRetryAfter(resp.Header.Get("Retry-After"), s.now()); ok {
		return true, &sinks.RetryAfterError{After: after, Err: err}
	}
	return away, err
}

// hideURL drops the URL that net/http puts into its errors.
func hideURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Close makes later writes fail. Those under way go on until their context
// ends.
func (s *Sink) Close(context.Context) error {
	s.closed.Store(true)
	s.client.CloseIdleConnections()
	return nil
}
