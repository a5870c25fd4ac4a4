package topics

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrBroker is the error of a cluster that is too old for a fleet.
var ErrBroker = errors.New("the fleet needs Kafka 2.5 or newer")

// ErrTwoClusters is the error of a fleet whose source is on another cluster: a
// transaction cannot reach over two.
var ErrTwoClusters = errors.New("the source and the fleet's topics are on two clusters")

// need is a request that the fleet is built on, and the version that can do it.
type need struct {
	key     kmsg.Key
	version int16
	why     string
}

// needs: both came with Kafka 2.5 (KIP-447).
func needs() []need {
	return []need{
		{kmsg.TxnOffsetCommit, 3, "the broker checks the group's membership when a transaction commits offsets"},
		{kmsg.OffsetFetch, 7, "offsets are read without those of open transactions"},
	}
}

// BrokerVersion asks every broker that can be reached what it can do. A broker
// that lacks something makes it an ErrBroker, which names broker and request;
// any other error means that none has answered. It blocks until they have, or
// ctx ends.
func BrokerVersion(ctx context.Context, cl *kgo.Client) error {
	versions, err := kadm.NewClient(cl).ApiVersions(ctx)
	if err != nil {
		return fmt.Errorf("asking the brokers for their versions: %w", err)
	}
	var lacking []string
	var unreachable []error
	for _, b := range versions.Sorted() {
		if b.Err != nil {
			unreachable = append(unreachable, fmt.Errorf("broker %d: %w", b.NodeID, b.Err))
			continue
		}
		for _, n := range needs() {
			name := kmsg.NameForKey(n.key.Int16())
			switch has, ok := b.KeyMaxVersion(n.key.Int16()); {
			case !ok:
				lacking = append(lacking, fmt.Sprintf("broker %d (%s) has no %s: %s", b.NodeID, b.VersionGuess(), name, n.why))
			case has < n.version:
				lacking = append(lacking, fmt.Sprintf("broker %d (%s) has version %d of %s and not %d: %s",
					b.NodeID, b.VersionGuess(), has, name, n.version, n.why))
			}
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("%w: %s", ErrBroker, strings.Join(lacking, "; "))
	}
	if len(unreachable) == len(versions) {
		return errors.Join(slices.Insert(unreachable, 0, errors.New("no broker has told its version"))...)
	}
	return nil
}

// OneCluster finds out that a source of Kafka is on the fleet's own cluster, as
// it must be: its offsets are committed in the fleet's transactions. It is an
// ErrTwoClusters if not; any other error means that it is not known.
func OneCluster(ctx context.Context, fleet, source *kadm.Client) error {
	var ids [2]string
	for i, adm := range []*kadm.Client{fleet, source} {
		m, err := adm.BrokerMetadata(ctx)
		if err != nil {
			return fmt.Errorf("asking for the cluster's ID: %w", err)
		}
		ids[i] = m.Cluster
	}
	if ids[0] != ids[1] && ids[0] != "" && ids[1] != "" {
		return fmt.Errorf("%w: kafka.brokers belong to %s, source.kafka.brokers to %s", ErrTwoClusters, ids[0], ids[1])
	}
	return nil
}
