package topics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// State of a topic after Create.
type State string

// The states.
const (
	Made    State = "made"
	ToMake  State = "to make" // Plan's word for what Create would make
	There   State = "there"   // it was there, and is as it should be
	Wrong   State = "wrong"   // it was there, and a fleet cannot run on it
	Refused State = "refused" // the cluster does not let it be made
)

// Outcome is what became of one topic.
type Outcome struct {
	Topic    string    `json:"topic"`
	State    State     `json:"state"`
	Problems []Problem `json:"problems,omitempty"`
}

// Create makes the topics that are missing and leaves alone what is there. It
// is safe to run again and by several at once. It answers an outcome for every
// topic, and general problems (of no topic) beside them; err is of asking only.
// It blocks until what was made has leaders, or ctx ends.
func Create(ctx context.Context, adm *kadm.Client, o Options) ([]Outcome, []Problem, error) {
	return create(ctx, adm, o, false)
}

// Plan answers what Create would do. The cluster checks it, and nothing changes.
func Plan(ctx context.Context, adm *kadm.Client, o Options) ([]Outcome, []Problem, error) {
	return create(ctx, adm, o, true)
}

func create(ctx context.Context, adm *kadm.Client, o Options, dry bool) ([]Outcome, []Problem, error) {
	if err := o.Validate(); err != nil {
		return nil, nil, err
	}
	o = o.withDefaults()
	all, brokers, err := look(ctx, adm, o.Topics())
	if err != nil {
		return nil, nil, err
	}
	replication := o.Replication
	if replication == 0 {
		replication = min(DefaultReplication, max(brokers, 1))
	}
	pairWrong := o.pairWrong(all)
	outcomes := make(map[string]*Outcome)
	var made []string
	for _, s := range o.specs() {
		out := &Outcome{Topic: s.name, State: There}
		outcomes[s.name] = out
		switch {
		case all[s.name].exists:
		case s.paired && pairWrong:
			out.State = Refused
			out.Problems = []Problem{{
				Topic: s.name, Severity: Error,
				What: "it was not made: the topic that belongs to it has another number of partitions",
			}}
		default:
			if err := makeTopic(ctx, adm, &s, o, replication, dry, out); err != nil {
				return nil, nil, err
			}
			if out.State == Made || out.State == There {
				made = append(made, s.name)
			}
		}
	}
	if len(made) > 0 && !dry {
		if all, brokers, err = untilSeen(ctx, adm, o.Topics(), made); err != nil {
			return nil, nil, err
		}
	}
	problems, _ := o.judge(all, brokers)
	return o.sortOut(outcomes, problems, brokers)
}

// sortOut gives each problem to its topic.
func (o Options) sortOut(outcomes map[string]*Outcome, problems []Problem, brokers int) ([]Outcome, []Problem, error) {
	var general []Problem
	if o.Replication == 0 && brokers < DefaultReplication {
		general = append(general, Problem{
			Severity: Warning,
			What:     fmt.Sprintf("the cluster has %d brokers: topics are made with that many replicas, and %d are usual", brokers, DefaultReplication),
		})
	}
	for _, p := range problems {
		out := outcomes[p.Topic]
		switch {
		case out == nil:
			general = append(general, p)
		case out.State == ToMake || out.State == Refused: // that it is missing is known
		default:
			out.Problems = append(out.Problems, p)
			if p.Severity == Error {
				out.State = Wrong
			}
		}
	}
	var list []Outcome
	for _, s := range o.specs() {
		list = append(list, *outcomes[s.name])
	}
	return list, general, nil
}

// pairWrong: one of the two topics that belong together is there with a number
// of partitions that is not configured. The other is not made then: with the
// configured number it would be one more thing to undo.
func (o Options) pairWrong(all map[string]*seen) bool {
	for _, name := range []string{o.Repartition(), o.Changelog()} {
		if s := all[name]; s.exists && len(s.detail.Partitions) != o.Partitions {
			return true
		}
	}
	return false
}

// makeTopic makes one topic, if need be without the settings that this cluster
// does not let anybody set.
func makeTopic(ctx context.Context, adm *kadm.Client, s *spec, o Options, replication int, dry bool, out *Outcome) error {
	all := s.settings(o, replication)
	err := ask(ctx, adm, s, all, replication, dry)
	var left []string
	if errors.Is(err, kerr.InvalidConfig) || errors.Is(err, kerr.PolicyViolation) || errors.Is(err, kerr.InvalidRequest) {
		var needed []setting
		for _, set := range all {
			if set.needed {
				needed = append(needed, set)
			} else {
				left = append(left, set.key+"="+set.value)
			}
		}
		refusal := err
		if err = ask(ctx, adm, s, needed, replication, dry); err == nil {
			out.Problems = []Problem{{
				Topic: s.name, Severity: Warning,
				What: fmt.Sprintf("the cluster does not take all settings (%v): it was made without %s", refusal, strings.Join(left, ", ")),
				Fix:  "set those that the cluster permits by its own means",
			}}
		}
	}
	var refused *kerr.Error
	switch {
	case err == nil && dry:
		out.State = ToMake
	case err == nil:
		out.State = Made
	case errors.Is(err, kerr.TopicAlreadyExists): // somebody else was quicker
		out.State = There
	case errors.As(err, &refused) && !refused.Retriable:
		out.State = Refused
		out.Problems = []Problem{{Topic: s.name, Severity: Error, What: fmt.Sprintf("it cannot be made: %v", err), Fix: refusalFix(err)}}
	default:
		return fmt.Errorf("making topic %s: %w", s.name, err)
	}
	return nil
}

func refusalFix(err error) string {
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return "let somebody with the right make it; trailtide topics acls --role create prints what is needed"
	case errors.Is(err, kerr.InvalidReplicationFactor):
		return "set kafka.replication to the number of brokers at most"
	}
	return ""
}

func ask(ctx context.Context, adm *kadm.Client, s *spec, settings []setting, replication int, dry bool) error {
	configs := make(map[string]*string, len(settings))
	for _, set := range settings {
		configs[set.key] = &set.value
	}
	partitions := int32(max(s.partitions, 1)) //nolint:gosec // validated
	call := adm.CreateTopics
	if dry {
		call = adm.ValidateCreateTopics
	}
	answers, err := call(ctx, partitions, int16(replication), configs, s.name) //nolint:gosec // validated
	if err != nil {
		return err
	}
	answer, err := answers.On(s.name, nil)
	if err != nil {
		return err
	}
	if answer.Err != nil && answer.ErrMessage != "" {
		return fmt.Errorf("%w (%s)", answer.Err, answer.ErrMessage)
	}
	return answer.Err
}

// untilSeen waits until the brokers know what the controller has made.
func untilSeen(ctx context.Context, adm *kadm.Client, names, made []string) (map[string]*seen, int, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		all, brokers, err := look(ctx, adm, names)
		if err != nil {
			return nil, 0, err
		}
		missing := ""
		for _, name := range made {
			if s := all[name]; !s.hidden && (!s.exists || s.leaderless()) {
				missing = name
			}
		}
		if missing == "" {
			return all, brokers, nil
		}
		select {
		case <-ctx.Done():
			return nil, 0, fmt.Errorf("waiting for the new topic %s to have leaders: %w", missing, ctx.Err())
		case <-tick.C:
		}
	}
}
