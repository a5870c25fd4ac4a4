// Package topics knows the topics of a fleet: their names, what they must be
// like, how they are made and checked.
package topics

// Names are the topics and groups of one fleet.
type Names struct {
	// Prefix of all of them; two fleets on one cluster differ in it.
	Prefix string
}

// DefaultPrefix is the prefix where none is configured.
const DefaultPrefix = "trailtide"

// Repartition carries matches and time markers from the match stage to the
// alert stage.
func (n Names) Repartition() string { return n.Prefix + "-repartition" }

// Changelog holds the window state of each repartition partition.
func (n Names) Changelog() string { return n.Prefix + "-changelog" }

// Positions holds the positions of sources other than Kafka.
func (n Names) Positions() string { return n.Prefix + "-positions" }

// Alerts is the outbox.
func (n Names) Alerts() string { return n.Prefix + "-alerts" }

// Notify holds what sinks know of alerts after their place.
func (n Names) Notify() string { return n.Prefix + "-notify" }

// Dead holds the alerts that a sink could not deliver.
func (n Names) Dead(sink string) string { return n.Prefix + "-dead-" + sink }

// Invalid holds the dead letters of events that could not be read.
func (n Names) Invalid() string { return n.Prefix + "-invalid" }

// Control carries what people say to alerts.
func (n Names) Control() string { return n.Prefix + "-control" }

// AlertGroup is the consumer group of the alert stage.
func (n Names) AlertGroup() string { return n.Prefix + "-alert" }

// SinkGroup is the consumer group of a sink.
func (n Names) SinkGroup(sink string) string { return n.Prefix + "-sink-" + sink }

// StoreGroup is the consumer group of the alert store.
func (n Names) StoreGroup() string { return n.Prefix + "-store" }

// TransactionalIDs is what all transactional IDs of the fleet begin with.
func (n Names) TransactionalIDs() string { return n.Prefix + "-" }
