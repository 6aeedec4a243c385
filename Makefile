# Every target sets up what it needs and is safe to repeat. `make help` lists them.
SUITE     ?= ./suites/...
CASE      ?=
PLACEMENT ?=
RUN       ?=
ARGS      ?=
N         ?= 1
P         ?= 1
I         ?= 1
INTO      ?= _output/merged
DIR       ?=
export DOCKER PATRONI

RUN_FLAGS    := $(if $(CASE),-case=$(CASE)) $(if $(PLACEMENT),-placement=$(abspath $(PLACEMENT))) $(ARGS)
LINT         := _output/bin/golangci-lint

# go test reads the output of the tests, which can't see that there is a terminal behind it; make can.
run kind: export CUTSET_PROGRESS ?= $(if $(CI),,$(if $(MAKE_TERMOUT),terminal))

.DEFAULT_GOAL := help
.PHONY: help setup run plan kind kind-test node-image shard merge recheck test selftest bench soak lint fmt heal clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10
	@echo
	@echo 'run, plan, kind and shard take SUITE=./suites/ha, CASE=<id>, PLACEMENT=<file>, and ARGS="-hold=20s ..." (go test ./suites/ha -args -help lists them)'

setup: ## install PostgreSQL, Patroni and etcd, where they are missing
	@hack/setup

run: setup ## run the suites on the embedded cluster; CASE=<id> runs one case
	go test -vet=off -count=1 -p=1 -timeout=30m -v $(SUITE) $(RUN_FLAGS)

plan: setup ## print what `make run` would do
	go test -vet=off -count=1 -p=1 -v $(SUITE) -plan-only $(RUN_FLAGS)

kind: ## run the suites on a Kubernetes cluster made for the run; DOCKER=install installs and starts an engine, too
	@hack/docker-up
	node=$$(hack/node-image) && database=$$(hack/database-image) && \
	go test -vet=off -count=1 -p=1 -timeout=60m -v $(SUITE) -provider=kind -node-image=$$node -database-image=$$database $(RUN_FLAGS)

kind-test: ## the project's own tests that need a Kubernetes cluster: every kind of fault, and commands in pods
	@hack/docker-up
	node=$$(hack/node-image) && database=$$(hack/database-image) && \
	go test -count=1 -timeout=20m -v -bench=. -benchtime=50x ./framework/provider/kind -node-image=$$node -database-image=$$database

node-image: ## print the image of kind's nodes, built first where it can't be pulled
	@hack/docker-up
	@hack/node-image

shard: ## do the I-th of N parts of the plan on a cluster of its own, as a job of a CI matrix does
	@$(MAKE) --no-print-directory kind SUITE=$(SUITE) ARGS='-shard=$(I)/$(N) $(ARGS)'

merge: ## make one report, in INTO, of the runs of all shards; RUNS="<id> <id> ..."
	@go run ./framework/cmd/cutset merge $(INTO) $(RUNS)

recheck: ## judge a saved run again, without a database, and compare with what it said; DIR=<run id or directory>
	@go run ./framework/cmd/cutset recheck $(DIR)

test: ## the project's own tests, and one short run of a suite
	@hack/setup --race
	go test -race -shuffle=on -timeout=5m ./executor/... ./faultcalc/... ./framework/...
	CUTSET_WORLD=loopback go test -count=1 ./framework/provider/embedded
	go test -count=1 -timeout=5m -v ./suites/example

selftest: setup ## give targets, clients and the harness one defect each, and see that it is caught; N=10 times each, P=2 side by side
	CUTSET_SELFTEST=1 go test -count=1 -timeout=6h -v -parallel=$(P) ./suites/selftest -repeat=$(N) $(ARGS)

bench: ## benchmarks of the calculation and of the executor, and the executor beside its peers
	go test -run='^$$' -bench=. -benchmem -cpu=1,2 ./faultcalc ./executor ./executor/resource
	cd executor/bench && go run . -scenarios=A,B,C,D -seconds=5

soak: ## ten minutes of the executor under hangs, with goroutines, sockets and memory flat
	go test ./executor -run=TestSoak -soak=10m -timeout=15m -v

lint: $(LINT) ## check style, and the line of packages
	$(LINT) run ./...
	hack/lint-scripts

fmt: $(LINT) ## format the code
	$(LINT) fmt ./...

heal: ## heal what a killed run left failed; RUN=<id>, or all runs
	@go run ./framework/cmd/cutset heal $(RUN)

clean: ## remove what killed runs left behind, and their results; RUN=<id>, or all runs
	@go run ./framework/cmd/cutset clean $(RUN)

$(LINT): hack/tools/go.mod
	@mkdir -p _output && echo '*' >_output/.gitignore # as the first run does
	cd hack/tools && go build -o $(abspath $@) github.com/golangci/golangci-lint/v2/cmd/golangci-lint
