package outbox

import (
	"context"
	"encoding/binary"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// storePart is a partition of the alerts topic that is the store's.
type storePart struct {
	begun bool  // the client has been told where to read
	at    int64 // what comes first that is not in the file; -1: the file has nothing
}

// assigned and gone are the client's callbacks for partitions that come and go.
func (s *Store) assigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ids := range added {
		for _, id := range ids {
			s.parts[id] = &storePart{at: -1}
		}
	}
}

func (s *Store) gone(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ids := range lost {
		for _, id := range ids {
			delete(s.parts, id)
			s.lag.DeleteLabelValues(strconv.Itoa(int(id)))
		}
	}
}

// part answers a partition of ours and where the file stands in it.
func (s *Store) part(id int32) (p *storePart, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p = s.parts[id]; p != nil {
		at = p.at
	}
	return p, at
}

// observe shows how far the file is behind the end of a partition.
func (s *Store) observe(id int32, at, end int64) {
	s.lag.WithLabelValues(strconv.Itoa(int(id))).Set(float64(max(end-at, 0)))
}

// begin tells the client where to read: where the file stands. The client leaves
// out partitions whose offset the broker refused it, and would not ask for them
// again in this session; they begin all the same.
func (s *Store) begin(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	var positions map[string][]byte
	err := s.retry(ctx, func(ctx context.Context) (err error) {
		positions, err = s.file.Positions(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	begin := map[int32]kgo.Offset{}
	for id, p := range s.parts {
		if _, offered := offsets[s.o.Names.Alerts()][id]; p.begun && !offered {
			continue
		}
		begin[id], p.begun = kgo.NewOffset().AtStart(), true
		if at, ok := offsetOf(positions[position("alerts", id)]); ok {
			begin[id], p.at = kgo.NewOffset().At(at), at
		}
	}
	return map[string]map[int32]kgo.Offset{s.o.Names.Alerts(): begin}, nil
}

func position(what string, partition int32) string {
	return what + "/" + strconv.Itoa(int(partition))
}

func offsetOf(position []byte) (int64, bool) {
	if len(position) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(position)), true
}

func positionOf(offset int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(offset)) }
