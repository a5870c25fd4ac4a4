package sinks

import "context"

// Sink delivers alerts to one receiver.
type Sink interface {
	// Write delivers alerts and returns when the receiver has them. It must not
	// modify the alerts or keep the slice. nil: all are delivered. A
	// *PartialError names those that failed; any other error: none is known to be delivered.
	// Errors marked Permanent are not retried.
	Write(ctx context.Context, alerts []*Alert) error
	Close(ctx context.Context) error
}
