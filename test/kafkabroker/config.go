//go:build unix

package kafkabroker

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// controller is the listener by which the controllers speak with each other.
const controller Listener = "CONTROLLER"

// clusterID is 16 bytes in base64, as Kafka wants it.
const clusterID = "dHJhaWx0aWRlLXRlc3QtMQ"

// defaults make a broker small and quick to notice things. Timeouts that the
// product has to live with stay as they are, such as the ten seconds after which
// transactions are looked through for those that timed out.
var defaults = map[string]string{
	"process.roles":                                    "broker,controller",
	"controller.listener.names":                        string(controller),
	"inter.broker.listener.name":                       string(Plaintext),
	"auto.create.topics.enable":                        "false",
	"num.partitions":                                   "4",
	"offsets.topic.num.partitions":                     "4",
	"offsets.topic.replication.factor":                 "1",
	"transaction.state.log.num.partitions":             "4",
	"transaction.state.log.replication.factor":         "1",
	"transaction.state.log.min.isr":                    "1",
	"share.coordinator.state.topic.num.partitions":     "1",
	"share.coordinator.state.topic.replication.factor": "1",
	"share.coordinator.state.topic.min.isr":            "1",
	"group.initial.rebalance.delay.ms":                 "0",
	"group.min.session.timeout.ms":                     "1000",
	"group.consumer.min.session.timeout.ms":            "1000",
	"group.consumer.min.heartbeat.interval.ms":         "100",
	"group.consumer.heartbeat.interval.ms":             "500",
	"broker.heartbeat.interval.ms":                     "500",
	"broker.session.timeout.ms":                        "4000",
	"log.initial.task.delay.ms":                        "500",
	"log.retention.check.interval.ms":                  "1000",
	"log.cleaner.backoff.ms":                           "1000",
	"log.cleaner.dedupe.buffer.size":                   "33554432",
	"log.segment.delete.delay.ms":                      "1000",
	"num.network.threads":                              "2",
	"num.io.threads":                                   "4",
}

// replicated is what three nodes have in place of some defaults.
var replicated = map[string]string{
	"default.replication.factor":                       "3",
	"min.insync.replicas":                              "2",
	"offsets.topic.replication.factor":                 "3",
	"transaction.state.log.replication.factor":         "3",
	"transaction.state.log.min.isr":                    "2",
	"share.coordinator.state.topic.replication.factor": "3",
	"share.coordinator.state.topic.min.isr":            "2",
}

// logging sends warnings to standard output.
const logging = `rootLogger.level=warn
rootLogger.appenderRef.c.ref=C
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %c{1} %m%n
`

// addresses adds who the node is and where it listens.
func (n *Node) addresses(m map[string]string) {
	var listeners, advertised, protocols, voters []string
	for _, l := range slices.Sorted(maps.Keys(n.addrs)) {
		at := string(l) + "://" + n.addrs[l]
		listeners = append(listeners, at)
		protocol := string(l)
		if l == controller {
			protocol = string(Plaintext)
		} else {
			advertised = append(advertised, at)
		}
		protocols = append(protocols, string(l)+":"+protocol)
	}
	for _, other := range n.c.nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", other.id, other.addrs[controller]))
	}
	m["node.id"] = strconv.Itoa(n.id)
	m["log.dirs"] = filepath.Join(n.dir, "data")
	m["listeners"] = strings.Join(listeners, ",")
	m["advertised.listeners"] = strings.Join(advertised, ",")
	m["listener.security.protocol.map"] = strings.Join(protocols, ",")
	m["controller.quorum.voters"] = strings.Join(voters, ",")
}

// security adds what the other listeners and the ACLs need.
func (c *Cluster) security(m map[string]string) {
	m["ssl.keystore.type"] = "PEM"
	m["ssl.keystore.location"] = c.certs.server
	m["ssl.truststore.type"] = "PEM"
	m["ssl.truststore.location"] = c.certs.ca
	m["listener.name.ssl.ssl.client.auth"] = "requested"
	m["sasl.enabled.mechanisms"] = "SCRAM-SHA-256,SCRAM-SHA-512"
	for _, l := range []Listener{SASL, SASLTLS} {
		for _, mechanism := range []string{"scram-sha-256", "scram-sha-512"} {
			m["listener.name."+strings.ToLower(string(l))+"."+mechanism+".sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
		}
	}
	if c.o.ACLs {
		m["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
		m["super.users"] = "User:ANONYMOUS"
	}
}

// properties writes a Java properties file.
func properties(m map[string]string) []byte {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s=%s\n", k, m[k])
	}
	return []byte(b.String())
}
