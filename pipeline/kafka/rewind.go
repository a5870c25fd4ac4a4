package kafka

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrMembers is that a group has members, whose offsets nobody else may set.
var ErrMembers = errors.New("the group has members")

// Rewind sets the offsets of o's group back to the first records that are
// stamped with t or later, in every partition of o's topics: a Shared source
// that starts after it reads from there. It does what kafka-consumer-groups does
// with --reset-offsets. ErrMembers: somebody reads.
func Rewind(ctx context.Context, o Options, t time.Time) error {
	o.setDefaults()
	opts, err := o.Client.KgoOpts()
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	groups, err := adm.DescribeGroups(ctx, o.Group)
	if err == nil {
		err = groups.Error()
	}
	if err != nil {
		return fmt.Errorf("describe group %s: %w", o.Group, err)
	}
	if n := len(groups[o.Group].Members); n > 0 {
		return fmt.Errorf("group %s: %w: %d", o.Group, ErrMembers, n)
	}
	topics, err := o.named(ctx, adm)
	if err != nil {
		return err
	}
	listed, err := adm.ListOffsetsAfterMilli(ctx, t.UnixMilli(), topics...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return fmt.Errorf("find the offsets of %s: %w", t.UTC().Format(time.RFC3339), err)
	}
	committed, err := adm.CommitOffsets(ctx, o.Group, listed.Offsets())
	if err == nil {
		err = committed.Error()
	}
	if err != nil {
		return fmt.Errorf("commit offsets of group %s: %w", o.Group, err)
	}
	return nil
}

// named are the topics that there are of those that o wants.
func (o *Options) named(ctx context.Context, adm *kadm.Client) ([]string, error) {
	if o.TopicRegex == "" {
		return o.Topics, nil
	}
	whole, err := regexp.Compile(o.wholeRegex())
	if err != nil {
		return nil, fmt.Errorf("topic_regex: %w", err)
	}
	details, err := adm.ListTopics(ctx)
	if err == nil {
		err = details.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var out []string
	for _, name := range details.Names() {
		if whole.MatchString(name) {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no topic matches %q", o.TopicRegex)
	}
	return out, nil
}
