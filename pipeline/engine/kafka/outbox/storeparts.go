package outbox

import (
	"context"
	"encoding/binary"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// assigned and gone are the client's callbacks for partitions that come and go.
func (s *Store) assigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ids := range added {
		for _, id := range ids {
			s.parts[id] = false
		}
	}
}

func (s *Store) gone(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ids := range lost {
		for _, id := range ids {
			delete(s.parts, id)
		}
	}
}

// begin tells the client where to read: where the file stands. The client leaves
// out partitions whose offset the broker refused it, and would not ask for them
// again in this session; they begin all the same.
func (s *Store) begin(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	positions, err := s.file.Positions(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	begin := map[int32]kgo.Offset{}
	for id, begun := range s.parts {
		if _, offered := offsets[s.o.Names.Alerts()][id]; begun && !offered {
			continue
		}
		s.parts[id] = true
		if at, ok := offsetOf(positions[position("alerts", id)]); ok {
			begin[id] = kgo.NewOffset().At(at)
		} else {
			begin[id] = kgo.NewOffset().AtStart()
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
