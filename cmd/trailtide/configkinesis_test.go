package main

import (
	"strings"
	"testing"
)

func TestKinesisSource(t *testing.T) {
	const embedded = "source: {kinesis: {streams: [trail], region: us-east-1}}\n"
	for _, tt := range []struct{ src, want string }{
		{embedded, ""},
		{"engine: kafka\nkafka: {brokers: [b:1]}\nsource: {kinesis: {streams: [trail], leases: {table: app}}}\n", ""},
		{"engine: kafka\nkafka: {brokers: [b:1]}\nsource: {kinesis: {streams: [trail]}}\n", "source.kinesis.leases: are needed"},
		{"source: {kinesis: {streams: [trail], leases: {table: app}}}\n", "source.kinesis.leases: belong to engine: kafka"},
		{"source: {kinesis: {streams: [], mode: push}}\n", "source.kinesis: streams: name at least one"},
		{"source: {kinesis: {streams: [trail]}, files: {paths: [x]}}\n", "source: set one of kafka, kinesis and files"},
		{"source: {kinesis: {stream: trail}}\n", "field stream not found"},
	} {
		_, err := parseConfig("trailtide.yaml", []byte(tt.src), env(nil))
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.src, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.src, err, tt.want)
		}
	}
}
