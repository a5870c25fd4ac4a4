package kinesistest

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Options are the settings of a Server. The zero value is useful.
type Options struct {
	// Region and Account are part of every ARN. Default us-east-1 and
	// 123456789012.
	Region, Account string
	// Now is the server's clock: arrival times, ages of iterators, retention,
	// limits, the Date header. Default: the wall clock. What really waits
	// (SubscriptionTime, Heartbeat, delays of faults) goes by the wall clock.
	Now func() time.Time
	// StatusDelay is how long streams stay CREATING, UPDATING and DELETING and
	// consumers CREATING. Default none.
	StatusDelay time.Duration
	// IteratorTTL is how long a shard iterator lives. Default 5 minutes.
	IteratorTTL time.Duration
	// TokenTTL is how long a NextToken lives. Default 5 minutes.
	TokenTTL time.Duration
	// SubscriptionTime is after how long SubscribeToShard ends by itself.
	// Default 5 minutes.
	SubscriptionTime time.Duration
	// ResubscribeAfter is how long after a successful SubscribeToShard another
	// one of the same consumer and shard is refused with ResourceInUse; later
	// ones end the subscription before them. Default 5 s; negative: none.
	ResubscribeAfter time.Duration
	// Heartbeat is how often a subscription sends an event without records
	// while there are none. Default 1 s.
	Heartbeat time.Duration
	// Retention of new streams. Default 24 h.
	Retention time.Duration
	// ShardBytes bounds the data that one shard holds: beyond it the oldest
	// records go, as if their retention had ended. Default 0: unbounded.
	ShardBytes int
	// MaxRecord is the size limit of a record of new streams, in bytes.
	// Default 1 MiB, as on AWS; at most 10 MiB.
	MaxRecord int
	// ListPage is the page size of ListShards where the caller names none.
	// Default 1000.
	ListPage int
	// Limits are the throughput limits; the zero value: none.
	Limits Limits
	// MaxSkew is by how much the time of a signature may differ from Now
	// before the request is refused. Default 5 minutes; negative: unchecked.
	MaxSkew time.Duration
}

func (o Options) withDefaults() Options {
	o.Region = or(o.Region, "us-east-1")
	o.Account = or(o.Account, "123456789012")
	if o.Now == nil {
		o.Now = time.Now
	}
	o.IteratorTTL = or(o.IteratorTTL, 5*time.Minute)
	o.TokenTTL = or(o.TokenTTL, 5*time.Minute)
	o.SubscriptionTime = or(o.SubscriptionTime, 5*time.Minute)
	o.ResubscribeAfter = or(o.ResubscribeAfter, 5*time.Second)
	o.Heartbeat = or(o.Heartbeat, time.Second)
	o.Retention = or(o.Retention, 24*time.Hour)
	o.MaxRecord = or(o.MaxRecord, 1<<20)
	o.ListPage = or(o.ListPage, 1000)
	o.MaxSkew = or(o.MaxSkew, 5*time.Minute)
	return o
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Server is a Kinesis. Safe for concurrent use.
type Server struct {
	opts Options
	// URL is the endpoint over TLS, HTTP/2 and HTTP/1.1, with a certificate of
	// its own: CA. PlainURL is the same service over plain HTTP/1.1.
	URL, PlainURL string

	tls, plain *httptest.Server
	ctx        context.Context
	cancel     context.CancelFunc
	faults     faults

	mu      sync.RWMutex
	streams map[string]*stream
	epochs  map[string]uint64 // of deleted streams: the newest epoch
	serial  int
	limits  Limits
}

// New starts a server on two free ports of the loopback address.
func New(opts Options) *Server {
	s := &Server{
		opts:    opts.withDefaults(),
		streams: make(map[string]*stream),
		epochs:  make(map[string]uint64),
		limits:  opts.Limits,
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.faults.calls = make(map[string]int)
	quiet := log.New(io.Discard, "", 0)
	s.tls = httptest.NewUnstartedServer(s)
	s.tls.EnableHTTP2 = true
	s.tls.Config.ErrorLog = quiet
	s.tls.StartTLS()
	s.plain = httptest.NewUnstartedServer(s)
	s.plain.Config.ErrorLog = quiet
	s.plain.Start()
	for _, srv := range []*httptest.Server{s.tls, s.plain} {
		if t, ok := srv.Client().Transport.(*http.Transport); ok {
			t.MaxIdleConnsPerHost = 1000
		}
	}
	s.URL, s.PlainURL = s.tls.URL, s.plain.URL
	return s
}

// Close ends every subscription and request and stops the server.
func (s *Server) Close() {
	s.cancel()
	for _, srv := range []*httptest.Server{s.tls, s.plain} {
		srv.Client().CloseIdleConnections()
		srv.CloseClientConnections()
		srv.Close()
	}
}

// Config is what kinesis.NewFromConfig needs to speak to this server over TLS
// (HTTP/2): static credentials, no retries. Change what a test wants otherwise.
func (s *Server) Config() aws.Config { return s.config(s.tls) }

// PlainConfig is Config for plain HTTP/1.1: cheaper under load.
func (s *Server) PlainConfig() aws.Config { return s.config(s.plain) }

func (s *Server) config(srv *httptest.Server) aws.Config {
	return aws.Config{
		Region:           s.opts.Region,
		Credentials:      credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient:       HTTPClient(srv.Client()),
		BaseEndpoint:     aws.String(srv.URL),
		RetryMaxAttempts: 1,
	}
}

// CA is the certificate to trust for URL, in PEM: for other processes, as the
// file that AWS_CA_BUNDLE names.
func (s *Server) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.tls.Certificate().Raw})
}

