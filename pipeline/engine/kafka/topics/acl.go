package topics

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Role is what a principal does with a fleet.
type Role string

// The roles.
const (
	RoleWorker   Role = "worker"   // trailtide run
	RoleStore    Role = "store"    // reads the alerts, and what people say to them, into a store
	RoleOperator Role = "operator" // trailtide alerts ack and the like, trailtide dead-letters
	RoleCreate   Role = "create"   // trailtide topics create
)

// Roles are all of them.
func Roles() []Role { return []Role{RoleWorker, RoleStore, RoleOperator, RoleCreate} }

// Resource is a kind of thing that an ACL is about, in the words of kafka-acls.
type Resource string

// The resources.
const (
	Topic           Resource = "topic"
	Group           Resource = "group"
	TransactionalID Resource = "transactional-id"
	Cluster         Resource = "cluster"
)

// ACL allows a principal some operations on one resource.
type ACL struct {
	Principal  string
	Resource   Resource
	Name       string // empty for the cluster
	Prefixed   bool   // all whose names begin with Name
	Operations []kadm.ACLOperation
}

// ACLs are the least that a principal ("User:trailtide") needs for a role, on a
// cluster that allows nothing by itself.
func ACLs(o Options, role Role, principal string) []ACL {
	o = o.withDefaults()
	b := &aclBuilder{principal: principal}
	switch role {
	case RoleWorker:
		o.workerACLs(b)
	case RoleStore:
		b.add(Topic, o.Alerts(), false, kadm.OpRead, kadm.OpDescribe)
		b.add(Topic, o.Control(), false, kadm.OpRead, kadm.OpDescribe)
		b.add(Group, o.StoreGroup(), false, kadm.OpRead, kadm.OpDescribe)
	case RoleOperator:
		b.add(Topic, o.Control(), false, kadm.OpRead, kadm.OpWrite, kadm.OpDescribe)
		for _, topic := range slices.Concat([]string{o.Alerts(), o.Invalid()}, deadTopics(o)) {
			b.add(Topic, topic, false, kadm.OpRead, kadm.OpDescribe)
		}
		b.add(Cluster, "", false, kadm.OpIdempotentWrite)
	case RoleCreate:
		b.add(Topic, o.TransactionalIDs(), true, kadm.OpCreate, kadm.OpDescribe, kadm.OpDescribeConfigs)
	}
	return b.list
}

func deadTopics(o Options) (names []string) {
	for _, sink := range o.Sinks {
		names = append(names, o.Dead(sink))
	}
	return names
}

type aclBuilder struct {
	principal string
	list      []ACL
}

func (b *aclBuilder) add(r Resource, name string, prefixed bool, ops ...kadm.ACLOperation) {
	b.list = append(b.list, ACL{Principal: b.principal, Resource: r, Name: name, Prefixed: prefixed, Operations: ops})
}

func (o Options) workerACLs(b *aclBuilder) {
	for _, s := range o.specs() {
		ops := append(s.worker[:len(s.worker):len(s.worker)], kadm.OpDescribe, kadm.OpDescribeConfigs)
		b.add(Topic, s.name, false, ops...)
	}
	for _, t := range o.Source.Topics {
		b.add(Topic, t, false, kadm.OpRead, kadm.OpDescribe)
	}
	if o.Source.Prefix != "" {
		b.add(Topic, o.Source.Prefix, true, kadm.OpRead, kadm.OpDescribe)
	}
	groups := []string{o.AlertGroup()}
	if o.Source.Group != "" {
		groups = append(groups, o.Source.Group)
	}
	for _, sink := range o.Sinks {
		groups = append(groups, o.SinkGroup(sink))
	}
	if o.Store {
		groups = append(groups, o.StoreGroup())
	}
	for _, g := range groups {
		b.add(Group, g, false, kadm.OpRead, kadm.OpDescribe)
	}
	b.add(TransactionalID, o.TransactionalIDs(), true, kadm.OpWrite, kadm.OpDescribe)
	// Brokers before 3.0 ask for it wherever a producer is idempotent (KIP-679).
	b.add(Cluster, "", false, kadm.OpIdempotentWrite)
}

// String is the ACL as a command of Kafka's own tools. It expects the brokers in
// the variable KAFKA.
func (a ACL) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, `kafka-acls --bootstrap-server "$KAFKA" --add --allow-principal %s`, quoted(a.Principal))
	for _, op := range a.Operations {
		s.WriteString(" --operation " + operationName(op))
	}
	if a.Prefixed {
		s.WriteString(" --resource-pattern-type prefixed")
	}
	s.WriteString(" --" + string(a.Resource))
	if a.Resource != Cluster {
		s.WriteString(" " + quoted(a.Name))
	}
	return s.String()
}

var plainWord = regexp.MustCompile(`^[a-zA-Z0-9._:/-]+$`)

// quoted makes one word of the shell's.
func quoted(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// operationName is an operation in the words of kafka-acls: "DescribeConfigs".
func operationName(op kadm.ACLOperation) string {
	var s strings.Builder
	for word := range strings.SplitSeq(op.String(), "_") {
		if word != "" {
			s.WriteString(word[:1] + strings.ToLower(word[1:]))
		}
	}
	return s.String()
}
