# Everything a person or a CI run does with this project. `make` alone lints and tests.
GO       ?= go
TOOL     := $(GO) tool -modfile=.ci/tools.mod
FUZZTIME ?= 10s

.PHONY: all build test race lint fmt fuzz bench bench-compare demo check-clean clean help

all: lint test ## lint and test

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

build: ## build bin/trailtide, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/trailtide ./cmd/trailtide

test: ## vet and run every test
	$(GO) vet ./...
	$(GO) test ./...

race: ## run every test under the race detector
	$(GO) test -race ./...

lint: ## golangci-lint: style, bugs, and the direction of imports
	$(TOOL) golangci-lint run ./...

fmt: ## format the code
	$(TOOL) golangci-lint fmt ./...

fuzz: ## run each fuzz target for FUZZTIME
	@.ci/fuzz $(FUZZTIME)

bench: ## run the benchmarks; compare ratios, not absolute figures
	$(GO) test -run '^$$' -bench . -benchmem ./bench/...

demo: ## generated traffic with planted incidents, the built-in rules, alerts on the screen
	$(GO) run ./cmd/trailtide demo

check-clean: ## nothing that is generated differs from what is committed
	$(GO) mod tidy -diff
	$(GO) generate ./...
	git diff --exit-code

clean:
	rm -rf bin
