package topics

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Severity of a Problem.
type Severity string

// A fleet does not start on an Error; a Warning it tells.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one thing that is not as it should be.
type Problem struct {
	Topic    string   `json:"topic,omitempty"` // empty: it is about all of them
	Severity Severity `json:"severity"`
	What     string   `json:"problem"`
	Fix      string   `json:"fix,omitempty"` // a command or a setting, for people
}

// String is the problem in a line, and how it is mended in the next.
func (p Problem) String() string {
	s := p.What
	if p.Topic != "" {
		s = p.Topic + ": " + s
	}
	if p.Fix != "" {
		s += "\n  " + p.Fix
	}
	return s
}

// ErrWrong is the error of a set of topics on which no fleet may run.
var ErrWrong = errors.New("the topics are not what the configuration asks for")

// Errors joins the problems that keep a fleet from starting; nil if there are
// none. It is an ErrWrong.
func Errors(problems []Problem) error {
	var errs []error
	for _, p := range problems {
		if p.Severity == Error {
			errs = append(errs, errors.New(p.String()))
		}
	}
	if errs == nil {
		return nil
	}
	return fmt.Errorf("%w:\n%w", ErrWrong, errors.Join(errs...))
}

// Layout is what was found.
type Layout struct {
	Brokers         int            `json:"brokers"`
	Partitions      int            `json:"partitions"`       // of the repartition topic; 0: unknown
	AlertPartitions int            `json:"alert_partitions"` // 0: unknown
	Topics          []TopicLayout  `json:"topics"`
	byName          map[string]int // index in Topics
}

// TopicLayout is one topic as it was found.
type TopicLayout struct {
	Topic       string `json:"topic"`
	Exists      bool   `json:"exists"`
	Partitions  int    `json:"partitions,omitempty"`
	Replication int    `json:"replication,omitempty"` // of the partition with the fewest
}

// Topic returns the layout of a topic by its name.
func (l *Layout) Topic(name string) (TopicLayout, bool) {
	i, ok := l.byName[name]
	if !ok {
		return TopicLayout{}, false
	}
	return l.Topics[i], true
}

// Check compares the cluster's topics with what o asks for, and finds all
// problems at once. err is of asking only (no connection, a refusal that is not
// about topics): then nothing is known. It changes nothing, and blocks until
// the cluster has answered or ctx ends.
func Check(ctx context.Context, adm *kadm.Client, o Options) (problems []Problem, layout Layout, err error) {
	if err := o.Validate(); err != nil {
		return nil, Layout{}, err
	}
	o = o.withDefaults()
	all, brokers, err := look(ctx, adm, o.Topics())
	if err != nil {
		return nil, Layout{}, err
	}
	problems, layout = o.judge(all, brokers)
	return problems, layout, nil
}

// checker collects the problems of one topic.
type checker struct {
	o    Options
	spec spec
	seen *seen
	list []Problem
}

func (c *checker) add(s Severity, fix, format string, args ...any) {
	c.list = append(c.list, Problem{Topic: c.spec.name, Severity: s, What: fmt.Sprintf(format, args...), Fix: fix})
}

// judge is Check without the asking.
func (o Options) judge(all map[string]*seen, brokers int) ([]Problem, Layout) {
	layout := Layout{Brokers: brokers, byName: make(map[string]int)}
	var problems []Problem
	var unread []string
	for _, s := range o.specs() {
		c := &checker{o: o, spec: s, seen: all[s.name]}
		t := c.layout()
		layout.byName[s.name] = len(layout.Topics)
		layout.Topics = append(layout.Topics, t)
		c.check(t, brokers)
		problems = append(problems, c.list...)
		if t.Exists && c.seen.configs == nil {
			unread = append(unread, s.name)
		}
	}
	r, _ := layout.Topic(o.Repartition())
	l, _ := layout.Topic(o.Changelog())
	a, _ := layout.Topic(o.Alerts())
	layout.Partitions, layout.AlertPartitions = r.Partitions, a.Partitions
	problems = append(problems, o.judgePair(r, l)...)
	if brokers == 1 && o.Replication <= 1 {
		problems = append(problems, Problem{Severity: Warning, What: "the cluster has one broker: what is lost with it is lost, and nothing runs while it is down"})
	}
	if len(unread) > 0 {
		problems = append(problems, Problem{
			Severity: Warning,
			What: "not verified, because the client may not read the configuration of " + strings.Join(unread, ", ") +
				": cleanup policy, retention, largest message, replicas in sync",
			Fix: "grant DescribeConfigs on these topics (trailtide topics acls prints the commands)",
		})
	}
	return problems, layout
}

