# Everything a person or a CI run does with this project. `make` alone lints and tests.
GO       ?= go
TOOL     := $(GO) tool -modfile=.ci/tools.mod
FUZZTIME ?= 20000x
BENCH    ?= .
COUNT    ?= 1

.PHONY: all build test race e2e test-kafka chaos bars test-kinesis chaos-kinesis lint fmt fuzz bench demo check-clean vocabulary clean help

all: lint test ## lint and test

help: ## show the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

build: ## build bin/trailtide, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/trailtide ./cmd/trailtide

test: ## vet and run every test
	$(GO) vet ./...
	$(GO) test ./...

race: ## run every test under the race detector, but the suites over the built binary
	$(GO) test -race $$($(GO) list ./... | grep -v /trailtide/test)

e2e: ## the end-to-end suites in full: a million events, 50 kills, bombs of 4 GiB
	TRAILTIDE_E2E_EVENTS=1000000 TRAILTIDE_E2E_KILLS=50 TRAILTIDE_E2E_KILL_EVENTS=60000 \
	TRAILTIDE_E2E_BOMB_MIB=4096 TRAILTIDE_E2E_RULES=500 $(GO) test -count=1 -timeout 60m ./test/...

test-kafka: ## the suites against real Apache Kafka; needs Java 17 or newer, and Maven
	TRAILTIDE_KAFKA=real $(GO) test -count=1 -p 1 -timeout 25m ./test/kafkabroker ./test/kafka ./pipeline/engine/kafka ./pipeline/engine/kafka/txn

chaos: ## the fleet's trial in full, on one real broker and on three: 200 kills each; about an hour
	TRAILTIDE_KAFKA=real TRAILTIDE_CHAOS_KILLS=200 TRAILTIDE_CHAOS_EVENTS=300000 TRAILTIDE_CHAOS_HALT_S=30 TRAILTIDE_CHAOS_NODES=3 \
	$(GO) test -count=1 -v -timeout 120m -run TestFleetInChaos ./test/kafka

bars: ## the fleet's bars at full size: CPU, latency, takeover, restore; about ten minutes
	TRAILTIDE_KAFKA=real TRAILTIDE_BARS=long $(GO) test -v -count=1 -timeout 30m -run TestFleetBars ./test/kafka

test-kinesis: ## the suites against independent Kinesis and DynamoDB servers; needs Node 20 and npm, and what test-kafka needs
	TRAILTIDE_KINESIS_PEERS=1 TRAILTIDE_KAFKA=real $(GO) test -count=1 -timeout 10m ./test/kinesispeers ./test/kinesis ./pipeline/kinesis/lease/leasetest

chaos-kinesis: ## the fleet on Kinesis and the embedded engine in full: 100 kills and 60 reshards each; about 20 minutes
	TRAILTIDE_KAFKA=real TRAILTIDE_CHAOS_KILLS=100 TRAILTIDE_CHAOS_EVENTS=150000 TRAILTIDE_CHAOS_RESHARDS=60 TRAILTIDE_CHAOS_HALT_S=15 \
	$(GO) test -count=1 -v -timeout 60m -run 'InChaos|KilledWorker' ./test/kinesis

lint: ## golangci-lint: style, bugs, and the direction of imports
	$(TOOL) golangci-lint run ./...

fmt: ## format the code
	$(TOOL) golangci-lint fmt ./...

fuzz: ## run each fuzz target for FUZZTIME inputs (or a time)
	@.ci/fuzz $(FUZZTIME)

bench: ## run the benchmarks and print a table; compare ratios, not absolute figures
	$(GO) test -run '^$$' -bench '$(BENCH)' -count $(COUNT) ./bench

demo: ## generated traffic with planted incidents, the built-in rules, alerts on the screen
	$(GO) run ./cmd/trailtide demo

check-clean: ## nothing that is generated differs from what is committed
	$(GO) mod tidy -diff
	$(GO) generate ./matcher/builtin
	git diff --exit-code

vocabulary: ## make CloudTrail's vocabulary anew from botocore's service models
	pip download --quiet --no-deps --dest bin botocore
	BOTOCORE=$$(ls $(CURDIR)/bin/botocore-*.whl | tail -n 1) $(GO) generate ./matcher/vocabulary

clean:
	rm -rf bin