// target is what a request is about, for faults and counts.
type target struct{ op, stream, shard, accessKey string }

// operation reads a request: what it is about, and how to answer it. The
// answer is []byte (JSON as it is), a *subscription, or marshalled; nil is {}.
type operation func(s *Server, body []byte) (target, func(*plan) (any, error), error)

const (
	targetPrefix = "Kinesis_20131202."
	contentType  = "application/x-amz-json-1.1"
)

// ServeHTTP answers one request of the service's protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	w.Header().Set("X-Amzn-Requestid", s.faults.requestID())
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	op := operations[name]
	if !ok || op == nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != contentType {
		writeError(w, apiErrorf(ErrUnknownOperation, "no operation %q", r.Header.Get("X-Amz-Target")))
		return
	}
	body, err := readBody(r)
	if err != nil {
		writeError(w, apiErrorf(ErrSerialization, "reading the request: %v", err))
		return
	}
	t, run, err := op(s, body)
	if err != nil {
		writeError(w, apiErrorf(ErrSerialization, "%v", err))
		return
	}
	t.op = name
	if t.accessKey, err = s.checkSignature(r); err != nil {
		writeError(w, err)
		return
	}
	plan := s.faults.plan(t)
	if !plan.before(r.Context(), s.ctx) {
		panic(http.ErrAbortHandler)
	}
	if plan.err != nil {
		writeError(w, plan.err)
		return
	}
	answer, err := run(plan)
	if plan.dropAfter {
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	if sub, ok := answer.(*subscription); ok {
		sub.serve(w, r, plan)
		return
	}
	writeAnswer(w, plan.change(answer))
}

func (s *Server) now() time.Time { return s.opts.Now() }

func readBody(r *http.Request) ([]byte, error) {
	const limit = 16 << 20 // PutRecords may bring 10 MiB, more in base64
	if r.ContentLength < 0 || r.ContentLength > limit {
		return io.ReadAll(io.LimitReader(r.Body, limit))
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

func writeAnswer(w http.ResponseWriter, answer any) {
	data, ok := answer.([]byte)
	if !ok {
		var err error
		if answer == nil {
			answer = struct{}{}
		}
		if data, err = json.Marshal(answer); err != nil {
			writeError(w, apiErrorf(ErrInternalFailure, "%v", err))
			return
		}
	}
	w.Header().Set("Content-Type", contentType)
	w.Write(data) //nolint:errcheck // the client is gone
}

func writeError(w http.ResponseWriter, err error) {
	var e *apiError
	if !errors.As(err, &e) {
		e = apiErrorf(ErrInternalFailure, "%v", err)
	}
	data, _ := json.Marshal(map[string]string{"__type": e.Code, "message": e.Message})
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(e.status())
	w.Write(data) //nolint:errcheck // the client is gone
}
