//go:build unix

package kinesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
	"github.com/trailtide/trailtide/pipeline/kinesis/lease/leasetest"
	"github.com/trailtide/trailtide/test/chaos"
)

const (
	streamName = "trail"
	leaseTable = "trailtide-chaos"
	mostShards = 12
)

// stream is a stream and a lease table in this process, which go wrong in every
// way while they are in trouble: a chaos.Input.
type stream struct {
	t        *testing.T
	srv      *kinesistest.Server
	db       *leasetest.DB
	tables   string // the endpoint of DynamoDB
	r        *rand.Rand
	mix      *mixer
	reshards int // to make while it is filled
	done     int // that were made

	mu      sync.Mutex
	unrest  *rand.Rand // of the lease table
	trouble bool
	faults  []*kinesistest.Injected
	last    map[string]string // sequence numbers of the last records of open shards, once it is filled
}

// newStream starts both, and tells the workers of this test how to reach them.
func newStream(t *testing.T, seed uint64, reshards int) *stream {
	t.Helper()
	s := &stream{
		t: t, r: rand.New(rand.NewPCG(seed, 11)), unrest: rand.New(rand.NewPCG(seed, 12)), reshards: reshards, db: leasetest.New(),
		srv: kinesistest.New(kinesistest.Options{
			IteratorTTL: 2 * time.Second, TokenTTL: 2 * time.Second, ListPage: 5,
			SubscriptionTime: 8 * time.Second, ResubscribeAfter: time.Second, Heartbeat: 300 * time.Millisecond,
		}),
	}
	t.Cleanup(s.srv.Close)
	s.mix = &mixer{r: s.r, put: func(key string, data []byte) error {
		s.srv.Put(streamName, key, data)
		return nil
	}}
	tables := httptest.NewServer(s.db.Handler(s.tableFault))
	t.Cleanup(tables.Close)
	s.tables = tables.URL
	s.srv.CreateStream(streamName, 4)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.srv.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", ca)
	credentials(t)
	return s
}

// credentials are for the workers of a test, which inherit them.
func credentials(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
}

// Section has every other place read by fan-out.
func (s *stream) Section(place int) string {
	return fmt.Sprintf("kinesis: {%s, leases: {table: %s, endpoint: %q, worker: place-%d, failover_time: 2s, take_every: 400ms, hand_over: 3s}}",
		s.reader(place%2 == 1), leaseTable, s.tables, place)
}

// reader are the settings of a source without its leases.
func (s *stream) reader(fanOut bool) string {
	way := fmt.Sprintf("endpoint: %q, poll_interval: 200ms, max_records: 40", s.srv.PlainURL)
	if fanOut {
		way = fmt.Sprintf("endpoint: %q, mode: fan_out, consumer: chaos", s.srv.URL)
	}
	return fmt.Sprintf("streams: [%s], region: us-east-1, %s, list_interval: 1s, idle_after: 1h, buffer_bytes: 1048576", streamName, way)
}