func (c *checker) layout() TopicLayout {
	t := TopicLayout{Topic: c.spec.name, Exists: c.seen.exists, Partitions: len(c.seen.detail.Partitions)}
	for _, p := range c.seen.detail.Partitions {
		if t.Replication == 0 || len(p.Replicas) < t.Replication {
			t.Replication = len(p.Replicas)
		}
	}
	return t
}

const createThem = "trailtide topics create -c FILE"

func (c *checker) check(t TopicLayout, brokers int) {
	switch {
	case c.seen.hidden:
		c.add(Error, "grant Describe on it (trailtide topics acls prints the commands), or make it: "+createThem,
			"the client may not see it: it is missing, or the rights are")
		return
	case !t.Exists:
		c.add(Error, createThem, "it is missing")
		return
	}
	if want := c.spec.partitions; want > 0 && !c.spec.paired && t.Partitions != want {
		c.wrongCount(t.Partitions, want)
	}
	c.replication(t.Replication, brokers)
	c.rights()
	if c.seen.configs != nil {
		c.configs(t.Replication)
	}
}

func (c *checker) wrongCount(have, want int) {
	if c.spec.name == c.o.Alerts() {
		c.add(Error, fmt.Sprintf("set kafka.alert_partitions: %d", have),
			"it has %d partitions, and kafka.alert_partitions is %d: an alert and its updates keep their order only within the partition of its ID", have, want)
		return
	}
	c.add(Error, "if nothing has been written to it, delete it ("+c.kafkaTopics("--delete")+"), then "+createThem+"; otherwise go on under another kafka.prefix",
		"it has %d partitions, and its readers rely on the order of one", have)
}

// judgePair compares the two topics whose number of partitions decides where
// keys are counted, and where their windows are.
func (o Options) judgePair(repartition, changelog TopicLayout) []Problem {
	if !repartition.Exists || !changelog.Exists {
		for _, t := range []TopicLayout{repartition, changelog} {
			if t.Exists && t.Partitions != o.Partitions {
				return []Problem{o.wrongPartitions(t)}
			}
		}
		return nil
	}
	if repartition.Partitions != changelog.Partitions {
		return []Problem{{
			Topic: repartition.Topic, Severity: Error,
			What: fmt.Sprintf("it has %d partitions and %s has %d: the windows of a partition are in the one of the same number",
				repartition.Partitions, changelog.Topic, changelog.Partitions),
			Fix: "Kafka cannot take partitions away. If no worker has run on them yet, delete both and run " + createThem + "; " + elsewhere,
		}}
	}
	if repartition.Partitions != o.Partitions {
		return []Problem{o.wrongPartitions(repartition)}
	}
	return nil
}

const elsewhere = "otherwise let the fleet drain and go on under another kafka.prefix (docs/fleet.md, \"Changing the number of partitions\")"

func (o Options) wrongPartitions(t TopicLayout) Problem {
	return Problem{
		Topic: t.Topic, Severity: Error,
		What: fmt.Sprintf("it has %d partitions, and kafka.partitions is %d: which partition counts a key depends on the number, so that it cannot be changed under way",
			t.Partitions, o.Partitions),
		Fix: fmt.Sprintf("set kafka.partitions: %d; %s", t.Partitions, elsewhere),
	}
}

func (c *checker) replication(have, brokers int) {
	want := c.o.Replication
	if want == 0 {
		want = min(DefaultReplication, max(brokers, 1))
	}
	if have > 0 && have < want {
		c.add(Warning, "move its partitions with kafka-reassign-partitions, or set kafka.replication: "+strconv.Itoa(have),
			"it has %d of %d replicas: what is on a lost broker is lost", have, want)
	}
}

// rights compares what the client may do with what a worker does. The broker
// says nothing about it where it has no authorizer.
func (c *checker) rights() {
	may := c.seen.detail.AuthorizedOperations
	if len(may) == 0 {
		return
	}
	var lacking []string
	for _, op := range c.spec.worker {
		if !slices.Contains(may, op) && !slices.Contains(may, kadm.OpAll) {
			lacking = append(lacking, operationName(op))
		}
	}
	if len(lacking) > 0 {
		c.add(Warning, "grant it (trailtide topics acls prints the commands)", "the client lacks what a worker needs: %s", strings.Join(lacking, ", "))
	}
}

