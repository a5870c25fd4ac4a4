package lease

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Attributes of a lease. Semantics: Kinesis Client Library 2.x, lease table.
// Any others are left as they are.
const (
	attrKey         = "leaseKey"
	attrOwner       = "leaseOwner" // absent: nobody
	attrCounter     = "leaseCounter"
	attrCheckpoint  = "checkpoint"
	attrSubSequence = "checkpointSubSequenceNumber"
	attrSwitches    = "ownerSwitchesSinceCheckpoint"
	attrParents     = "parentShardId"
	attrChildren    = "childShardIds"
	attrStartHash   = "startingHashKey"
	attrEndHash     = "endingHashKey"
	attrStream      = "streamName" // in tables of several streams
	attrShard       = "shardId"    // likewise
	attrEntityType  = "entityType" // of newer KCLs, which keep other things in the table, too
	// attrHandOver is our own: the worker that asked for the lease. The KCL leaves it alone.
	attrHandOver = "handOverTo"
	// attrOf is ours, too: the stream as identity writes it.
	attrOf = "ofStream"
	// attrSince as well: what LATEST means, in Unix milliseconds of the service's clock.
	attrSince = "latestSince"
)

// pendingAttributes are what the KCL means to checkpoint next; a newer checkpoint voids them.
var pendingAttributes = []string{"pendingCheckpoint", "pendingCheckpointSubSequenceNumber", "pendingCheckpointState"}

type item = map[string]types.AttributeValue

// row is a lease as the table has it.
type row struct {
	key, stream, shard string
	owner, handOver    string
	counter            int64
	checkpoint         Checkpoint
	switches           int64
	parents, children  []string
	startHash, endHash string
	of                 identity // zero: it does not say
	since              int64    // likewise
}

// parseRow answers false for an item that is something else than a lease.
func parseRow(i item) (row, bool, error) {
	r := row{
		key: text(i, attrKey), owner: text(i, attrOwner), handOver: text(i, attrHandOver),
		checkpoint: Checkpoint{Sequence: text(i, attrCheckpoint)},
		parents:    set(i, attrParents), children: set(i, attrChildren),
		startHash: text(i, attrStartHash), endHash: text(i, attrEndHash),
	}
	r.stream, r.shard = splitKey(r.key)
	if of, ok := parseIdentity(text(i, attrOf)); ok {
		r.of = of
	}
	if kind := text(i, attrEntityType); kind != "" && kind != "LEASE" {
		return r, false, nil
	}
	if _, ok := i[attrCounter]; !ok {
		return r, false, nil
	}
	for _, n := range []struct {
		name string
		to   *int64
	}{{attrCounter, &r.counter}, {attrSubSequence, &r.checkpoint.SubSequence}, {attrSwitches, &r.switches}, {attrSince, &r.since}} {
		v, ok := i[n.name].(*types.AttributeValueMemberN)
		if !ok {
			continue
		}
		var err error
		if *n.to, err = strconv.ParseInt(v.Value, 10, 64); err != nil {
			return r, false, fmt.Errorf("reading %s of lease %s: %w", n.name, r.key, err)
		}
	}
	return r, true, nil
}

// item is a new lease.
func (r row) item() item {
	i := item{
		attrKey: str(r.key), attrCounter: num(r.counter), attrCheckpoint: str(r.checkpoint.Sequence),
		attrSubSequence: num(r.checkpoint.SubSequence), attrSwitches: num(r.switches),
	}
	if r.stream != "" {
		i[attrStream], i[attrShard] = str(r.stream), str(r.shard)
	}
	if len(r.parents) > 0 {
		i[attrParents] = &types.AttributeValueMemberSS{Value: r.parents}
	}
	if r.startHash != "" && r.endHash != "" {
		i[attrStartHash], i[attrEndHash] = str(r.startHash), str(r.endHash)
	}
	if r.of.known() {
		i[attrOf] = str(r.of.String())
	}
	if r.since != 0 {
		i[attrSince] = num(r.since)
	}
	return i
}

func newRow(stream string, s Shard, start string) row {
	parents := slices.DeleteFunc(slices.Clone(s.Parents), func(p string) bool { return p == "" })
	slices.Sort(parents)
	return row{
		key: leaseKey(stream, s.ID), stream: stream, shard: s.ID, checkpoint: Checkpoint{Sequence: start},
		parents: slices.Compact(parents), startHash: s.StartingHashKey, endHash: s.EndingHashKey,
	}
}

func (r row) finished() bool { return r.checkpoint.Sequence == ShardEnd }

// progressed tells that all before the lease's start was done, or left out on purpose.
func (r row) progressed() bool {
	return r.checkpoint.Sequence != TrimHorizon && r.checkpoint.Sequence != AtTimestamp
}

func text(i item, name string) string {
	if v, ok := i[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func set(i item, name string) []string {
	if v, ok := i[name].(*types.AttributeValueMemberSS); ok {
		return v.Value
	}
	return nil
}

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
