# `make help` lists the targets. All but golden, bench-peer, proof and demo run without network once the Go modules are there.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
GO ?= go
PYTHON ?= python3
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := build
.PHONY: help build cuda demo ptx ptx-check ptx-second test test-cuda test-noasm test-amx test-arm64 race fuzz-short mutants lint generate docs golden bench bench-peer proof clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## the program, bin/lomo
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/lomo ./cmd/lomo

cuda: ## the program with CUDA, bin/lomo: it starts with an NVIDIA driver or without one (needs gcc; network the first time: pip)
	scripts/cuda/go.sh build -tags cuda -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/lomo ./cmd/lomo

demo: build ## fine-tune a real 135M model on invented facts and check that it learned them (at most 6 minutes on 2 cores; MODEL=gemma3: Gemma 3 270M, at most 15)
	$(PYTHON) scripts/demo/demo.py --lomo bin/lomo --model $(or $(MODEL),smollm2)

test: ## vet and all tests; fails on a skipped test that testdata/skips.txt does not list (at most 10 minutes on 2 cores)
	$(GO) vet ./...
	$(GO) test -json -timeout 10m ./... | $(GO) run ./scripts/skips

test-noasm: ## the tests again without assembly: the generic Go kernels
	$(GO) test -json -tags noasm -timeout 20m ./... | $(GO) run -tags noasm ./scripts/skips

test-cuda: ptx-check ptx-second ## the CUDA path without a GPU: PTX, binding, and the program with CUDA on simulated cards (as make cuda and ptx)
	scripts/cuda/go.sh vet -tags cuda ./...
	scripts/cuda/go.sh test -tags cuda -timeout 10m -json ./internal/cudakern/ladder | $(GO) run ./scripts/skips

test-amx: ## the tests of the AMX level, its instructions carried out by scripts/amx where the processor has none (Linux, x86-64)
	$(GO) build -o bin/amx ./scripts/amx
	LOMO_CPU=amx $(GO) test -tags amxemu -exec $(CURDIR)/bin/amx -run 'Tile|Slabs|InPlace|Direct|LeftRows|AttentionBackwardWays|TestSuite/amx' ./internal/cpukern
	LOMO_CPU=amx $(GO) test -tags amxemu -exec $(CURDIR)/bin/amx -run 'SameBits|GoldenLosses' ./internal/train

test-arm64: ## vet and build for arm64; one package's tests too where qemu-aarch64 is installed
	GOARCH=arm64 $(GO) vet ./...
	GOARCH=arm64 $(GO) build -o bin/lomo-arm64 ./cmd/lomo
	@if command -v qemu-aarch64-static >/dev/null || command -v qemu-aarch64 >/dev/null; then \
		GOARCH=arm64 $(GO) test -exec "$$(command -v qemu-aarch64-static || command -v qemu-aarch64)" -run 'TestSuite/generic/threads=2' ./internal/cpukern; \
	else echo "test-arm64: qemu-aarch64 is not installed, the generic kernels were built and not run"; fi

race: ## the tests under the race detector (needs gcc)
	CGO_ENABLED=1 $(GO) test -race -short -timeout 30m ./...

fuzz-short: ## every fuzz target for ten seconds
	scripts/fuzz.sh 10s

mutants: ## put the faults of scripts/mutants in, one at a time: each must make its tests fail (half a minute a fault; ARGS="-run NAME", -all)
	$(GO) run ./scripts/mutants $(ARGS)

lint: ## gofmt and vet; golangci-lint too where it is installed
	@unformatted=$$(git ls-files '*.go' | xargs gofmt -l); if [ -n "$$unformatted" ]; then echo "not gofmt-formatted:" $$unformatted; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags noasm ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; else echo "lint: golangci-lint is not installed, its import rules were not checked"; fi

generate: ## the assembly, from its avo programs, and what is alike for every operation; the working tree must stay clean
	$(GO) generate ./...

docs: ## the table of keys in docs/configuration.md
	$(GO) run ./scripts/configdoc

ptx: ## the CUDA kernels to PTX, and the table of what they take of a card (network the first time: pip)
	$(PYTHON) scripts/cuda/ptx.py
	$(PYTHON) scripts/cuda/resources.py

ptx-check: ## the committed PTX is what the sources give, and no kernel spills or grew (network the first time: pip)
	$(PYTHON) scripts/cuda/ptx.py --check
	$(PYTHON) scripts/cuda/resources.py --check

ptx-second: ## a second compiler's PTX through the tests of the kernels (needs clang-16; network the first time: pip)
	$(PYTHON) scripts/cuda/ptx.py --compiler clang --out .cuda/clang/ptx
	LOMO_PTX_DIR=$(CURDIR)/.cuda/clang $(GO) test -count=1 -timeout 10m ./internal/cudakern

golden: ## the golden files, anew, from PyTorch and the reference libraries (network: pip)
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet -r scripts/proof/requirements.txt huggingface_hub accelerate datasets
	.venv/bin/python scripts/golden/vectors.py
	.venv/bin/python scripts/golden/models.py
	.venv/bin/python scripts/golden/families.py
	.venv/bin/python scripts/golden/family_configs.py
	.venv/bin/python scripts/golden/mixtures.py
	.venv/bin/python scripts/golden/mixture_configs.py
	.venv/bin/python scripts/golden/gguf_vectors.py
	.venv/bin/python scripts/golden/gguf_quantize.py
	.venv/bin/python scripts/golden/gguf_families.py $(LLAMA_CPP)
	.venv/bin/python scripts/golden/tfevents.py testdata/tfevents.json
	.venv/bin/python scripts/golden/tokenizer.py testdata/tokenizer/encodings.json
	.venv/bin/python scripts/golden/data_files.py internal/data/records/testdata
	.venv/bin/python scripts/golden/data_chats.py internal/data/testdata/chats.json
	.venv/bin/python scripts/golden/tokenizer_chat.py testdata/tokenizer/chat.json
	.venv/bin/python scripts/golden/tokenizer_pieces.py testdata/tokenizer
	.venv/bin/python scripts/golden/bos.py testdata/tokenizer/bos.json
	.venv/bin/python scripts/golden/tokenizer_folders.py testdata/tokenizer/folders.json

bench: ## kernel and step benchmarks
	$(GO) test -run '^$$' -bench . -benchtime 1s ./internal/...

bench-peer: ## lomo beside PyTorch and lomo-optim: tokens/s, memory, loss, into benchmarks/ (network the first time; ARGS="--help")
	scripts/bench/run.sh $(ARGS)

proof: ## the long comparisons with PyTorch and others on the real model: make proof LOMO_DATA=DIR (docs/proofs.md; network, an hour)
	scripts/proof/run.sh

clean: ## what was built and what the demo fetched and made
	rm -rf bin demo out