func (c *checker) configs(replication int) {
	policies := strings.FieldsFunc(c.seen.configs[cleanupPolicy], func(r rune) bool { return r == ',' || r == ' ' })
	hasCompact, hasDelete := slices.Contains(policies, compacted), slices.Contains(policies, deleted)
	switch {
	case len(policies) == 0: // not told
	case c.spec.policy == compacted && (hasDelete || !hasCompact):
		c.add(Error, c.set(cleanupPolicy, compacted), "cleanup.policy is %s: state that has not changed for a while would be deleted", strings.Join(policies, ","))
	case c.spec.policy == deleted && hasCompact:
		c.add(Error, c.set(cleanupPolicy, deleted), "cleanup.policy is %s: compaction would take records out from under their readers", strings.Join(policies, ","))
	}
	if n, ok := c.number(maxMessageBytes); ok && n < int64(c.o.MaxMessageBytes) {
		c.add(Error, c.set(maxMessageBytes, strconv.Itoa(c.o.MaxMessageBytes)), "max.message.bytes is %d: a record may need %d", n, c.o.MaxMessageBytes)
	}
	if n, ok := c.number(minISR); ok && replication > 0 {
		switch {
		case n > int64(replication):
			c.add(Error, c.set(minISR, strconv.Itoa(wantISR(replication))), "min.insync.replicas is %d and there are %d replicas: nothing can be written", n, replication)
		case n == int64(replication) && n > 1:
			c.add(Warning, c.set(minISR, strconv.Itoa(wantISR(replication))), "min.insync.replicas is %d of %d: it stops when one broker does", n, replication)
		case n < int64(wantISR(replication)):
			c.add(Warning, c.set(minISR, strconv.Itoa(wantISR(replication))), "min.insync.replicas is %d of %d replicas: a commit may be lost with one broker", n, replication)
		}
	}
	if c.seen.configs[uncleanElection] == "true" {
		c.add(Warning, c.set(uncleanElection, "false"), "unclean.leader.election.enable is true: commits may be lost")
	}
	if c.spec.policy == deleted {
		c.retention()
	} else {
		c.compaction()
	}
}

func (c *checker) retention() {
	want := c.spec.retention
	if n, ok := c.number(retentionMs); ok && n >= 0 && n < want.Milliseconds() {
		have := duration(time.Duration(n) * time.Millisecond)
		fix := c.set(retentionMs, millis(want))
		if c.spec.name == c.o.Alerts() && n < MinAlertRetention.Milliseconds() {
			c.add(Error, fix, "retention.ms is %s: a sink that is away for longer loses alerts; %s is the least", have, duration(MinAlertRetention))
		} else {
			c.add(Warning, fix, "retention.ms is %s, and the configuration says %s", have, duration(want))
		}
	}
	if n, ok := c.number(retentionBytes); ok && n >= 0 {
		c.add(Warning, c.set(retentionBytes, "-1"), "retention.bytes is %d: records may go before their time", n)
	}
}

// compaction tells of settings that leave a restore much to read.
func (c *checker) compaction() {
	slow := func(key, value, format string, args ...any) {
		c.add(Warning, c.set(key, value), format+", so that a restore reads much that is out of date", args...)
	}
	for _, s := range c.spec.settings(c.o, DefaultReplication) {
		n, ok := c.number(s.key)
		switch {
		case s.key == dirtyRatio:
			if ratio, err := strconv.ParseFloat(c.seen.configs[s.key], 64); err == nil && ratio >= 0.5 {
				slow(s.key, s.value, "min.cleanable.dirty.ratio is %v", ratio)
			}
		case s.key == segmentSize && ok && n > 8*segmentBytes:
			slow(s.key, s.value, "segment.bytes is %d", n)
		case s.key == segmentMs && ok && n > day.Milliseconds():
			slow(s.key, s.value, "segment.ms is %s", duration(time.Duration(n)*time.Millisecond))
		case s.key == compactionLag && ok && n > time.Hour.Milliseconds():
			slow(s.key, s.value, "min.compaction.lag.ms is %s", duration(time.Duration(n)*time.Millisecond))
		case s.key == deleteRetention && ok && n < time.Minute.Milliseconds():
			c.add(Warning, c.set(s.key, s.value), "delete.retention.ms is %d: a restore that takes longer may bring back what was deleted", n)
		}
	}
}

func (c *checker) number(key string) (int64, bool) {
	n, err := strconv.ParseInt(c.seen.configs[key], 10, 64)
	return n, err == nil
}

// set is the command that mends a setting.
func (c *checker) set(key, value string) string {
	return fmt.Sprintf(`kafka-configs --bootstrap-server "$KAFKA" --alter --entity-type topics --entity-name %s --add-config %s=%s`, c.spec.name, key, value)
}

func (c *checker) kafkaTopics(what string) string {
	return fmt.Sprintf(`kafka-topics --bootstrap-server "$KAFKA" %s --topic %s`, what, c.spec.name)
}
