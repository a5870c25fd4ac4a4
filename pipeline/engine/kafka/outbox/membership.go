package outbox

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// membership is a client that is a member of a group over the alerts topic.
type membership struct {
	*kgo.Client
	cancel context.CancelFunc // ends everything that the client waits for
}

const (
	// revokeWithin is how long the group waits for a member that has to give
	// partitions up. It takes a moment: what is not committed is read again.
	revokeWithin = 10 * time.Second
	// leaveWithin is how long leaving may take. The client waits for a rebalance
	// that is under way, which waits for every other member.
	leaveWithin = 3 * time.Second
)

func (o *Options) member(group string, opts ...kgo.Opt) (*membership, error) {
	ctx, cancel := context.WithCancel(context.Background())
	opts = append([]kgo.Opt{
		kgo.WithContext(ctx),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(o.Names.Alerts()),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(o.SessionTimeout), kgo.HeartbeatInterval(min(o.SessionTimeout/3, 3*time.Second)),
		kgo.RebalanceTimeout(max(o.SessionTimeout, revokeWithin)),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords(),
	}, opts...)
	if o.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(o.InstanceID))
	}
	cl, err := o.connect(opts...)
	if err != nil {
		cancel()
		return nil, err
	}
	return &membership{cl, cancel}, nil
}

// leave leaves the group, unless the member is static, and closes the client.
// Where that takes too long, the session ends by itself.
func (m *membership) leave() {
	timer := time.AfterFunc(leaveWithin, m.cancel)
	m.CloseAllowingRebalance()
	timer.Stop()
	m.cancel()
}
