package topics

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// seen is what the cluster shows of one topic.
type seen struct {
	exists  bool
	hidden  bool // the client may not describe it, nor learn whether it exists
	detail  kadm.TopicDetail
	configs map[string]string // nil: they may not be read
}

// leaderless: a partition of it has no leader yet, or not now.
func (s *seen) leaderless() bool {
	for _, p := range s.detail.Partitions {
		if p.Leader < 0 || p.Err != nil {
			return true
		}
	}
	return len(s.detail.Partitions) == 0
}

// look describes topics without making any. What the client may not see is
// noted, not an error.
func look(ctx context.Context, adm *kadm.Client, names []string) (map[string]*seen, int, error) {
	// A direct question: the client's cache does not know what was made a moment ago.
	ctx = kadm.WithAuthorizedOps(ctx)
	brokers, err := adm.BrokerMetadata(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("asking for the cluster's brokers: %w", err)
	}
	all := make(map[string]*seen, len(names))
	err = each(names, func(some []string) error {
		details, err := adm.ListTopicsWithInternal(ctx, some...)
		if err != nil {
			return err
		}
		for _, name := range some {
			d := details[name]
			switch {
			case errors.Is(d.Err, kerr.UnknownTopicOrPartition):
				all[name] = &seen{}
			case d.Err != nil && !errors.Is(d.Err, kerr.LeaderNotAvailable):
				return fmt.Errorf("topic %s: %w", name, d.Err)
			default:
				all[name] = &seen{exists: true, detail: d}
			}
		}
		return nil
	}, func(name string) { all[name] = &seen{hidden: true} })
	if err != nil {
		return nil, 0, fmt.Errorf("describing topics: %w", err)
	}
	return all, len(brokers.Brokers), lookConfigs(ctx, adm, names, all)
}

func lookConfigs(ctx context.Context, adm *kadm.Client, names []string, all map[string]*seen) error {
	var exist []string
	for _, name := range names {
		if all[name].exists {
			exist = append(exist, name)
		}
	}
	err := each(exist, func(some []string) error {
		described, err := adm.DescribeTopicConfigs(ctx, some...)
		if err != nil {
			return err
		}
		for _, r := range described {
			s := all[r.Name]
			if s == nil || r.Err != nil {
				continue // another broker has not heard of it yet: it is not verified
			}
			s.configs = make(map[string]string, len(r.Configs))
			for _, c := range r.Configs {
				if c.Value != nil {
					s.configs[c.Key] = *c.Value
				}
			}
		}
		return nil
	}, func(string) {})
	if err != nil {
		return fmt.Errorf("reading the topics' configurations: %w", err)
	}
	return nil
}

// each asks for all names at once and, if one of them may not be asked for, for
// each by itself, so that one refusal does not hide the others.
func each(names []string, ask func([]string) error, denied func(string)) error {
	if len(names) == 0 {
		return nil
	}
	var auth *kadm.AuthError
	err := ask(names)
	if !errors.As(err, &auth) {
		return err
	}
	for _, name := range names {
		err := ask([]string{name})
		switch {
		case errors.As(err, &auth):
			denied(name)
		case err != nil:
			return err
		}
	}
	return nil
}
