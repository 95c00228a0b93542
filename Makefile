# `make help` lists what can be made. Everything made lands in build/.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

GO ?= go
TOOL := $(GO) tool -modfile=tools/go.mod
# NVML's bindings bind what NVML has deprecated, too.
export CGO_CFLAGS ?= -O2 -g -Wno-deprecated-declarations

BIN := build/bin
SHIM_FOLDER := build/lib/sluice
SHIM_SOURCES := $(wildcard vdev/shim/*.c vdev/shim/gen/*.c)
SHIM_HEADERS := $(wildcard vdev/shim/*.h vdev/shim/gen/*.h)
LIBRARIES := $(foreach folder,$(SHIM_FOLDER) $(SHIM_FOLDER)/libpthread $(SHIM_FOLDER)/musl,$(folder)/libsluice-opencl.so $(folder)/libOpenCL.so.1)
LOADER := vdev/shim/gen/loader
C_WARNINGS := -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
C_FLAGS := -std=c11 -O2 -g -fPIC -pthread -fvisibility=hidden $(C_WARNINGS) -Ivdev/shim -Ivdev/shim/gen
SHIM_LINK := -shared -Wl,-z,defs -Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete
LOADER_LINK := -Wl,-soname,libOpenCL.so.1 -Wl,--version-script=$(LOADER)/loader.map $(LOADER)/loader.c
# Before glibc 2.34 threads are a library of their own, which need not be there since.
THREADS_LINK := -Wl,--no-as-needed,-l:libpthread.so.0
# OpenCL's and Linux's headers are behind musl's own, which are not clean of -Wsign-conversion.
# Found out when it is needed: `make setup` may bring gcc.
MUSL_COMPILER = musl-gcc -idirafter /usr/include -idirafter /usr/include/$(shell gcc -print-multiarch) -Wno-sign-conversion
C_FILES = $(shell git ls-files '*.c' '*.h' ':!vdev/shim/gen')
SHELL_FILES = $(shell git ls-files '*.sh') .ci/run
GO_FILES = $(shell git ls-files '*.go' ':!proto/gen')

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what building and testing need from Debian's archive (needs root)
	@scripts/setup.sh

.PHONY: build
build: $(LIBRARIES) ## Build the programs into build/bin and the shim into build/lib
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -o $(BIN)/ ./cmd/sluice
	CGO_ENABLED=1 $(GO) build -o $(BIN)/ $(addprefix ./,$(filter-out cmd/sluice,$(wildcard cmd/*)))

# The shim for the OpenCL loader, and as libOpenCL.so.1 for programs that have none; each for glibc since 2.34, for glibc before
# it, and for musl.
$(LIBRARIES): Makefile $(SHIM_SOURCES) $(SHIM_HEADERS) $(LOADER)/loader.c $(LOADER)/loader.map
	@mkdir -p $(@D)
	$(if $(findstring /musl/,$@),$(MUSL_COMPILER),gcc) $(C_FLAGS) $(SHIM_LINK) -o $@ $(SHIM_SOURCES) \
		$(if $(findstring libOpenCL,$@),$(LOADER_LINK)) $(if $(findstring /libpthread/,$@),$(THREADS_LINK))

.PHONY: image
image: build ## Build container images of sluice and of the examples into build/images
	@mkdir -p build/images
	@for name in simple digits mlp; do \
		scripts/example.sh $$name build/examples/$$name; \
		$(BIN)/sluice image build build/examples/$$name -t $$name:latest --archive build/images/$$name.tar; \
	done
	@mkdir -p build/sluice/bin build/sluice/lib
	@cp $(BIN)/sluice $(BIN)/sluice-worker build/sluice/bin/
	@cp -r $(SHIM_FOLDER) build/sluice/lib/
	@cp deploy/image/image.yaml build/sluice/
	@$(BIN)/sluice image build build/sluice -t sluice:latest --archive build/images/sluice.tar
	@ls -l build/images

PREFIX ?= /usr/local

.PHONY: install
install: build ## Install programs, library, unit and configuration (PREFIX=/usr/local, DESTDIR=); a configuration that is there stays
	install -D -t $(DESTDIR)$(PREFIX)/bin $(BIN)/sluice $(BIN)/sluice-worker
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/sluice $(wildcard $(SHIM_FOLDER)/*.so*)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/sluice/libpthread $(wildcard $(SHIM_FOLDER)/libpthread/*.so*)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/sluice/musl $(wildcard $(SHIM_FOLDER)/musl/*.so*)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/sluice docs/*.md
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(BIN)/sluice completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/sluice
	install -d $(DESTDIR)/etc/systemd/system
	sed 's|/usr/local/|$(PREFIX)/|g' deploy/sluice.service >$(DESTDIR)/etc/systemd/system/sluice.service
	[[ -e $(DESTDIR)/etc/sluice/sluice.yaml ]] || install -D -m 600 -t $(DESTDIR)/etc/sluice deploy/sluice.yaml

.PHONY: demo
demo: setup build ## Deploy two functions onto a leased device and show the whole path at work
	@scripts/demo.sh

.PHONY: test
test: setup build ## Run every test, the real containerd and OpenCL driver included (needs root)
	$(GO) test -race -timeout 20m ./...

.PHONY: soak
soak: setup build ## Kill daemon, containerd, Redis, workers at random under load for SOAK_S seconds (600), then run 100 programs at once for as long; SOAK_STORE=bolt leaves Redis out
	SOAK_S=$(or $(SOAK_S),600) SOAK_STORE=$(or $(SOAK_STORE),redis) $(GO) test -count=1 -v -timeout 120m -run '^Test(Soak|Crowd)$$' ./test/e2e

.PHONY: overload
overload: setup build ## Send a function 1.5 times what it can answer for OVERLOAD_S seconds (300), and watch deadlines and memory
	OVERLOAD_S=$(or $(OVERLOAD_S),300) $(GO) test -count=1 -v -timeout 60m -run '^TestOverload$$' ./test/e2e

.PHONY: lint
lint: ## Check format and habits of Go, C and shell
	@unformatted="$$($(TOOL) gofumpt -l $(GO_FILES))"; \
		if [[ -n "$$unformatted" ]]; then echo "not formatted, run make format:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	@if [[ -n "$(C_FILES)" ]]; then clang-format --dry-run --Werror $(C_FILES); fi
	shellcheck $(SHELL_FILES)

.PHONY: format
format: ## Format Go and C in place
	$(TOOL) gofumpt -w $(GO_FILES)
	@if [[ -n "$(C_FILES)" ]]; then clang-format -i $(C_FILES); fi

.PHONY: generate
generate: ## Write the generated files anew: protocol buffers, shim, dispatcher, coverage page
	proto/generate.sh
	$(GO) generate ./...

.PHONY: bench
bench: setup build ## Compare calls through sluice with the bare driver; table, and build/bench/vdev.json
	@scripts/setup.sh bench
	$(BIN)/sluice-bench vdev -json build/bench/vdev.json

.PHONY: bench-gateway
bench-gateway: setup build ## Compare the gateway with a bare proxy and with direct calls; table, and build/bench/gateway.json
	scripts/example.sh simple build/examples/simple
	$(BIN)/sluice-bench gateway -json build/bench/gateway.json

.PHONY: bench-live
bench-live: setup build ## Compare batching policies on running functions; table, and build/bench/live.json
	scripts/example.sh mlp build/examples/mlp
	$(BIN)/sluice-bench live -json build/bench/live.json

.PHONY: bench-share
bench-share: setup build ## Compare what functions get of a device that they share; table, and build/bench/share.json
	scripts/example.sh mlp build/examples/mlp
	$(BIN)/sluice-bench share -json build/bench/share.json

.PHONY: fuzz
fuzz: ## Run each fuzzer for FUZZTIME (30s)
	@scripts/fuzz.sh $(or $(FUZZTIME),30s)

.PHONY: clean
clean: ## Remove build/
	rm -rf build
