// Package kinesistest is a Kinesis for tests: an in-process server that speaks
// the service's real wire format (AWS JSON 1.1 over HTTP/1.1 and HTTP/2, event
// streams for enhanced fan-out), keeps its rules and limits, is fast enough
// for load, and fails on request.
//
// The same contract suite runs against it and against independent servers
// (see Contract and test/kinesis), so that it cannot drift into a Kinesis of
// its own. What it says is taken from the Amazon Kinesis Data Streams API
// Reference, version 2013-12-02.
//
// It is not a Kinesis to store anything in: all is in memory.
package kinesistest