// disturb begins the trouble.
func (s *stream) disturb() {
	every := func(least int) int { return least + s.r.IntN(least) }
	for _, f := range []kinesistest.Fault{
		{Op: "GetRecords", Every: every(8), Code: kinesistest.ErrThroughput},
		{Op: "GetRecords", Every: every(20), Code: kinesistest.ErrExpiredIterator},
		{Op: "GetRecords", Every: every(15), DropAfter: true},
		{Op: "GetRecords", Every: every(15), Empty: true},
		{Op: "GetRecords", Every: every(20), Delay: 700 * time.Millisecond},
		{Op: "GetRecords", Every: every(30), Code: kinesistest.ErrInternalFailure},
		{Op: "GetShardIterator", Every: every(8), DropBefore: true},
		{Op: "GetShardIterator", Every: every(10), Code: kinesistest.ErrThroughput},
		{Op: "ListShards", Every: 2, Duplicate: true, Shuffle: true},
		{Op: "ListShards", Every: every(3), HideChildren: true},
		{Op: "ListShards", Every: every(4), HideParents: true},
		{Op: "ListShards", Every: every(5), Code: kinesistest.ErrLimitExceeded},
		{Op: "DescribeStreamSummary", Every: every(5), Code: kinesistest.ErrLimitExceeded},
		{Op: "SubscribeToShard", Every: every(3), Cut: true, Events: 3},
		{Op: "SubscribeToShard", Every: every(4), End: true, Events: 4},
		{Op: "SubscribeToShard", Every: every(4), StreamCode: kinesistest.ErrInternalFailure, Events: 2},
		{Op: "SubscribeToShard", Every: every(4), Code: kinesistest.ErrLimitExceeded},
	} {
		s.faults = append(s.faults, s.srv.Inject(f))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = true
}

// calm ends it, and says how often something went wrong.
func (s *stream) calm() {
	var hits []string
	for _, f := range s.faults {
		hits = append(hits, strconv.Itoa(f.Hits()))
	}
	s.srv.ClearFaults()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = false
	s.t.Logf("%d reshards, %d shards in all; the faults struck %s times", s.done, len(s.srv.Shards(streamName)), strings.Join(hits, ", "))
}

var errCut = errors.New("connection reset")

func (s *stream) tableFault(leasetest.Call) leasetest.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.trouble {
		return leasetest.Fault{}
	}
	switch s.unrest.IntN(50) {
	case 0, 1:
		return leasetest.Fault{Err: leasetest.Throttle()}
	case 2:
		return leasetest.Fault{Err: errCut}
	case 3:
		return leasetest.Fault{Lost: errCut}
	case 4:
		return leasetest.Fault{Before: 300 * time.Millisecond}
	}
	return leasetest.Fault{}
}

// Fill puts the events of each step into records of all forms, and reshapes the
// stream meanwhile.
func (s *stream) Fill(ctx context.Context, records []chaos.Record, over time.Duration) error {
	const steps = 200
	s.disturb()
	defer s.calm()
	next := 0
	err := chaos.InSteps(ctx, steps, len(records), over, func(step, from, to int) error {
		for step*(s.reshards+1)/steps > next {
			s.reshard()
			next++
		}
		return s.mix.write(records[from:to])
	})
	if err != nil {
		return err
	}
	// Every open shard holds event time, and gets what moves it.
	last := make(map[string]string)
	if end := records[len(records)-1]; end.Closing {
		for _, id := range s.srv.Open(streamName) {
			last[id] = s.srv.PutTo(streamName, id, "end", end.Value)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = last
	return nil
}

// reshard splits, merges, does both, or makes all shards anew.
func (s *stream) reshard() {
	open := s.srv.Open(streamName)
	i := s.r.IntN(len(open))
	neighbours := i+1 < len(open)
	switch k := s.r.IntN(10); {
	case k < 1:
		s.srv.Scale(streamName, 3+s.r.IntN(mostShards-4))
	case k < 4 && len(open) > 4:
		// Both: one is split, and two others become one; then one of the new ones goes on.
		lower, upper := s.srv.Split(streamName, open[i])
		if j := (i + 1) % len(open); j+1 < len(open) && j != i && j+1 != i {
			s.srv.Merge(streamName, open[j], open[j+1])
		}
		if s.r.IntN(2) == 0 {
			s.srv.Merge(streamName, lower, upper) // before anybody has seen them
		}
	case neighbours && (len(open) >= mostShards || len(open) > 3 && k < 7):
		s.srv.Merge(streamName, open[i], open[i+1])
	default:
		s.srv.Split(streamName, open[i])
	}
	s.done++
}

// Behind holds the leases' checkpoints to what was written: they follow the
// commits.
func (s *stream) Behind(context.Context) string {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if last == nil {
		return "the stream is not filled"
	}
	items := s.db.Items(leaseTable)
	for _, sh := range s.srv.Shards(streamName) {
		if behind := leaseBehind(items[sh.ID], sh.ID, last[sh.ID]); behind != "" {
			return behind
		}
	}
	return ""
}

// leaseBehind says that a lease's checkpoint is not what it should be: the last
// record of an open shard, of a closed one SHARD_END or the lease is gone.
func leaseBehind(item leasetest.Item, shard, last string) string {
	checkpoint := ""
	if v, ok := item["checkpoint"].(*types.AttributeValueMemberS); ok {
		checkpoint = v.Value
	}
	if last == "" && item == nil {
		return ""
	}
	if last == "" {
		last = "SHARD_END"
	}
	if checkpoint == last {
		return ""
	}
	return fmt.Sprintf("the checkpoint of shard %s is %q, not %s", shard, checkpoint, last)
}
