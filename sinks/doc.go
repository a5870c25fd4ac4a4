// Package sinks holds what an alert is and how it leaves: the Alert with its
// wire form, the Sink contract, the classes of failure and the retry policy.
// Each channel is a folder below it. It knows nothing of the rest of the
// project: a sink gets alerts and reports what it could not deliver; filters,
// retries, dead letters and the place in the queue are the business of
// pipeline/deliver.
//
// # Adding a channel
//
// A channel is a folder with the name of the receiver and these files:
//
//   - options.go: an Options struct (each field with meaning, unit and default;
//     a zero field is the default), Validate, which reports every problem at
//     once and opens nothing, and Warnings if a setting weakens the connection.
//     Passwords, tokens and addresses that hold some are of type Secret. TLS
//     settings are a transport.TLS.
//   - NAME.go: New(Options) (*Sink, error), which makes no connection, and the
//     Sink with Write and Close.
//   - NAME_test.go: the suite of sinktest against a real or in-process
//     receiver, and what is special to the channel.
//
// Write ends with its context. It returns nil once the receiver has all alerts,
// a *PartialError (made by Partial) that names those that failed, or any other
// error when none is known to be delivered. It marks with Permanent what no
// later attempt can mend (the receiver understood the alert and refuses it),
// wraps what the receiver asked to wait in a RetryAfterError, and marks with
// ErrNotTried what it did not send because others failed before. It does not
// retry by itself, beyond what its protocol needs. Everything in an alert that
// comes from an event was perhaps chosen by an attacker: escape it for the
// channel (markup, mentions, header lines, control characters). A channel with
// a size limit uses AppendJSONWithin or says what it cuts.
//
// The configuration of the binary then gets a section that fills Options; no
// other place needs to know the channel.
package sinks
